//! Received tracks: what came, what is missing, what to ask for again. Pure: packets and times go in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::description::Section;
use crate::media::{Picture, picture};
use crate::stats::{Kind, Track};

/// Sequence numbers that are remembered, to tell late packets from doubled ones.
const WINDOW: u64 = 2_048;
const WORDS: usize = (WINDOW / 64) as usize;
/// A step that is no loss but a jump.
const SEQUENCE_STEP_MAX: i16 = 500;
const TIMESTAMP_STEP_MAX_SECONDS: u32 = 5;
const NACK_INTERVAL: Duration = Duration::from_millis(20);
const NACK_TRIES_MAX: u32 = 10;
/// Sequence numbers missing at once, at most; older ones are given up.
const NACK_MISSING_MAX: usize = 512;

/// The part of an RTP header that is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
}

impl Header {
    /// Of a datagram that is RTP (RFC 3550, 5.1), encrypted or not.
    pub(crate) fn read(datagram: &[u8]) -> Option<Self> {
        let (fixed, _) = datagram.split_first_chunk::<12>()?;
        let [_, _, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3] = *fixed;
        Some(Self {
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([r0, r1, r2, r3]),
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Arrival {
    /// So many numbers before it have not come yet.
    Newest {
        skipped: u64,
    },
    Jumped,
    Late,
    Duplicate,
}

/// Which sequence numbers came.
#[derive(Debug)]
struct Sequences {
    /// Counted on beyond 16 bits; starts well above 0 so that earlier ones fit below.
    first: u64,
    highest: u64,
    seen: [u64; WORDS],
}

impl Sequences {
    fn new(sequence: u16) -> Self {
        let number = (1 << 32) + u64::from(sequence);
        let mut sequences = Self {
            first: number,
            highest: number,
            seen: [0; WORDS],
        };
        sequences.mark(number);
        sequences
    }

    fn mark(&mut self, number: u64) {
        if let Some(word) = self.seen.get_mut((number % WINDOW / 64) as usize) {
            *word |= 1 << (number % 64);
        }
    }

    fn forget(&mut self, number: u64) {
        if let Some(word) = self.seen.get_mut((number % WINDOW / 64) as usize) {
            *word &= !(1 << (number % 64));
        }
    }

    fn has(&self, number: u64) -> bool {
        let word = self.seen.get((number % WINDOW / 64) as usize);
        word.is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    fn note(&mut self, sequence: u16) -> (u64, Arrival) {
        let step = sequence.wrapping_sub(self.highest as u16).cast_signed();
        let number = self.highest.wrapping_add_signed(i64::from(step));
        if !(-SEQUENCE_STEP_MAX..=SEQUENCE_STEP_MAX).contains(&step) {
            // The source began anew: what was missing stays missing, and nothing between counts.
            let kept = self.highest - self.first;
            *self = Self::new(sequence);
            self.first = self.highest - kept.min(self.highest) - 1;
            return (self.highest, Arrival::Jumped);
        }
        if step > 0 {
            for between in self.highest + 1..=number {
                self.forget(between);
            }
            let skipped = number - self.highest - 1;
            self.highest = number;
            self.mark(number);
            return (number, Arrival::Newest { skipped });
        }
        if self.has(number) {
            return (number, Arrival::Duplicate);
        }
        self.mark(number);
        self.first = self.first.min(number);
        (number, Arrival::Late)
    }

    fn span(&self) -> u64 {
        self.highest - self.first + 1
    }
}

/// What is missing and was asked for.
#[derive(Debug, Default)]
struct Nacks {
    missing: BTreeMap<u64, (u32, Instant)>,
}

impl Nacks {
    fn due(&mut self, now: Instant) -> Vec<u16> {
        while self.missing.len() > NACK_MISSING_MAX {
            self.missing.pop_first();
        }
        self.missing.retain(|_, (tries, _)| *tries < NACK_TRIES_MAX);
        let mut due = Vec::new();
        for (&number, (tries, at)) in &mut self.missing {
            if *at <= now {
                *tries += 1;
                *at = now + NACK_INTERVAL * (*tries).min(4);
                due.push(number as u16);
            }
        }
        due
    }

    fn next_at(&self) -> Option<Instant> {
        self.missing.values().map(|(_, at)| *at).min()
    }
}

/// A track that is received.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) track: Track,
    sequences: Sequences,
    nacks: Nacks,
    picture: Option<Picture>,
}

impl Inbound {
    pub(crate) fn new(header: Header, kind: Kind, section: Option<&Section>, now: Instant) -> Self {
        let of = |read: fn(&Section) -> &String| section.map(read).cloned().unwrap_or_default();
        Self {
            track: Track {
                ssrc: header.ssrc,
                mid: of(|section| &section.mid),
                stream_id: of(|section| &section.stream_id),
                track_id: of(|section| &section.track_id),
                kind,
                first_at: now,
                last_at: now,
                packets: 0,
                bytes: 0,
                missing: 0,
                duplicates: 0,
                late: 0,
                key_frames: 0,
                begins_with_key_frame: false,
                last_sequence: header.sequence,
                last_timestamp: header.timestamp,
                sequence_jumps: 0,
                timestamp_jumps: 0,
                nacked: 0,
                picture_jumps: 0,
                level: None,
            },
            // Just before the first, which is then new.
            sequences: Sequences::new(header.sequence.wrapping_sub(1)),
            nacks: Nacks::default(),
            picture: None,
        }
    }

    /// Takes a packet; its payload where it is decrypted. Whether it is one that had not come before.
    pub(crate) fn note(
        &mut self,
        header: Header,
        bytes: usize,
        payload: Option<&[u8]>,
        now: Instant,
    ) -> bool {
        let is_first = self.track.packets == 0;
        if is_first {
            self.sequences.first = self.sequences.highest + 1;
        }
        self.track.bytes += bytes as u64;
        let (number, arrival) = self.sequences.note(header.sequence);
        let wants_missing = payload.is_some();
        match arrival {
            Arrival::Duplicate => {
                self.track.duplicates += 1;
                return false;
            }
            Arrival::Late => {
                self.track.late += 1;
                self.nacks.missing.remove(&number);
            }
            Arrival::Jumped => {
                self.track.sequence_jumps += 1;
                self.nacks.missing.clear();
            }
            Arrival::Newest { skipped } if wants_missing => {
                let missing = (number - skipped)..number;
                // The first request goes out a moment later: the packet may only be late.
                let at = now + NACK_INTERVAL / 4;
                self.nacks
                    .missing
                    .extend(missing.map(|number| (number, (0, at))));
            }
            Arrival::Newest { .. } => {}
        }
        self.track.packets += 1;
        self.track.last_at = now;
        if arrival != Arrival::Late {
            self.step(header, is_first);
        }
        if let (Some(payload), Kind::Video) = (payload, self.track.kind)
            && let Some(picture) = picture(payload)
        {
            self.show(picture, is_first);
        }
        self.track.missing = self.sequences.span().saturating_sub(self.track.packets);
        true
    }

    fn step(&mut self, header: Header, is_first: bool) {
        let clock_hz = match self.track.kind {
            Kind::Audio => 48_000,
            Kind::Video => 90_000,
        };
        let step = header.timestamp.wrapping_sub(self.track.last_timestamp);
        let step = step.cast_signed().unsigned_abs();
        if !is_first && step > clock_hz * TIMESTAMP_STEP_MAX_SECONDS {
            self.track.timestamp_jumps += 1;
        }
        self.track.last_sequence = header.sequence;
        self.track.last_timestamp = header.timestamp;
    }

    fn show(&mut self, picture: Picture, is_first: bool) {
        self.track.key_frames += u64::from(picture.begins_key_frame);
        self.track.begins_with_key_frame |= is_first && picture.begins_key_frame;
        if let (Some(now), Some(before)) = (picture.id, self.picture.and_then(|last| last.id)) {
            let step = now.wrapping_sub(before) & 0x7fff;
            // Half the range back is a packet of an earlier picture that came late.
            if step > 1 && step < 0x4000 {
                self.track.picture_jumps += 1;
            }
            if step >= 0x4000 {
                return;
            }
        }
        self.picture = Some(picture);
    }

    /// What to ask for again now.
    pub(crate) fn nacks(&mut self, now: Instant) -> Vec<u16> {
        let due = self.nacks.due(now);
        self.track.nacked += due.len() as u64;
        due
    }

    pub(crate) fn next_nack_at(&self) -> Option<Instant> {
        self.nacks.next_at()
    }
}
