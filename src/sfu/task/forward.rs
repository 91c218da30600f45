//! The way of a packet from its publisher to its subscribers, and what they say about it.
//!
//! Per packet nothing is locked, and nothing waited for.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp::{Header, Packet};

use super::Task;
use super::tracks::{Published, Subscriber, number_of};
use crate::interceptors::registry::AUDIO_LEVEL_ID;
use crate::media::codec::{Codec, is_key_frame};
use crate::media::estimate::INITIAL_BPS;
use crate::media::layers::Demand;
use crate::media::switch::Verdict;
use crate::peer::{PeerKey, Slot};
use crate::session::{Choice, Event, Layer, Publishing, Source};

/// What a packet needs besides its payload, in bytes: IP, UDP, RTP and SRTP.
const OVERHEAD: usize = 28 + 12 + 16;

/// By when a client that reports on what it receives has done so.
const FEEDBACK_EXPECTED: Duration = Duration::from_secs(5);

impl Task {
    /// Sends a publisher's packet to its subscribers.
    pub(super) fn forward(&mut self, key: PeerKey, mid: &str, packet: &Packet, at: Instant) {
        let Some(peer) = self.peers.get(&key) else {
            return;
        };
        let Some(uplink) = peer.uplink_of(mid) else {
            return;
        };
        let publishing = peer.publishing;
        let Some(track_key) = self.tracks.by_uplink.get(&(key, uplink)).copied() else {
            return;
        };
        let Some(track) = self.tracks.all.get_mut(&track_key) else {
            return;
        };
        let size = packet.payload.len() + OVERHEAD;
        if let Some(flows) = self.tracks.flows.get_mut(&key) {
            flows.up.add(size, at);
        }
        let header = &packet.header;
        let Some(layer) = track.layer_of(header.ssrc) else {
            return;
        };
        if let Some(loss) = track.losses.get_mut(layer as usize) {
            loss.add(header.sequence_number, at);
        }
        if !may(publishing, track.info.source) {
            return;
        }
        if !track.is_live {
            self.publish(track_key);
        }
        let Some(track) = self.tracks.all.get_mut(&track_key) else {
            return;
        };
        track.layers.add(layer, size, at);
        let is_video = track.info.source != Source::Mic;
        let is_key = is_video && is_key_frame(track.codec, &packet.payload);
        if is_key {
            self.tracks.key_frames.arrived(&(key, header.ssrc));
        }
        let level = if is_video {
            None
        } else {
            header.get_extension(AUDIO_LEVEL_ID)
        };
        if let Some(level) = &level {
            self.tracks.speakers.level(&key, level, at);
        }
        let mut sent = 0;
        for subscriber in track
            .subscribers
            .iter_mut()
            .filter(|subscriber| subscriber.is_started)
        {
            let Some(mut copy) =
                subscriber.take(track.codec, is_video.then_some((layer, is_key)), packet, at)
            else {
                continue;
            };
            if let Some(level) = &level {
                // The numbers of extensions are the same on all legs.
                let _ = copy.header.set_extension(AUDIO_LEVEL_ID, level.clone());
            }
            let Some(peer) = self.peers.get_mut(&subscriber.peer) else {
                continue;
            };
            if peer.write(copy, at) {
                sent += 1;
                if let Some(flows) = self.tracks.flows.get_mut(&subscriber.peer) {
                    flows.down.add(size, at);
                }
            }
        }
        self.counters.work.forwarded.fetch_add(sent, Relaxed);
    }

    /// What a subscriber reports about a track: it needs a key frame.
    pub(super) fn note_feedback(
        &mut self,
        key: PeerKey,
        track: &str,
        packets: &[Box<dyn rtc::rtcp::Packet>],
        at: Instant,
    ) {
        let Some(slot) = Slot::parse_track(track) else {
            return;
        };
        if !packets
            .iter()
            .any(|packet| packet.as_any().is::<PictureLossIndication>())
        {
            return;
        }
        let is_it = |found: &Subscriber| found.peer == key && found.slot == slot;
        // By the track's number: a client may ask as often as it likes, in rooms of many tracks.
        let carried = self.peers.get(&key).and_then(|peer| peer.carried(slot));
        let track = carried
            .and_then(number_of)
            .and_then(|track| self.tracks.all.get(&track));
        let found = track.and_then(|track| {
            let subscriber = track.subscribers.iter().find(|found| is_it(found))?;
            let layer = subscriber.switch.current().or(subscriber.switch.target())?;
            let ssrc = track.streams.get(layer as usize).copied().flatten()?;
            Some((track.publisher, ssrc))
        });
        if let Some((publisher, ssrc)) = found {
            self.ask_for_key_frame(publisher, ssrc, at);
        }
    }

    /// Asks a publisher for a key frame, unless it was asked lately.
    pub(super) fn ask_for_key_frame(&mut self, publisher: PeerKey, ssrc: u32, now: Instant) {
        if self.tracks.key_frames.request((publisher, ssrc), now) {
            self.send_key_frame_request(publisher, ssrc, now);
        }
    }

    fn send_key_frame_request(&mut self, publisher: PeerKey, media_ssrc: u32, now: Instant) {
        let uplink = self.tracks.all.values().find(|track| {
            track.publisher == publisher && track.streams.contains(&Some(media_ssrc))
        });
        let Some(uplink) = uplink.map(|track| track.uplink) else {
            return;
        };
        let Some(peer) = self.peers.get_mut(&publisher) else {
            return;
        };
        self.counters.work.key_frames.fetch_add(1, Relaxed);
        peer.feed_back(
            uplink,
            vec![Box::new(PictureLossIndication {
                sender_ssrc: 0,
                media_ssrc,
            })],
            now,
        );
    }

