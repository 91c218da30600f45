//! Who speaks, from the levels that clients put on their audio packets (RFC 6464): 0 is the loudest, 127 is silence, in dBov.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Silence.
const SILENT: f64 = 127.0;
/// From this level on somebody speaks, and below the other no longer.
const SPEAKS: f64 = 45.0;
const IS_SILENT: f64 = 55.0;
/// How fast the smoothed level rises and falls.
const RISE: Duration = Duration::from_millis(150);
const FALL: Duration = Duration::from_millis(500);
/// Packets that are this late mean silence: with DTX there is one each 400 ms.
const PAUSE_MAX: Duration = Duration::from_millis(450);
/// How much louder somebody has to be than who speaks already, and for how long.
const LOUDER: f64 = 6.0;
const LOUDER_FOR: Duration = Duration::from_millis(400);
/// The least time between changes.
const INTERVAL: Duration = Duration::from_millis(500);
const PEERS_MAX: usize = 4_096;

#[derive(Debug)]
struct Voice {
    level: f64,
    last: Instant,
    is_speaking: bool,
}

impl Voice {
    /// Moves the smoothed level towards another one.
    fn move_to(&mut self, level: f64, at: Instant) {
        let time = if level < self.level { RISE } else { FALL };
        let elapsed = at
            .saturating_duration_since(self.last)
            .min(PAUSE_MAX)
            .as_secs_f64();
        let share = 1.0 - (-elapsed / time.as_secs_f64()).exp();
        self.level += (level - self.level) * share;
        self.last = self.last.max(at);
        self.is_speaking = if self.is_speaking {
            self.level < IS_SILENT
        } else {
            self.level <= SPEAKS
        };
    }

    fn rest(&mut self, now: Instant) {
        if now.saturating_duration_since(self.last) >= PAUSE_MAX {
            self.move_to(SILENT, now);
        }
    }
}

/// The speakers of a session.
#[derive(Debug)]
pub(crate) struct Speakers<K> {
    voices: HashMap<K, Voice>,
    dominant: Option<K>,
    challenger: Option<(K, Instant)>,
    changed: Option<Instant>,
}

impl<K: Clone + Eq + Hash> Speakers<K> {
    pub(crate) fn new() -> Self {
        Self {
            voices: HashMap::new(),
            dominant: None,
            challenger: None,
            changed: None,
        }
    }

    /// The level of a packet: the value of the header extension. Nothing else is to be fed for peers that are muted.
    pub(crate) fn level(&mut self, peer: &K, extension: &[u8], at: Instant) {
        let Some(level) = extension.first().map(|byte| f64::from(byte & 0x7f)) else {
            return;
        };
        if let Some(voice) = self.voices.get_mut(peer) {
            voice.move_to(level, at);
        } else if self.voices.len() < PEERS_MAX {
            let voice = Voice {
                level: SILENT,
                last: at,
                is_speaking: false,
            };
            self.voices.insert(peer.clone(), voice);
        }
    }

    /// The peer is muted or gone. Who spoke last stays the last speaker only while it is there.
    pub(crate) fn remove(&mut self, peer: &K) {
        self.voices.remove(peer);
        if self.dominant.as_ref() == Some(peer) {
            self.dominant = None;
        }
        if self
            .challenger
            .as_ref()
            .is_some_and(|(challenger, _)| challenger == peer)
        {
            self.challenger = None;
        }
    }

    /// Whether the peer speaks now.
    pub(crate) fn is_speaking(&self, peer: &K) -> bool {
        self.voices.get(peer).is_some_and(|voice| voice.is_speaking)
    }

