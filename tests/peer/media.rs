//! Synthetic media: packets that look like Opus (RFC 7587) and VP8 (RFC 7741) to whoever reads headers and descriptors, with
//! the time of sending at the end of each payload.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::plan::Publication;
use crate::stats::Kind;

/// The longest payload; with headers, extensions and SRTP below the usual 1,400 bytes.
const PAYLOAD_MAX: usize = 1_250;
const DESCRIPTOR_BYTES: usize = 6;
const STAMP: [u8; 8] = *b"\x00rtn\xfft\x00m";
const STAMP_BYTES: usize = 16;
/// A key frame's length, in frames of the others.
const KEY_FRAME_WEIGHT: usize = 4;
/// A source that is later than this does not catch up.
const BEHIND_MAX: Duration = Duration::from_millis(500);
const VIDEO_CLOCK_HZ: u32 = 90_000;
const AUDIO_SAMPLES: u32 = 960;
/// Opus packets start with a byte that tells mode, bandwidth and length: CELT, fullband, 20 ms, mono (RFC 6716, 3.1).
const OPUS_TOC: u8 = 0xf8;

/// Nanoseconds since the first call in this process; what packets are stamped with.
#[must_use]
pub fn clock_nanos() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The stamp of a payload, if it has one.
pub(crate) fn stamp_of(payload: &[u8]) -> Option<u64> {
    let stamp = payload.last_chunk::<STAMP_BYTES>()?;
    let (magic, nanos) = stamp.split_first_chunk::<8>()?;
    (magic == &STAMP).then(|| u64::from_be_bytes(nanos.try_into().unwrap_or_default()))
}

fn stamp(payload: &mut Vec<u8>) {
    payload.extend_from_slice(&STAMP);
    payload.extend_from_slice(&clock_nanos().to_be_bytes());
}

/// A packet to send; the rest of its header is the sender's.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) layer: usize,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) payload: Bytes,
}

/// One encoding.
#[derive(Debug)]
struct Layer {
    sequence: u16,
    timestamp: u32,
    picture_id: u16,
    key_frame_count: u8,
    /// Parts of the publication's bitrate, in hundredths.
    share: u32,
    width: u16,
    frames_until_key: u32,
    is_on: bool,
}

/// A source of packets on a schedule.
#[derive(Debug)]
pub(crate) struct Media {
    pub(crate) kind: Kind,
    publication: Publication,
    layers: Vec<Layer>,
    next: Instant,
    pub(crate) key_frames: u64,
}

impl Media {
    /// `start` is when the first packet is due; `seed` varies the numbers that headers begin with.
    pub(crate) fn new(publication: Publication, kind: Kind, start: Instant, seed: u64) -> Self {
        let shares: &[(u32, u16)] = if publication.is_simulcast && kind == Kind::Video {
            &[(10, 320), (33, 640), (100, 1280)]
        } else {
            &[(100, 1280)]
        };
        let layers = (1..).zip(shares).map(|(number, &(share, width))| {
            let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(number);
            Layer {
                sequence: mixed as u16,
                timestamp: (mixed >> 16) as u32,
                picture_id: (mixed >> 8) as u16 & 0x7fff,
                key_frame_count: 0,
                share,
                width,
                frames_until_key: 0,
                is_on: true,
            }
        });
        Self {
            kind,
            layers: layers.collect(),
            publication,
            next: start,
            key_frames: 0,
        }
    }

    pub(crate) fn next_at(&self) -> Instant {
        self.next
    }

    pub(crate) fn level(&self) -> u8 {
        self.publication.level
    }

    pub(crate) fn set_level(&mut self, level: u8) {
        self.publication.level = level;
    }

    /// Whether a layer sends; the others go on.
    pub(crate) fn set_layer(&mut self, layer: usize, is_on: bool) {
        if let Some(layer) = self.layers.get_mut(layer) {
            layer.is_on = is_on;
            layer.frames_until_key = 0;
        }
    }

    /// The layer's next frame is a key frame.
    pub(crate) fn want_key_frame(&mut self, layer: usize) {
        if let Some(layer) = self.layers.get_mut(layer) {
            layer.frames_until_key = 0;
        }
    }

    /// What is due, and nothing before its time.
    pub(crate) fn due(&mut self, now: Instant, out: &mut Vec<Packet>) {
        let rate = self.publication.frames_per_second.max(1);
        let interval = Duration::from_secs(1) / rate;
        if now > self.next + BEHIND_MAX {
            self.next = now;
        }
        while self.next <= now {
            self.next += interval;
            match self.kind {
                Kind::Audio => self.sound(out),
                Kind::Video => self.pictures(rate, out),
            }
        }
    }

