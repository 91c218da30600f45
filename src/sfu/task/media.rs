//! Media of a session: which tracks there are and who gets them.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use rtc::rtp_transceiver::RTCRtpSenderId;
use rtc::rtp_transceiver::rtp_sender::{RTCRtpCodec, RTCRtpCodecParameters};

use super::Task;
use crate::Error;
use crate::interceptors::registry;
use crate::media::codec::{Codec, is_key_frame};
use crate::media::rewrite::Rewriter;
use crate::peer::{Peer, PeerKey, Slot};
use crate::session::{Choice, Event, Layer, Publishing, Source, Subscription, Track};

/// A track's number within its session; never used again.
pub(super) type TrackKey = u32;

/// The tracks of a session.
#[derive(Default)]
pub(super) struct Tracks {
    pub(super) all: HashMap<TrackKey, Published>,
    by_uplink: HashMap<(PeerKey, usize), TrackKey>,
    next: TrackKey,
}

/// A track that a peer publishes.
pub(super) struct Published {
    pub(super) publisher: PeerKey,
    pub(super) uplink: usize,
    pub(super) info: Track,
    pub(super) codec: Codec,
    /// The codec, and what repairs it, as they are sent.
    sending: Vec<RTCRtpCodecParameters>,
    pub(super) streams: [Option<u32>; 3],
    pub(super) subscribers: Vec<Subscriber>,
    /// Whether a packet came, and others were told.
    is_live: bool,
}

/// A peer that is sent a track.
pub(super) struct Subscriber {
    pub(super) peer: PeerKey,
    slot: usize,
    pub(super) sender: RTCRtpSenderId,
    pub(super) ssrc: u32,
    pub(super) payload_type: u8,
    pub(super) rewriter: Rewriter,
    pub(super) choice: Choice,
    pub(super) current: Option<Layer>,
    /// Whether its client knows the section, and its connection stands.
    pub(super) is_started: bool,
}

impl Task {
    /// A stream of a publisher's section is there.
    pub(super) fn note_stream(
        &mut self,
        key: PeerKey,
        mid: &str,
        ssrc: u32,
        rid: Option<&str>,
        codec: &RTCRtpCodec,
    ) {
        let Some(peer) = self.peers.get(&key) else {
            return;
        };
        let Some(uplink) = peer
            .uplinks
            .iter()
            .position(|uplink| uplink.mid.as_deref() == Some(mid))
        else {
            return;
        };
        let Some(source) = peer.uplinks.get(uplink).map(|uplink| uplink.source) else {
            return;
        };
        let Some(kind) = Codec::from_mime(&codec.mime_type) else {
            tracing::debug!(codec = %codec.mime_type, "a stream of an unknown codec");
            return;
        };
        let layer = match rid {
            Some(rid) if !rid.is_empty() => match Layer::from_rid(rid) {
                Some(layer) => layer,
                None => return,
            },
            _ => Layer::Full,
        };
        let id = peer.id.clone();
        let at = (key, uplink);
        // Another codec is another track: its subscribers' sections are of the old one.
        if let Some(old) = self.tracks.by_uplink.get(&at)
            && self
                .tracks
                .all
                .get(old)
                .is_some_and(|track| track.codec != kind)
        {
            self.unpublish(key, uplink);
        }
        let track = match self.tracks.by_uplink.get(&at) {
            Some(track) => *track,
            None => {
                let track = self.tracks.next;
                self.tracks.next += 1;
                self.tracks.by_uplink.insert(at, track);
                let info = Track {
                    peer: id,
                    id: format!("{}-{track}", name(source)).into(),
                    source,
                };
                let published = Published {
                    publisher: key,
                    uplink,
                    info,
                    codec: kind,
                    sending: registry::sending(codec),
                    streams: [None; 3],
                    subscribers: Vec::new(),
                    is_live: false,
                };
                self.tracks.all.insert(track, published);
                track
            }
        };
        if let Some(stream) = self
            .tracks
            .all
            .get_mut(&track)
            .and_then(|track| track.streams.get_mut(layer as usize))
        {
            *stream = Some(ssrc);
        }
    }

