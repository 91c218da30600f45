//! Edits of session descriptions: what the connection cannot be asked for, and what it must not see.
//!
//! Descriptions are edited as text, section by section. A section is named by its `a=mid`.

use std::fmt::Write as _;

/// The longest description that is read, in bytes. A browser in a room of fifty sends about 100 kB.
pub(crate) const LENGTH_MAX: usize = 512 * 1024;
/// The most sections a client's description may have.
pub(crate) const SECTIONS_MAX: usize = 512;

/// What a section of an offer is to say besides what the connection wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dress {
    /// Receives; with layers where simulcast is asked for.
    Uplink { is_simulcast: bool },
    /// Sends this stream and track.
    Downlink { stream: String, track: String },
}

/// A section of a client's description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) mid: String,
    pub(crate) kind: String,
    /// Whether the client sends on it.
    pub(crate) sends: bool,
    /// Whether the client takes what is sent on it.
    pub(crate) receives: bool,
    /// The streams it says it sends: its ssrc and rid lines. Changes when the section gets other streams.
    pub(crate) streams: String,
}

/// An offer as the client gets it.
pub(crate) fn dress(sdp: &str, dress: impl Fn(&str) -> Option<Dress>) -> String {
    let mut out = String::with_capacity(sdp.len() + 512);
    for block in blocks(sdp) {
        match mid(block).and_then(&dress) {
            None => out.push_str(block),
            Some(Dress::Uplink { is_simulcast }) => {
                out.push_str(block);
                // Once they are agreed upon, the connection repeats them itself.
                if is_simulcast && !block.contains("a=simulcast:") {
                    out.push_str("a=rid:q recv\r\na=rid:h recv\r\na=rid:f recv\r\na=simulcast:recv q;h;f\r\n");
                }
            }
            Some(Dress::Downlink { stream, track }) => {
                for line in block.split_inclusive('\n') {
                    let text = line.trim_end();
                    if text.starts_with("a=msid:") {
                        let _ = write!(out, "a=msid:{stream} {track}\r\n");
                    } else if let Some((ssrc, attribute)) = text
                        .strip_prefix("a=ssrc:")
                        .and_then(|rest| rest.split_once(' '))
                    {
                        // One line per source is enough; the stream is named by the section.
                        if attribute.starts_with("cname:") {
                            let _ = write!(out, "a=ssrc:{ssrc} cname:{stream}\r\n");
                        }
                    } else {
                        out.push_str(line);
                    }
                }
            }
        }
    }
    out
}

/// What a client's description says of its sections.
pub(crate) fn sections(sdp: &str) -> Vec<Section> {
    let mut found = Vec::new();
    for block in blocks(sdp) {
        let Some(kind) = block
            .strip_prefix("m=")
            .and_then(|rest| rest.split_whitespace().next())
        else {
            continue;
        };
        let mut section = Section {
            kind: kind.to_owned(),
            mid: mid(block).unwrap_or_default().to_owned(),
            ..Section::default()
        };
        // Sections send and receive unless they say otherwise (RFC 8866 section 6.7); a rejected one has port 0.
        let is_rejected =
            block.split_whitespace().nth(1) == Some("0") && !block.contains("a=bundle-only");
        let is_active = !is_rejected && !block.contains("\na=inactive");
        section.sends = is_active && !block.contains("\na=recvonly");
        section.receives = is_active && !block.contains("\na=sendonly");
        for line in block.lines() {
            let names_stream = line.starts_with("a=ssrc-group:")
                || line.starts_with("a=rid:")
                || line.starts_with("a=ssrc:") && line.contains(" cname:");
            if names_stream {
                section.streams.push_str(line.trim_end());
                section.streams.push('\n');
            }
        }
        found.push(section);
    }
    found
}

/// How a section of a client's description is handed to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undress {
    Keep,
    /// Its track is named by its `mid`, whatever the client calls it.
    Name,
    /// Without its streams: the connection has them, and would start them anew.
    Strip,
}

/// A client's description as the connection gets it.
pub(crate) fn undress(sdp: &str, undress: impl Fn(&str) -> Undress) -> String {
    let mut out = String::with_capacity(sdp.len());
    for block in blocks(sdp) {
        let name = mid(block);
        let how = if block.starts_with("m=application") {
            Undress::Keep
        } else {
            name.map_or(Undress::Keep, &undress)
        };
        for line in block.split_inclusive('\n') {
            // The server waits for the client's checks (ICE lite); it looks no addresses up.
            if line.starts_with("a=candidate:") || line.starts_with("a=end-of-candidates") {
                continue;
            }
            if how == Undress::Keep {
                out.push_str(line);
                continue;
            }
            let is_name = line.starts_with("a=msid:")
                || line.starts_with("a=ssrc:") && !line.contains(" cname:");
            let is_stream = line.starts_with("a=ssrc")
                || line.starts_with("a=rid:")
                || line.starts_with("a=simulcast:");
            if !is_name && (how == Undress::Name || !is_stream) {
                out.push_str(line);
            }
            // Ahead of the sources, which take the name that was read last.
            if line.starts_with("a=mid:")
                && how == Undress::Name
                && let Some(name) = name
            {
                let _ = write!(out, "a=msid:{name} {name}\r\n");
            }
        }
    }
    out
}

