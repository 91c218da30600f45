//! Offers and answers: which sections a peer has, and who may offer when.
//!
//! The server offers first. Sections stay where they are for good: a section whose track is gone becomes inactive and is used
//! again for another track of the same codec, so that descriptions do not grow with those who come and go. One offer is open
//! at a time; what changes meanwhile goes into the next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rtc::media_stream::MediaStreamTrack;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use rtc::rtp_transceiver::{
    RTCRtpReceiverId, RTCRtpTransceiverDirection, RTCRtpTransceiverId, RTCRtpTransceiverInit,
};
use webrtc::peer_connection::{RTCPeerConnection, RTCSdpType, RTCSessionDescription};

use super::Peer;
use super::connection::{MESSAGE_MAX, MESSAGE_TAKEN, internal};
use super::contained::contained;
use super::sdp::{self, Dress, Section, Undress};
use crate::Error;
use crate::media::rewrite::Rewriter;
use crate::session::{Kind, Media, Source};

/// How long an offer stands against the client's own; later, the client may offer, and ours is made again afterwards.
const OFFER_STANDS: Duration = Duration::from_secs(10);

/// How many sections a peer may publish on over its life, its own included: they stay for good.
const UPLINKS_MAX: usize = 64;

/// Who has offered.
#[derive(Debug, Default)]
pub(super) struct Negotiation {
    /// The number of the last offer.
    seq: u64,
    open: Option<Instant>,
    /// Whether the first answer came: until then nothing can be offered anew.
    is_answered: bool,
    /// Whether the client is the DTLS server: it said so in its first answer, and it stays.
    is_client_passive: bool,
}

/// A section on which the peer publishes.
#[derive(Debug)]
pub(crate) struct Uplink {
    pub(crate) source: Source,
    pub(crate) mid: Option<String>,
    transceiver: Option<RTCRtpTransceiverId>,
    /// The streams with which the connection has started it.
    streams: Option<String>,
    /// Whether the client sends on it.
    pub(crate) is_sending: bool,
}

impl Uplink {
    pub(super) fn receiver(&self, connection: &mut RTCPeerConnection) -> Option<RTCRtpReceiverId> {
        connection.rtp_transceiver(self.transceiver?)?.receiver()
    }
}

/// A section on which a track is sent to the peer.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) ssrc: u32,
    pub(crate) payload_type: u8,
    transceiver: RTCRtpTransceiverId,
    mid: Option<String>,
    /// Stream and track id of what it carries; none while it is free.
    pub(crate) carries: Option<(String, Arc<str>)>,
    /// What the last offer said that it carries.
    offered: Option<Arc<str>>,
    /// The numbers of what it carried last: its stream goes on with them.
    pub(crate) left: Option<Rewriter>,
    /// Whether the client knows what it carries.
    pub(crate) is_answered: bool,
}

impl Slot {
    /// The name by which the connection tells of feedback about it.
    pub(crate) fn parse_track(name: &str) -> Option<usize> {
        name.strip_prefix("slot-")?.parse().ok()
    }
}

/// What an answer or offer has changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Uplinks on which nothing is sent any more.
    pub(crate) ended: Vec<usize>,
}

/// The receiving sections of a session's kind, in their order: microphone, camera, screen.
pub(super) fn add_uplinks(
    connection: &mut RTCPeerConnection,
    media: Media,
) -> Result<Vec<Uplink>, Error> {
    let sources: &[Source] = match media {
        Media::None => &[],
        Media::Audio => &[Source::Mic],
        Media::Video => &[Source::Mic, Source::Camera, Source::Screen],
    };
    sources
        .iter()
        .map(|&source| {
            let transceiver = connection
                .add_transceiver_from_kind(codec_kind(source.kind()), None)
                .map_err(internal)?;
            Ok(Uplink {
                source,
                mid: None,
                transceiver: Some(transceiver),
                streams: None,
                is_sending: false,
            })
        })
        .collect()
}