    /// Sends a publisher's packet to its subscribers.
    pub(super) fn forward(
        &mut self,
        key: PeerKey,
        mid: &str,
        packet: rtc::rtp::Packet,
        at: Instant,
    ) {
        let Some(peer) = self.peers.get(&key) else {
            return;
        };
        let Some(index) = peer
            .uplinks
            .iter()
            .position(|uplink| uplink.mid.as_deref() == Some(mid))
        else {
            return;
        };
        let publishing = peer.publishing;
        let Some(track_key) = self.tracks.by_uplink.get(&(key, index)).copied() else {
            return;
        };
        let Some(track) = self.tracks.all.get_mut(&track_key) else {
            return;
        };
        if !may(publishing, track.info.source) {
            return;
        }
        if !track.is_live {
            self.publish(track_key);
        }
        let Some(track) = self.tracks.all.get_mut(&track_key) else {
            return;
        };
        let Some(layer) = Layer::ALL
            .into_iter()
            .find(|layer| track.streams.get(*layer as usize) == Some(&Some(packet.header.ssrc)))
        else {
            return;
        };
        let is_key = is_key_frame(track.codec, &packet.payload);
        let mut sent = 0;
        for subscriber in track
            .subscribers
            .iter_mut()
            .filter(|subscriber| subscriber.is_started)
        {
            if packet.payload.is_empty() {
                subscriber
                    .rewriter
                    .skip(packet.header.ssrc, packet.header.sequence_number);
                continue;
            }
            if subscriber.choice == Choice::Off {
                subscriber.rewriter.cut();
                continue;
            }
            if subscriber.current != Some(layer) {
                if !is_key && track.info.source != Source::Mic
                    || subscriber.current.is_some_and(|current| current > layer)
                {
                    continue;
                }
                subscriber.current = Some(layer);
            }
            let numbers = subscriber.rewriter.forward(
                packet.header.ssrc,
                packet.header.sequence_number,
                packet.header.timestamp,
                at,
            );
            let Some((sequence_number, timestamp)) = numbers else {
                continue;
            };
            let Some(peer) = self.peers.get_mut(&subscriber.peer) else {
                continue;
            };
            let header = rtc::rtp::Header {
                version: 2,
                marker: packet.header.marker,
                payload_type: subscriber.payload_type,
                sequence_number,
                timestamp,
                ssrc: subscriber.ssrc,
                ..rtc::rtp::Header::default()
            };
            let copy = rtc::rtp::Packet {
                header,
                payload: packet.payload.clone(),
            };
            sent += u64::from(peer.write(subscriber.sender, copy, at));
        }
        self.counters.work.forwarded.fetch_add(sent, Relaxed);
    }

    /// A track is live: all others get a section for it.
    fn publish(&mut self, track_key: TrackKey) {
        let Some(track) = self.tracks.all.get_mut(&track_key) else {
            return;
        };
        track.is_live = true;
        let publisher = track.publisher;
        for peer in self.peers.values_mut().filter(|peer| peer.key != publisher) {
            add_subscriber(track, peer);
        }
        let info = track.info.clone();
        self.tell(Event::Published(info));
    }

    /// Sections for all tracks that are there, for the first offer of a peer.
    pub(super) fn offer_present_tracks(&mut self, peer: &mut Peer) {
        for track in self.tracks.all.values_mut().filter(|track| track.is_live) {
            add_subscriber(track, peer);
        }
    }

    /// A track is gone.
    pub(super) fn unpublish(&mut self, key: PeerKey, uplink: usize) {
        let Some(track) = self.tracks.by_uplink.remove(&(key, uplink)) else {
            return;
        };
        let Some(track) = self.tracks.all.remove(&track) else {
            return;
        };
        for subscriber in &track.subscribers {
            if let Some(peer) = self.peers.get_mut(&subscriber.peer) {
                peer.free_slot(subscriber.slot);
            }
        }
        if track.is_live {
            self.tell(Event::Unpublished(track.info));
        }
    }

    /// What a peer is sent can start once its client knows the sections and its connection stands.
    pub(super) fn start_slots(&mut self, key: PeerKey, now: Instant) {
        let Some(peer) = self.peers.get(&key) else {
            return;
        };
        if !peer.is_connected {
            return;
        }
        let mut started = Vec::new();
        for (track_key, track) in &mut self.tracks.all {
            for subscriber in track
                .subscribers
                .iter_mut()
                .filter(|subscriber| subscriber.peer == key && !subscriber.is_started)
            {
                if peer
                    .slots
                    .get(subscriber.slot)
                    .is_some_and(|slot| slot.is_answered)
                {
                    subscriber.is_started = true;
                    started.push(*track_key);
                }
            }
        }
        for track in started {
            self.ask_for_key_frame(track, now);
        }
    }