/// With another DTLS role in all sections.
pub(crate) fn with_setup(sdp: &str, role: &str) -> String {
    let mut out = String::with_capacity(sdp.len());
    for line in sdp.split_inclusive('\n') {
        if line.starts_with("a=setup:") {
            let _ = write!(out, "a=setup:{role}\r\n");
        } else {
            out.push_str(line);
        }
    }
    out
}

/// The description with another bound for messages of data channels (RFC 8841 section 6).
pub(crate) fn with_message_max(sdp: &str, bytes: usize) -> String {
    let mut out = String::with_capacity(sdp.len() + 32);
    for block in blocks(sdp) {
        if !block.starts_with("m=application") {
            out.push_str(block);
            continue;
        }
        for line in block.split_inclusive('\n') {
            if !line.starts_with("a=max-message-size:") {
                out.push_str(line);
            }
        }
        if !out.ends_with('\n') {
            out.push_str("\r\n");
        }
        let _ = write!(out, "a=max-message-size:{bytes}\r\n");
    }
    out
}

/// The value of an attribute at the session level or in the first section that has it.
pub(crate) fn attribute<'a>(sdp: &'a str, name: &str) -> Option<&'a str> {
    sdp.lines().find_map(|line| {
        line.strip_prefix("a=")?
            .strip_prefix(name)?
            .strip_prefix(':')
            .map(str::trim_end)
    })
}

/// The session's part, then one part for each `m=` line.
fn blocks(sdp: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(sdp);
    std::iter::from_fn(move || {
        let text = rest?;
        if text.is_empty() {
            rest = None;
            return None;
        }
        let next = text
            .get(1..)
            .and_then(|after| after.find("\nm="))
            .map(|at| at + 2);
        let (block, after) = match next.and_then(|at| text.split_at_checked(at)) {
            Some((block, after)) => (block, Some(after)),
            None => (text, None),
        };
        rest = after;
        Some(block)
    })
}

fn mid(block: &str) -> Option<&str> {
    block
        .lines()
        .find_map(|line| line.strip_prefix("a=mid:"))
        .map(str::trim_end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANSWER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=sendonly\r\na=msid:abc def\r\na=ssrc:7 cname:x\r\na=ssrc:7 msid:abc def\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=inactive\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n";

    #[test]
    fn sections_say_who_sends_what() {
        let found = sections(ANSWER);
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].mid.as_str(), found[0].sends), ("0", true));
        assert!(!found[0].receives);
        assert_eq!(found[0].streams, "a=ssrc:7 cname:x\n");
        assert_eq!((found[1].mid.as_str(), found[1].sends), ("1", false));
        assert_eq!(found[2].kind, "application");
    }

    #[test]
    fn a_named_section_gets_its_mid_as_its_track() {
        let text = undress(ANSWER, |_| Undress::Name);
        assert!(text.contains("a=msid:0 0\r\n"));
        assert!(text.contains("a=ssrc:7 cname:x\r\n"));
        assert!(!text.contains("abc"));
    }

    #[test]
    fn a_stripped_section_has_no_streams() {
        let text = undress(ANSWER, |mid| {
            if mid == "0" {
                Undress::Strip
            } else {
                Undress::Keep
            }
        });
        assert!(!text.contains("ssrc") && !text.contains("msid"));
        assert!(text.contains("a=sendonly"));
    }

    #[test]
    fn the_bound_for_messages_is_set_once_in_the_section_of_channels() {
        let text = with_message_max(ANSWER, 5);
        assert!(text.ends_with("a=mid:2\r\na=max-message-size:5\r\n"));
        assert_eq!(with_message_max(&text, 6), text.replace(":5\r", ":6\r"));
        assert_eq!(
            with_message_max("m=application 9 X\r\na=mid:0", 7),
            "m=application 9 X\r\na=mid:0\r\na=max-message-size:7\r\n"
        );
    }

    #[test]
    fn an_offer_names_publishers_and_asks_for_layers() {
        let offer = "v=0\r\nm=video 9 X 96\r\na=mid:0\r\na=recvonly\r\nm=video 9 X 96\r\na=mid:1\r\na=msid:s t\r\na=ssrc:5 cname:s\r\na=ssrc:5 msid:s t\r\na=sendonly\r\n";
        let text = dress(offer, |mid| match mid {
            "0" => Some(Dress::Uplink { is_simulcast: true }),
            _ => Some(Dress::Downlink {
                stream: "ann".into(),
                track: "camera-1".into(),
            }),
        });
        assert!(text.contains("a=mid:0\r\na=recvonly\r\na=rid:q recv"));
        assert!(text.contains("a=msid:ann camera-1\r\na=ssrc:5 cname:ann\r\na=sendonly\r\n"));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(v=0\r\n)?(m=[a-z]{0,8} [0-9]{0,2}\r?\n|a=mid:[0-9]?\r?\n|a=[a-z:; 0-9]{0,12}\n|\\PC{0,9}){0,20}") {
            let _ = sections(&text);
            let _ = attribute(&text, "ice-ufrag");
            prop_assert_eq!(dress(&text, |_| None), text.clone());
            prop_assert_eq!(undress(&text, |_| Undress::Keep), text);
        }
    }
}
