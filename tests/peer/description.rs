//! What a peer reads of an offer (RFC 8866): its sections and the SSRCs they name.

use crate::stats::Kind;

/// A media section.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Section {
    pub(crate) mid: String,
    pub(crate) kind: Option<Kind>,
    pub(crate) direction: String,
    pub(crate) stream_id: String,
    pub(crate) track_id: String,
    pub(crate) ssrcs: Vec<u32>,
    /// Media and repair SSRC (RFC 5576, `FID`).
    pub(crate) repairs: Vec<(u32, u32)>,
    /// The RIDs that the other side wants to receive.
    pub(crate) rids: Vec<String>,
}

/// The sections of a description, in their order.
pub(crate) fn sections(sdp: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for line in sdp.lines() {
        if let Some(media) = line.strip_prefix("m=") {
            sections.push(Section {
                kind: match media.split(' ').next() {
                    Some("audio") => Some(Kind::Audio),
                    Some("video") => Some(Kind::Video),
                    _ => None,
                },
                ..Section::default()
            });
        } else if let (Some(attribute), Some(section)) =
            (line.strip_prefix("a="), sections.last_mut())
        {
            section.read(attribute);
        }
    }
    sections
}

impl Section {
    fn read(&mut self, attribute: &str) {
        let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
        let mut words = value.split(' ');
        match name {
            "mid" => self.mid = value.to_owned(),
            "sendonly" | "recvonly" | "sendrecv" | "inactive" => self.direction = name.to_owned(),
            "msid" => {
                self.stream_id = words.next().unwrap_or_default().to_owned();
                self.track_id = words.next().unwrap_or_default().to_owned();
            }
            "ssrc" => {
                if let Some(ssrc) = words.next().and_then(|word| word.parse().ok())
                    && !self.ssrcs.contains(&ssrc)
                {
                    self.ssrcs.push(ssrc);
                }
            }
            "ssrc-group" if words.next() == Some("FID") => {
                let pair: Vec<u32> = words.filter_map(|word| word.parse().ok()).collect();
                if let [media, repair] = pair[..] {
                    self.repairs.push((media, repair));
                }
            }
            "rid" if value.ends_with(" recv") => {
                self.rids.push(words.next().unwrap_or_default().to_owned());
            }
            _ => {}
        }
    }

    pub(crate) fn is_sent(&self) -> bool {
        matches!(self.direction.as_str(), "sendonly" | "sendrecv")
    }
}

/// The offer as the core takes it: it refuses sending sections without an SSRC, which other clients take.
pub(crate) fn palatable(sdp: &str) -> String {
    let read = sections(sdp);
    let lacks_ssrc = |index: usize| {
        read.get(index).is_some_and(|section| {
            section.kind.is_some() && section.is_sent() && section.ssrcs.is_empty()
        })
    };
    let mut out = String::with_capacity(sdp.len() + 64);
    let mut index = None;
    for line in sdp.lines() {
        if line.starts_with("m=") {
            if index.is_some_and(lacks_ssrc) {
                push_ssrc(&mut out, index);
            }
            index = Some(index.map_or(0, |index| index + 1));
        }
        out.push_str(line.trim_end());
        out.push_str("\r\n");
    }
    if index.is_some_and(lacks_ssrc) {
        push_ssrc(&mut out, index);
    }
    out
}

fn push_ssrc(out: &mut String, index: Option<usize>) {
    // Any number that nobody uses.
    let ssrc = 0x5eed_0000 + index.unwrap_or_default();
    out.push_str(&format!("a=ssrc:{ssrc} cname:none\r\n"));
}