    fn sound(&mut self, out: &mut Vec<Packet>) {
        let bytes = (self.publication.bitrate_bps / 8 / 50) as usize;
        let Some(layer) = self.layers.first_mut() else {
            return;
        };
        let mut payload = Vec::with_capacity(bytes.max(STAMP_BYTES + 1));
        payload.push(OPUS_TOC);
        payload.resize(bytes.saturating_sub(STAMP_BYTES).max(1), 0x5a);
        stamp(&mut payload);
        out.push(Packet {
            layer: 0,
            sequence: layer.sequence,
            timestamp: layer.timestamp,
            marker: false,
            payload: payload.into(),
        });
        layer.sequence = layer.sequence.wrapping_add(1);
        layer.timestamp = layer.timestamp.wrapping_add(AUDIO_SAMPLES);
    }

    fn pictures(&mut self, rate: u32, out: &mut Vec<Packet>) {
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let is_key = layer.frames_until_key == 0;
            if layer.is_on {
                let bitrate = u64::from(self.publication.bitrate_bps) * u64::from(layer.share);
                let bytes = (bitrate / 100 / 8 / u64::from(rate)) as usize;
                let bytes = if is_key {
                    bytes * KEY_FRAME_WEIGHT
                } else {
                    bytes
                };
                self.key_frames += u64::from(is_key);
                layer.frame(index, bytes, is_key, out);
            }
            layer.frames_until_key = if is_key {
                self.publication.key_frame_interval.max(1) - 1
            } else {
                layer.frames_until_key - 1
            };
            layer.timestamp = layer.timestamp.wrapping_add(VIDEO_CLOCK_HZ / rate);
        }
    }
}

impl Layer {
    fn frame(&mut self, layer: usize, bytes: usize, is_key: bool, out: &mut Vec<Packet>) {
        self.key_frame_count = self.key_frame_count.wrapping_add(u8::from(is_key));
        let count = bytes.div_ceil(PAYLOAD_MAX).max(1);
        // Equal parts, as Chromium's packetizer makes them.
        let part = (bytes / count).clamp(DESCRIPTOR_BYTES + 10 + STAMP_BYTES, PAYLOAD_MAX);
        for index in 0..count {
            let mut payload = Vec::with_capacity(part);
            self.describe(index == 0, &mut payload);
            if index == 0 {
                self.begin(is_key, bytes, &mut payload);
            }
            payload.resize(part - STAMP_BYTES, 0xa5);
            stamp(&mut payload);
            out.push(Packet {
                layer,
                sequence: self.sequence,
                timestamp: self.timestamp,
                marker: index + 1 == count,
                payload: payload.into(),
            });
            self.sequence = self.sequence.wrapping_add(1);
        }
        self.picture_id = (self.picture_id + 1) & 0x7fff;
    }

    /// The payload descriptor (RFC 7741, 4.2): picture id of 15 bits, TL0PICIDX, temporal layer 0.
    fn describe(&self, begins: bool, payload: &mut Vec<u8>) {
        let [high, low] = self.picture_id.to_be_bytes();
        let start = if begins { 0x10 } else { 0 };
        let base_index = low;
        payload.extend_from_slice(&[0x80 | start, 0xf0, 0x80 | high, low, base_index]);
        payload.push(self.key_frame_count & 0x1f);
    }

    /// The start of a VP8 frame (RFC 6386, 9.1).
    fn begin(&self, is_key: bool, bytes: usize, payload: &mut Vec<u8>) {
        let tag = (((bytes / 4) as u32 & 0x7_ffff) << 5) | 0x10 | u32::from(!is_key);
        let [first, second, third, _] = tag.to_le_bytes();
        payload.extend_from_slice(&[first, second, third]);
        if is_key {
            let height = self.width / 16 * 9;
            payload.extend_from_slice(&[0x9d, 0x01, 0x2a]);
            payload.extend_from_slice(&self.width.to_le_bytes());
            payload.extend_from_slice(&height.to_le_bytes());
        }
    }
}

/// What a VP8 payload says of its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) id: Option<u16>,
    pub(crate) begins: bool,
    pub(crate) begins_key_frame: bool,
}

/// Reads the descriptor and the first byte of a frame; nothing where the payload is too short.
pub(crate) fn picture(payload: &[u8]) -> Option<Picture> {
    let first = *payload.first()?;
    let begins = first & 0x10 != 0 && first & 0x07 == 0;
    let mut at = 1;
    let mut id = None;
    if first & 0x80 != 0 {
        let extension = *payload.get(at)?;
        at += 1;
        if extension & 0x80 != 0 {
            let high = *payload.get(at)?;
            at += 1;
            id = Some(u16::from(high & 0x7f));
            if high & 0x80 != 0 {
                id = Some(u16::from(high & 0x7f) << 8 | u16::from(*payload.get(at)?));
                at += 1;
            }
        }
        at += usize::from(extension & 0x40 != 0);
        at += usize::from(extension & 0x30 != 0);
    }
    let is_key = payload.get(at)? & 1 == 0;
    Some(Picture {
        id,
        begins,
        begins_key_frame: begins && is_key,
    })
}
