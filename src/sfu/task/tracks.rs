//! Which tracks a session has and who is sent them.

use std::collections::HashMap;
use std::time::Instant;

use rtc::rtp_transceiver::rtp_sender::{RTCRtpCodec, RTCRtpCodecParameters};

use super::Task;
use super::forward::may;
use crate::Error;
use crate::interceptors::registry;
use crate::media::codec::Codec;
use crate::media::keyframes::KeyFrames;
use crate::media::layers::{Allocator, TrackLayers};
use crate::media::meter::{Loss, Meter};
use crate::media::rewrite::Rewriter;
use crate::media::speaker::Speakers;
use crate::media::switch::Switch;
use crate::media::vp8::PictureIds;
use crate::peer::{Peer, PeerKey};
use crate::session::{Choice, Event, Layer, PeerId, Publishing, Source, Subscription, Track};

/// A track's number within its session; never used again.
pub(super) type TrackKey = u32;

/// How many choices a peer may have made about others.
const CHOICES_MAX: usize = 4_096;

/// The media of a session.
pub(super) struct Tracks {
    pub(super) all: HashMap<TrackKey, Published>,
    pub(super) by_uplink: HashMap<(PeerKey, usize), TrackKey>,
    /// By publisher and SSRC.
    pub(super) key_frames: KeyFrames<(PeerKey, u32)>,
    pub(super) speakers: Speakers<PeerKey>,
    /// What each peer gets and sends in all.
    pub(super) flows: HashMap<PeerKey, Flows>,
    next: TrackKey,
}

impl Tracks {
    pub(super) fn new() -> Self {
        Self {
            all: HashMap::new(),
            by_uplink: HashMap::new(),
            key_frames: KeyFrames::new(),
            speakers: Speakers::new(),
            flows: HashMap::new(),
            next: 0,
        }
    }
}

/// What is measured and decided for a peer over all its tracks.
pub(super) struct Flows {
    pub(super) up: Meter,
    pub(super) down: Meter,
    pub(super) allocator: Allocator,
    /// What it wants of others; kept for tracks to come.
    choices: HashMap<(PeerId, Option<Source>), Choice>,
}

/// A track that a peer publishes.
pub(super) struct Published {
    pub(super) publisher: PeerKey,
    pub(super) uplink: usize,
    pub(super) info: Track,
    pub(super) codec: Codec,
    /// The codec, and what repairs it, as they are sent.
    sending: Vec<RTCRtpCodecParameters>,
    /// The SSRC of each layer; a track without layers is [`Layer::Full`] alone.
    pub(super) streams: [Option<u32>; 3],
    pub(super) layers: TrackLayers,
    pub(super) losses: [Loss; 3],
    pub(super) subscribers: Vec<Subscriber>,
    /// Whether a packet came, and others were told.
    pub(super) is_live: bool,
}

impl Published {
    pub(super) fn layer_of(&self, ssrc: u32) -> Option<Layer> {
        Layer::ALL
            .into_iter()
            .find(|layer| self.streams.get(*layer as usize) == Some(&Some(ssrc)))
    }
}

/// A peer that is sent a track.
pub(super) struct Subscriber {
    pub(super) peer: PeerKey,
    pub(super) slot: usize,
    pub(super) ssrc: u32,
    pub(super) payload_type: u8,
    pub(super) rewriter: Rewriter,
    pub(super) switch: Switch,
    pub(super) pictures: PictureIds,
    pub(super) choice: Choice,
    /// Whether its client knows the section, and its connection stands.
    pub(super) is_started: bool,
}