    /// What is due a few times per second: layers by what subscribers can receive, key frames that did not come, who speaks.
    pub(super) fn beat_media(&mut self, now: Instant) {
        let keys: Vec<PeerKey> = self
            .peers
            .values()
            .filter(|peer| peer.is_connected)
            .map(|peer| peer.key)
            .collect();
        for key in keys {
            self.choose_layers(key, now);
        }
        for (publisher, ssrc) in self.tracks.key_frames.due(now) {
            self.send_key_frame_request(publisher, ssrc, now);
        }
        if let Some(speaker) = self.tracks.speakers.update(now)
            && let Some(peer) = self.id_of(speaker)
        {
            self.tell(Event::ActiveSpeaker { peer });
        }
    }

    /// Chooses the layers of all videos that a peer is sent, and asks for the key frames that they begin with.
    pub(super) fn choose_layers(&mut self, key: PeerKey, now: Instant) {
        let Some(peer) = self.peers.get(&key) else {
            return;
        };
        // Until there is feedback a path is taken for a usual one; whose client sends none at all gets everything.
        let is_new = now.saturating_duration_since(peer.joined_at) < FEEDBACK_EXPECTED;
        let unknown = if is_new {
            INITIAL_BPS
        } else {
            u64::MAX / 1_000
        };
        let estimate = peer.downlink.estimate_bps().unwrap_or(unknown);
        let setbacks = peer.downlink.setbacks();
        let nacked = peer.downlink.take_nacked();
        self.counters.work.nacks.fetch_add(nacked, Relaxed);
        let mut audio_bps = 0;
        let mut demands = Vec::new();
        let mut tracks = Vec::new();
        for (track_key, track) in &mut self.tracks.all {
            let Some(subscriber) = track
                .subscribers
                .iter()
                .find(|found| found.peer == key && found.is_started)
            else {
                continue;
            };
            let (choice, rates) = (subscriber.choice, track.layers.rates(now));
            if track.info.source == Source::Mic {
                audio_bps += rates.iter().flatten().sum::<u64>();
            } else {
                demands.push(Demand {
                    track: u64::from(*track_key),
                    source: track.info.source,
                    choice,
                    rates,
                });
                tracks.push(*track_key);
            }
        }
        if demands.is_empty() {
            return;
        }
        let Some(flows) = self.tracks.flows.get_mut(&key) else {
            return;
        };
        let layers = flows
            .allocator
            .update(now, estimate, setbacks, audio_bps, &demands);
        let mut needed = Vec::new();
        for ((track_key, demand), layer) in tracks.iter().zip(&demands).zip(layers) {
            let Some(track) = self.tracks.all.get_mut(track_key) else {
                continue;
            };
            let Some(subscriber) = track.subscribers.iter_mut().find(|found| found.peer == key)
            else {
                continue;
            };
            subscriber.switch.aim(layer);
            if let Some(layer) = subscriber.switch.poll(now, &demand.rates)
                && let Some(ssrc) = track.streams.get(layer as usize).copied().flatten()
            {
                needed.push((track.publisher, ssrc));
            }
        }
        for (publisher, ssrc) in needed {
            self.ask_for_key_frame(publisher, ssrc, now);
        }
    }
}

impl Subscriber {
    /// A packet as this subscriber gets it; none where it does not. Video comes with its layer, and whether it begins a key frame.
    fn take(
        &mut self,
        codec: Codec,
        video: Option<(Layer, bool)>,
        packet: &Packet,
        at: Instant,
    ) -> Option<Packet> {
        let header = &packet.header;
        match video {
            None if self.choice == Choice::Off => {
                self.rewriter.cut();
                return None;
            }
            None => {}
            Some((layer, is_key)) => match self.switch.packet(layer, is_key) {
                Verdict::Drop => return None,
                Verdict::Start => self.rewriter.cut(),
                Verdict::Forward => {}
            },
        }
        // Padding that only probes the publisher's own path.
        if packet.payload.is_empty() {
            self.rewriter.skip(header.ssrc, header.sequence_number);
            return None;
        }
        let (sequence_number, timestamp) =
            self.rewriter
                .forward(header.ssrc, header.sequence_number, header.timestamp, at)?;
        let payload = if codec == Codec::Vp8 {
            self.pictures.rewrite(self.rewriter.runs(), &packet.payload)
        } else {
            packet.payload.clone()
        };
        let header = Header {
            version: 2,
            marker: header.marker,
            payload_type: self.payload_type,
            sequence_number,
            timestamp,
            ssrc: self.ssrc,
            ..Header::default()
        };
        Some(Packet { header, payload })
    }
}

pub(super) fn may(publishing: Publishing, source: Source) -> bool {
    match source {
        Source::Mic => publishing.audio,
        Source::Camera => publishing.camera,
        Source::Screen => publishing.screen,
    }
}

/// The share of packets that a publisher's network loses: of its worst stream.
pub(super) fn worst_loss(tracks: &[&Published]) -> f64 {
    let losses = tracks
        .iter()
        .flat_map(|track| track.losses.iter().map(crate::media::meter::Loss::ratio));
    losses.fold(0.0, f64::max)
}