    /// Who speaks above all others, when that has changed. To be asked every 100 ms or so; changes are never closer than 500 ms.
    pub(crate) fn update(&mut self, now: Instant) -> Option<K> {
        for voice in self.voices.values_mut() {
            voice.rest(now);
        }
        let (loudest, level) = self
            .voices
            .iter()
            .filter(|(_, voice)| voice.is_speaking)
            .min_by(|(_, one), (_, other)| one.level.total_cmp(&other.level))
            .map(|(peer, voice)| (peer.clone(), voice.level))?;
        if self.dominant.as_ref() == Some(&loudest) {
            self.challenger = None;
            return None;
        }
        let current = self
            .dominant
            .as_ref()
            .and_then(|peer| self.voices.get(peer));
        if let Some(current) = current
            && current.is_speaking
        {
            if level + LOUDER > current.level {
                self.challenger = None;
                return None;
            }
            match &self.challenger {
                Some((challenger, since)) if *challenger == loudest => {
                    if now.saturating_duration_since(*since) < LOUDER_FOR {
                        return None;
                    }
                }
                _ => {
                    self.challenger = Some((loudest, now));
                    return None;
                }
            }
        }
        if self
            .changed
            .is_some_and(|at| now.saturating_duration_since(at) < INTERVAL)
        {
            return None;
        }
        self.changed = Some(now);
        self.challenger = None;
        self.dominant = Some(loudest.clone());
        Some(loudest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Room {
        speakers: Speakers<u32>,
        now: Instant,
        changes: Vec<(u64, u32)>,
        ms: u64,
    }

    impl Room {
        fn new() -> Self {
            Self {
                speakers: Speakers::new(),
                now: Instant::now(),
                changes: Vec::new(),
                ms: 0,
            }
        }

        /// Packets each 20 ms with the levels of peers 0, 1, ...; `None` sends nothing.
        fn talk(&mut self, ms: u64, levels: &[Option<u8>]) {
            for _ in 0..ms / 20 {
                self.now += Duration::from_millis(20);
                self.ms += 20;
                for (peer, level) in levels.iter().enumerate() {
                    if let Some(level) = level {
                        self.speakers
                            .level(&(peer as u32), &[0x80 | level], self.now);
                    }
                }
                if let Some(peer) = self.speakers.update(self.now) {
                    self.changes.push((self.ms, peer));
                }
            }
        }

        fn peers(&self) -> Vec<u32> {
            self.changes.iter().map(|(_, peer)| *peer).collect()
        }
    }

    #[test]
    fn who_speaks_becomes_dominant_and_stays_it_in_silence() {
        let mut room = Room::new();
        room.talk(2_000, &[Some(90), Some(25)]);
        assert_eq!(room.peers(), [1]);
        assert!(room.speakers.is_speaking(&1));
        assert!(!room.speakers.is_speaking(&0));
        room.talk(3_000, &[Some(90), Some(90)]);
        assert_eq!(room.peers(), [1]);
        assert!(!room.speakers.is_speaking(&1));
        room.talk(1_000, &[Some(30), Some(90)]);
        assert_eq!(room.peers(), [1, 0]);
    }

    #[test]
    fn a_cough_changes_nothing() {
        let mut room = Room::new();
        room.talk(2_000, &[Some(30), Some(90)]);
        room.talk(100, &[Some(30), Some(5)]);
        room.talk(2_000, &[Some(30), Some(90)]);
        assert_eq!(room.peers(), [0]);
    }

    #[test]
    fn two_who_speak_alike_do_not_alternate() {
        let mut room = Room::new();
        for _ in 0..20 {
            room.talk(300, &[Some(28), Some(30)]);
            room.talk(300, &[Some(31), Some(27)]);
        }
        assert_eq!(room.peers().len(), 1);
    }

    #[test]
    fn changes_are_never_closer_than_half_a_second() {
        let mut room = Room::new();
        for step in 0..200_u64 {
            let turn = step % 3;
            let level = |peer| Some(if turn == peer { 10 } else { 100 });
            room.talk(100 + step, &[level(0), level(1), level(2)]);
        }
        assert!(room.changes.len() > 3);
        assert!(
            room.changes
                .windows(2)
                .all(|pair| pair[1].0 - pair[0].0 >= 500)
        );
    }

    #[test]
    fn who_sends_nothing_falls_silent() {
        let mut room = Room::new();
        room.talk(1_000, &[Some(20)]);
        assert!(room.speakers.is_speaking(&0));
        room.talk(3_000, &[None]);
        assert!(!room.speakers.is_speaking(&0));
    }

    #[test]
    fn who_is_gone_makes_room() {
        let mut room = Room::new();
        room.talk(1_000, &[Some(10), Some(40)]);
        assert_eq!(room.peers(), [0]);
        room.speakers.remove(&0);
        assert_eq!(room.speakers.dominant, None);
        room.talk(1_000, &[None, Some(40)]);
        assert_eq!(room.peers(), [0, 1]);
        room.speakers.level(&7, &[], room.now);
        assert!(!room.speakers.is_speaking(&7));
    }
}