fn codec_kind(kind: Kind) -> RtpCodecKind {
    match kind {
        Kind::Audio => RtpCodecKind::Audio,
        Kind::Video => RtpCodecKind::Video,
    }
}

impl Peer {
    /// Makes room for a track: in a free section of its codec, or in a new one. The peer must be sent an offer then.
    pub(crate) fn add_slot(
        &mut self,
        stream: &str,
        track: &Arc<str>,
        kind: Kind,
        codecs: &[RTCRtpCodecParameters],
    ) -> Result<usize, Error> {
        let Some(payload_type) = codecs.first().map(|codec| codec.payload_type) else {
            return Err(Error::BadDescription("the codec is not supported"));
        };
        self.wants_offer = true;
        let carries = Some((stream.to_owned(), Arc::clone(track)));
        let free = self
            .slots
            .iter()
            .position(|slot| slot.carries.is_none() && slot.payload_type == payload_type);
        if let Some(index) = free
            && let Some(slot) = self.slots.get_mut(index)
        {
            slot.carries = carries;
            slot.is_answered = false;
            set_direction(
                &mut self.connection,
                slot.transceiver,
                RTCRtpTransceiverDirection::Sendonly,
            );
            return Ok(index);
        }
        let index = self.slots.len();
        let ssrc = self.unused_ssrc();
        let coding = RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters {
                ssrc: Some(ssrc),
                ..RTCRtpCodingParameters::default()
            },
            codec: codecs
                .first()
                .map(|codec| codec.rtp_codec.clone())
                .unwrap_or_default(),
            ..RTCRtpEncodingParameters::default()
        };
        let name = format!("slot-{index}");
        let local = MediaStreamTrack::new(
            name.clone(),
            name.clone(),
            name,
            codec_kind(kind),
            vec![coding],
        );
        let init = RTCRtpTransceiverInit {
            direction: RTCRtpTransceiverDirection::Sendonly,
            streams: Vec::new(),
            send_encodings: Vec::new(),
        };
        let connection = &mut self.connection;
        let made = contained(|| {
            let transceiver = connection
                .add_transceiver_from_track(local, Some(init))
                .map_err(internal)?;
            let mut handle = connection
                .rtp_transceiver(transceiver)
                .ok_or(Error::UnknownPeer)?;
            // With what repairs it: the track alone names no codec for that.
            handle
                .set_codec_preferences(codecs.to_vec())
                .map_err(internal)?;
            Ok::<_, Error>(transceiver)
        });
        let transceiver = made.unwrap_or(Err(Error::BadDescription("the track cannot be sent")))?;
        self.slots.push(Slot {
            ssrc,
            payload_type,
            transceiver,
            mid: None,
            carries,
            left: None,
            offered: None,
            is_answered: false,
        });
        Ok(index)
    }

    fn unused_ssrc(&self) -> u32 {
        loop {
            let ssrc = rand::random::<u32>();
            if ssrc != 0 && self.slots.iter().all(|slot| slot.ssrc != ssrc) {
                return ssrc;
            }
        }
    }

    /// A slot's track is gone.
    pub(crate) fn free_slot(&mut self, index: usize, numbers: Rewriter) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        if slot.carries.take().is_some() {
            slot.is_answered = false;
            slot.left = Some(numbers);
            set_direction(
                &mut self.connection,
                slot.transceiver,
                RTCRtpTransceiverDirection::Inactive,
            );
            self.wants_offer = true;
        }
    }

    /// Whether an offer can be made now.
    pub(crate) fn can_offer(&self) -> bool {
        self.negotiation.is_answered && self.negotiation.open.is_none()
    }

    /// The next offer, with its number.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub(crate) fn make_offer(&mut self, now: Instant) -> Result<(String, u64), Error> {
        self.wants_offer = false;
        let connection = &mut self.connection;
        let text = contained(|| {
            let offer = connection.create_offer(None).map_err(internal)?;
            connection
                .set_local_description(now, offer)
                .map_err(internal)?;
            let pending = connection
                .pending_local_description()
                .ok_or(Error::WrongState)?;
            Ok::<_, Error>(pending.sdp)
        });
        let text = text.unwrap_or(Err(Error::BadDescription("no offer can be made")))?;
        for uplink in &mut self.uplinks {
            uplink.mid = uplink.transceiver.and_then(|id| mid_of(connection, id));
        }
        for slot in &mut self.slots {
            slot.offered = slot.carries.as_ref().map(|(_, track)| Arc::clone(track));
            slot.mid = mid_of(connection, slot.transceiver);
        }
        self.negotiation.seq += 1;
        self.negotiation.open = Some(now);
        let text = sdp::dress(&text, |mid| self.dress(mid));
        Ok((
            sdp::with_message_max(&text, MESSAGE_MAX),
            self.negotiation.seq,
        ))
    }

    fn dress(&self, mid: &str) -> Option<Dress> {
        if let Some(uplink) = self
            .uplinks
            .iter()
            .find(|uplink| uplink.mid.as_deref() == Some(mid))
        {
            return Some(Dress::Uplink {
                is_simulcast: self.is_simulcast && uplink.source == Source::Camera,
            });
        }
        let slot = self
            .slots
            .iter()
            .find(|slot| slot.mid.as_deref() == Some(mid))?;
        let (stream, track) = slot.carries.clone()?;
        Some(Dress::Downlink {
            stream,
            track: track.to_string(),
        })
    }

    /// The client's answer to our offer.
    ///
    /// # Errors
    /// [`Error::WrongState`] without an open offer of this number; [`Error::BadDescription`].
    pub(crate) fn accept_answer(
        &mut self,
        text: &str,
        seq: Option<u64>,
        now: Instant,
    ) -> Result<Changes, Error> {
        if self.negotiation.open.is_none() || seq.is_some_and(|seq| seq != self.negotiation.seq) {
            return Err(Error::WrongState);
        }
        let found = check(text)?;
        if found
            .iter()
            .any(|section| section.kind != "application" && !self.knows(&section.mid))
        {
            return Err(Error::BadDescription(
                "it has sections that were not offered",
            ));
        }
        let read = sdp::undress(text, |mid| self.undress(mid, &found));
        let answer = parse(RTCSdpType::Answer, read)?;
        self.channels
            .note_message_max(sdp::attribute(text, "max-message-size"));
        let connection = &mut self.connection;
        let applied = contained(|| connection.set_remote_description(now, answer));
        if !matches!(applied, Some(Ok(()))) {
            self.is_broken = true;
            return Err(unusable(applied.and_then(Result::err)));
        }
        self.negotiation.open = None;
        if !self.negotiation.is_answered {
            self.negotiation.is_answered = true;
            self.negotiation.is_client_passive = sdp::attribute(text, "setup") == Some("passive");
        }
        self.note_slots(&found);
        Ok(self.note_uplinks(&found))
    }

    /// The client's own offer; gives the answer.
    ///
    /// # Errors
    /// [`Error::Glare`] while ours is open; [`Error::BadDescription`].
    pub(crate) fn accept_offer(
        &mut self,
        text: &str,
        now: Instant,
    ) -> Result<(String, Changes), Error> {
        if !self.negotiation.is_answered {
            return Err(Error::Glare);
        }
        let found = check(text)?;
        if let Some(since) = self.negotiation.open {
            if now.saturating_duration_since(since) < OFFER_STANDS {
                return Err(Error::Glare);
            }
            self.take_back(now)?;
        }
        let known = self.uplinks.len();
        self.adopt_sections(&found)?;
        let read = sdp::undress(text, |mid| self.undress(mid, &found));
        let offer = parse(RTCSdpType::Offer, read).inspect_err(|_| self.uplinks.truncate(known))?;
        self.channels
            .note_message_max(sdp::attribute(text, "max-message-size"));
        let connection = &mut self.connection;
        let answered = contained(|| {
            connection.set_remote_description(now, offer)?;
            let answer = connection.create_answer(None)?;
            connection.set_local_description(now, answer)?;
            Ok(connection
                .current_local_description()
                .map(|description| description.sdp))
        });
        let answer = match answered {
            Some(Ok(Some(answer))) => answer,
            other => {
                self.is_broken = true;
                return Err(unusable(other.and_then(Result::err)));
            }
        };
        self.bind_adopted(&found);
        self.note_slots(&found);
        let changes = self.note_uplinks(&found);
        // The connection answers as if nothing were settled; the roles are those of the first answer (RFC 8842 section 5.3).
        let role = if self.negotiation.is_client_passive {
            "active"
        } else {
            "passive"
        };
        let answer = sdp::with_setup(&answer, role);
        let answer = sdp::with_message_max(&answer, MESSAGE_MAX);
        Ok((sdp::dress(&answer, |mid| self.dress_answer(mid)), changes))
    }

    /// In an answer only what we send is named: layers are answered by the connection itself.
    fn dress_answer(&self, mid: &str) -> Option<Dress> {
        self.dress(mid)
            .filter(|dress| matches!(dress, Dress::Downlink { .. }))
    }

    /// Takes our open offer back: its client does not answer it, and has one of its own.
    fn take_back(&mut self, now: Instant) -> Result<(), Error> {
        let connection = &mut self.connection;
        let done = contained(|| {
            let mut rollback = RTCSessionDescription::default();
            rollback.sdp_type = RTCSdpType::Rollback;
            connection.set_local_description(now, rollback)
        });
        if !matches!(done, Some(Ok(()))) {
            self.is_broken = true;
            return Err(unusable(done.and_then(Result::err)));
        }
        self.negotiation.open = None;
        self.wants_offer = true;
        // Sections that only the withdrawn offer had lose their names, which the client may give to its own.
        for slot in &mut self.slots {
            slot.mid = mid_of(connection, slot.transceiver);
        }
        Ok(())
    }

    /// Sections that the client has added itself become uplinks: the first video is the camera, further ones are screens.
    fn adopt_sections(&mut self, found: &[Section]) -> Result<(), Error> {
        let mut adopted: Vec<Uplink> = Vec::new();
        for section in found.iter().filter(|section| section.kind != "application") {
            let is_adopted = |uplink: &Uplink| uplink.mid.as_deref() == Some(&section.mid);
            if section.mid.is_empty() || self.knows(&section.mid) || adopted.iter().any(is_adopted)
            {
                continue;
            }
            if self.uplinks.len() + adopted.len() >= UPLINKS_MAX {
                return Err(Error::BadDescription("it has too many sections of its own"));
            }
            let has_camera = self
                .uplinks
                .iter()
                .chain(&adopted)
                .any(|uplink| uplink.source == Source::Camera);
            let source = match section.kind.as_str() {
                "audio" => Source::Mic,
                "video" if has_camera => Source::Screen,
                "video" => Source::Camera,
                _ => return Err(Error::BadDescription("it has sections of an unknown kind")),
            };
            adopted.push(Uplink {
                source,
                mid: Some(section.mid.clone()),
                transceiver: None,
                streams: None,
                is_sending: false,
            });
        }
        self.uplinks.append(&mut adopted);
        Ok(())
    }

    /// Finds the transceivers that the connection has made for adopted sections.
    fn bind_adopted(&mut self, found: &[Section]) {
        let connection = &mut self.connection;
        let ids: Vec<_> = connection.get_transceivers().collect();
        for uplink in self
            .uplinks
            .iter_mut()
            .filter(|uplink| uplink.transceiver.is_none())
        {
            let is_named = found
                .iter()
                .any(|section| Some(&section.mid) == uplink.mid.as_ref());
            if is_named {
                uplink.transceiver = ids
                    .iter()
                    .copied()
                    .find(|&id| mid_of(connection, id) == uplink.mid);
            }
        }
    }

    fn knows(&self, mid: &str) -> bool {
        let uplinks = self
            .uplinks
            .iter()
            .filter_map(|uplink| uplink.mid.as_deref());
        let slots = self.slots.iter().filter_map(|slot| slot.mid.as_deref());
        uplinks.chain(slots).any(|known| known == mid)
    }

    /// The connection starts a section's receiver whenever its streams are named, and a started receiver that is started again
    /// loses its layers: so a section whose streams are the same as before is handed over without them.
    fn undress(&self, mid: &str, found: &[Section]) -> Undress {
        let Some(uplink) = self
            .uplinks
            .iter()
            .find(|uplink| uplink.mid.as_deref() == Some(mid))
        else {
            return Undress::Keep;
        };
        let section = found.iter().find(|section| section.mid == mid);
        match (section, &uplink.streams) {
            (Some(section), Some(streams)) if section.streams == *streams => Undress::Strip,
            _ => Undress::Name,
        }
    }

    /// A slot is sent on where the client takes it, and was told of what it carries now.
    fn note_slots(&mut self, found: &[Section]) {
        for slot in &mut self.slots {
            let section = found
                .iter()
                .find(|section| Some(&section.mid) == slot.mid.as_ref());
            let Some(section) = section else { continue };
            let carries = slot.carries.as_ref().map(|(_, track)| track);
            slot.is_answered =
                section.receives && carries.is_some() && carries == slot.offered.as_ref();
        }
    }

    fn note_uplinks(&mut self, found: &[Section]) -> Changes {
        let mut changes = Changes::default();
        for (index, uplink) in self.uplinks.iter_mut().enumerate() {
            let section = found
                .iter()
                .find(|section| Some(&section.mid) == uplink.mid.as_ref());
            let Some(section) = section else { continue };
            if section.sends && !section.streams.is_empty() {
                uplink.streams = Some(section.streams.clone());
            }
            if uplink.is_sending && !section.sends {
                changes.ended.push(index);
                // What it sends next is another track, also where browsers keep the number of its stream.
                uplink.streams = None;
            }
            uplink.is_sending = section.sends;
        }
        changes
    }
}