    fn ask_for_key_frame(&mut self, track: TrackKey, now: Instant) {
        let Some(track) = self.tracks.all.get(&track) else {
            return;
        };
        if track.info.source == Source::Mic {
            return;
        }
        let Some(peer) = self.peers.get_mut(&track.publisher) else {
            return;
        };
        let packets: Vec<Box<dyn rtc::rtcp::Packet>> = track
            .streams
            .iter()
            .flatten()
            .map(|&media_ssrc| {
                let request =
                    rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication {
                        sender_ssrc: 0,
                        media_ssrc,
                    };
                Box::new(request) as Box<dyn rtc::rtcp::Packet>
            })
            .collect();
        self.counters.work.key_frames.fetch_add(1, Relaxed);
        peer.feed_back(track.uplink, packets, now);
    }

    /// What a subscriber reports about a track.
    pub(super) fn note_feedback(
        &mut self,
        key: PeerKey,
        track: &str,
        packets: &[Box<dyn rtc::rtcp::Packet>],
        at: Instant,
    ) {
        use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
        use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
        let Some(slot) = Slot::parse_track(track) else {
            return;
        };
        let wants_key = packets.iter().any(|packet| {
            let packet = packet.as_any();
            packet.is::<PictureLossIndication>() || packet.is::<FullIntraRequest>()
        });
        if !wants_key {
            return;
        }
        let found = self
            .tracks
            .all
            .iter()
            .find(|(_, track)| {
                track
                    .subscribers
                    .iter()
                    .any(|subscriber| subscriber.peer == key && subscriber.slot == slot)
            })
            .map(|(key, _)| *key);
        if let Some(track) = found {
            self.ask_for_key_frame(track, at);
        }
    }

    pub(super) fn subscribe(&mut self, wanted: &Subscription, now: Instant) -> Result<(), Error> {
        let subscriber = self.key(&wanted.subscriber)?;
        let publisher = self.key(&wanted.publisher)?;
        let mut changed = Vec::new();
        for (key, track) in self
            .tracks
            .all
            .iter_mut()
            .filter(|(_, track)| track.publisher == publisher)
        {
            if wanted
                .source
                .is_some_and(|source| source != track.info.source)
            {
                continue;
            }
            for found in track
                .subscribers
                .iter_mut()
                .filter(|found| found.peer == subscriber)
            {
                found.choice = wanted.choice;
                changed.push(*key);
            }
        }
        for track in changed {
            self.ask_for_key_frame(track, now);
        }
        Ok(())
    }

    pub(super) fn allow(&mut self, key: PeerKey, publishing: Publishing) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.publishing = publishing;
        }
    }

    pub(super) fn published(&self) -> Vec<Track> {
        self.tracks
            .all
            .values()
            .filter(|track| track.is_live)
            .map(|track| track.info.clone())
            .collect()
    }

    /// A peer is gone, and what it published and got with it.
    pub(super) fn forget_media(&mut self, key: PeerKey, peer: &Peer) {
        for uplink in 0..peer.uplinks.len() {
            self.unpublish(key, uplink);
        }
        for track in self.tracks.all.values_mut() {
            track
                .subscribers
                .retain(|subscriber| subscriber.peer != key);
        }
    }

    pub(super) fn beat_media(&mut self, _now: Instant) {}
}

fn add_subscriber(track: &mut Published, peer: &mut Peer) {
    let stream = track.info.peer.as_str();
    let slot = match peer.add_slot(
        stream,
        &track.info.id,
        track.info.source.kind(),
        &track.sending,
    ) {
        Ok(slot) => slot,
        Err(error) => {
            tracing::warn!(peer = %peer.id, %error, "a track cannot be sent");
            return;
        }
    };
    let Some(made) = peer.slots.get(slot) else {
        return;
    };
    track.subscribers.push(Subscriber {
        peer: peer.key,
        slot,
        sender: made.sender,
        ssrc: made.ssrc,
        payload_type: made.payload_type,
        rewriter: Rewriter::new(track.codec.clock_rate()),
        choice: Choice::Auto,
        current: None,
        is_started: false,
    });
}

fn may(publishing: Publishing, source: Source) -> bool {
    match source {
        Source::Mic => publishing.audio,
        Source::Camera => publishing.camera,
        Source::Screen => publishing.screen,
    }
}

fn name(source: Source) -> &'static str {
    match source {
        Source::Mic => "mic",
        Source::Camera => "camera",
        Source::Screen => "screen",
    }
}