impl Task {
    pub(super) fn add_flows(&mut self, key: PeerKey, now: Instant) {
        let flows = Flows {
            up: Meter::new(now),
            down: Meter::new(now),
            allocator: Allocator::new(),
            choices: HashMap::new(),
        };
        self.tracks.flows.insert(key, flows);
    }

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
        let Some(uplink) = peer.uplink_of(mid) else {
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
            Some(rid) if !rid.is_empty() => Layer::from_rid(rid),
            _ => Some(Layer::Full),
        };
        let Some(layer) = layer else { return };
        let id = peer.id.clone();
        let at = (key, uplink);
        // Another codec is another track: its subscribers' sections are of the old one.
        let old = self
            .tracks
            .by_uplink
            .get(&at)
            .and_then(|old| self.tracks.all.get(old));
        if old.is_some_and(|track| track.codec != kind) {
            self.unpublish(key, uplink);
        }
        let track = match self.tracks.by_uplink.get(&at) {
            Some(track) => *track,
            None => {
                let track = self.tracks.next;
                self.tracks.next += 1;
                self.tracks.by_uplink.insert(at, track);
                let published = Published {
                    publisher: key,
                    uplink,
                    info: Track {
                        peer: id,
                        id: format!("{}-{track}", name(source)).into(),
                        source,
                    },
                    codec: kind,
                    sending: registry::sending(codec),
                    streams: [None; 3],
                    layers: TrackLayers::new(Instant::now()),
                    losses: [Loss::new(), Loss::new(), Loss::new()],
                    subscribers: Vec::new(),
                    is_live: false,
                };
                self.tracks.all.insert(track, published);
                track
            }
        };
        let stream = self
            .tracks
            .all
            .get_mut(&track)
            .and_then(|track| track.streams.get_mut(layer as usize));
        if let Some(stream) = stream {
            *stream = Some(ssrc);
        }
    }

    /// A track is live: all others get a section for it.
    pub(super) fn publish(&mut self, track_key: TrackKey) {
        let Some(track) = self.tracks.all.get_mut(&track_key) else {
            return;
        };
        track.is_live = true;
        let publisher = track.publisher;
        for peer in self.peers.values_mut().filter(|peer| peer.key != publisher) {
            let choice = self
                .tracks
                .flows
                .get(&peer.key)
                .map(|flows| flows.choice(&track.info));
            add_subscriber(track, peer, choice.unwrap_or(Choice::Auto));
        }
        let info = track.info.clone();
        self.tell(Event::Published(info));
    }

    /// Sections for all tracks that are there, for the first offer of a peer.
    pub(super) fn offer_present_tracks(&mut self, peer: &mut Peer) {
        for track in self.tracks.all.values_mut().filter(|track| track.is_live) {
            add_subscriber(track, peer, Choice::Auto);
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
        for ssrc in track.streams.iter().flatten() {
            self.tracks.key_frames.forget(&(key, *ssrc));
        }
        if track.info.source == Source::Mic {
            self.tracks.speakers.remove(&key);
        }
        for subscriber in track.subscribers {
            if let Some(peer) = self.peers.get_mut(&subscriber.peer) {
                peer.free_slot(subscriber.slot, subscriber.rewriter);
            }
        }
        if track.is_live {
            self.tell(Event::Unpublished(track.info));
        }
    }

    /// What a peer is sent can start once its client knows the sections and its connection stands.
    pub(super) fn start_slots(&mut self, key: PeerKey, now: Instant) {
        let Some(peer) = self.peers.get(&key).filter(|peer| peer.is_connected) else {
            return;
        };
        let mut has_started = false;
        for track in self.tracks.all.values_mut() {
            for subscriber in track
                .subscribers
                .iter_mut()
                .filter(|found| found.peer == key)
            {
                let is_taken = peer
                    .slots
                    .get(subscriber.slot)
                    .is_some_and(|slot| slot.is_answered);
                has_started |= is_taken && !subscriber.is_started;
                subscriber.is_started = is_taken;
            }
        }
        if has_started {
            self.choose_layers(key, now);
        }
    }

    pub(super) fn subscribe(&mut self, wanted: &Subscription, now: Instant) -> Result<(), Error> {
        let subscriber = self.key(&wanted.subscriber)?;
        let publisher = self.key(&wanted.publisher)?;
        if let Some(flows) = self.tracks.flows.get_mut(&subscriber)
            && flows.choices.len() < CHOICES_MAX
        {
            if wanted.source.is_none() {
                flows
                    .choices
                    .retain(|(peer, _), _| *peer != wanted.publisher);
            }
            flows
                .choices
                .insert((wanted.publisher.clone(), wanted.source), wanted.choice);
        }
        for track in self
            .tracks
            .all
            .values_mut()
            .filter(|track| track.publisher == publisher)
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
            }
        }
        self.choose_layers(subscriber, now);
        Ok(())
    }

    /// What a peer may publish has changed. What it may no longer stops at once.
    pub(super) fn allow(&mut self, key: PeerKey, publishing: Publishing) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        peer.allow(publishing);
        let publishing = peer.publishing;
        if !publishing.audio {
            self.tracks.speakers.remove(&key);
        }
        // What comes after a pause follows without a gap, and video begins with a key frame.
        for track in self
            .tracks
            .all
            .values_mut()
            .filter(|track| track.publisher == key)
        {
            if may(publishing, track.info.source) {
                continue;
            }
            for subscriber in &mut track.subscribers {
                subscriber.rewriter.cut();
                subscriber.switch.aim(None);
            }
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
        self.forget_subscriber(key);
        self.tracks.speakers.remove(&key);
        self.tracks.flows.remove(&key);
    }

    pub(super) fn forget_subscriber(&mut self, key: PeerKey) {
        for track in self.tracks.all.values_mut() {
            track
                .subscribers
                .retain(|subscriber| subscriber.peer != key);
        }
    }
}

impl Flows {
    fn choice(&self, track: &Track) -> Choice {
        let exact = self.choices.get(&(track.peer.clone(), Some(track.source)));
        let any = || self.choices.get(&(track.peer.clone(), None));
        exact.or_else(any).copied().unwrap_or(Choice::Auto)
    }
}

fn add_subscriber(track: &mut Published, peer: &mut Peer, choice: Choice) {
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
    let Some(made) = peer.slots.get_mut(slot) else {
        return;
    };
    track.subscribers.push(Subscriber {
        peer: peer.key,
        slot,
        ssrc: made.ssrc,
        payload_type: made.payload_type,
        // A section that is used again goes on with its numbers.
        rewriter: made
            .left
            .take()
            .unwrap_or_else(|| Rewriter::new(track.codec.clock_rate())),
        switch: Switch::default(),
        pictures: PictureIds::default(),
        choice,
        is_started: false,
    });
}

fn name(source: Source) -> &'static str {
    match source {
        Source::Mic => "mic",
        Source::Camera => "camera",
        Source::Screen => "screen",
    }
}