fn set_direction(
    connection: &mut RTCPeerConnection,
    id: RTCRtpTransceiverId,
    direction: RTCRtpTransceiverDirection,
) {
    let _ = contained(|| {
        connection
            .rtp_transceiver(id)
            .map(|mut transceiver| transceiver.set_direction(direction))
    });
}

fn mid_of(connection: &mut RTCPeerConnection, id: RTCRtpTransceiverId) -> Option<String> {
    connection.rtp_transceiver(id)?.mid().clone()
}

/// What every description of a client must have, before the connection changes by it.
fn check(text: &str) -> Result<Vec<Section>, Error> {
    if text.len() > sdp::LENGTH_MAX {
        return Err(Error::BadDescription("it is too long"));
    }
    if !text.starts_with("v=0") {
        return Err(Error::BadDescription("it does not begin with v=0"));
    }
    for name in ["ice-ufrag", "ice-pwd", "fingerprint"] {
        if sdp::attribute(text, name).is_none() {
            return Err(Error::BadDescription(
                "it has no ICE credentials or no fingerprint",
            ));
        }
    }
    let found = sdp::sections(text);
    if found.is_empty() || found.len() > sdp::SECTIONS_MAX {
        return Err(Error::BadDescription("it has no sections, or too many"));
    }
    Ok(found)
}

fn parse(kind: RTCSdpType, text: String) -> Result<RTCSessionDescription, Error> {
    // The connection takes the lower bound of both sides for both directions; ours for what it is sent does not hang on the client.
    let text = sdp::with_message_max(&text, MESSAGE_TAKEN);
    let parsed = contained(|| match kind {
        RTCSdpType::Offer => RTCSessionDescription::offer(text),
        _ => RTCSessionDescription::answer(text),
    });
    match parsed {
        Some(Ok(description)) => Ok(description),
        _ => Err(Error::BadDescription("it cannot be read")),
    }
}

fn unusable(cause: Option<rtc::shared::error::Error>) -> Error {
    if let Some(cause) = cause {
        tracing::debug!(%cause, "a description was refused");
    }
    Error::BadDescription("it does not fit")
}
