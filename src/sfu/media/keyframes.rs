//! Key-frame requests to publishers: many subscribers ask, a publisher is asked once.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// The least time between two requests for one stream.
const INTERVAL: Duration = Duration::from_millis(500);
/// After so many requests without a key frame nobody is there who could send one; a new request begins anew.
const TRIES_MAX: u32 = 12;
/// After so many they slow down, down to one in [`SLOWEST`] intervals.
const TRIES_FAST: u32 = 4;
const SLOWEST: u32 = 4;
/// Streams that are asked for at once.
const STREAMS_MAX: usize = 4_096;

#[derive(Debug)]
struct State {
    asked: Instant,
    tries: u32,
    /// Nobody got a key frame since.
    is_waiting: bool,
}

impl State {
    fn due(&self) -> Option<Instant> {
        let intervals = (1 + self.tries.saturating_sub(TRIES_FAST)).min(SLOWEST);
        (self.is_waiting && self.tries < TRIES_MAX).then(|| self.asked + INTERVAL * intervals)
    }
}

/// Requests by stream: by publisher and SSRC.
#[derive(Debug)]
pub(crate) struct KeyFrames<K> {
    streams: HashMap<K, State>,
}

impl<K: Copy + Eq + Hash> KeyFrames<K> {
    pub(crate) fn new() -> Self {
        Self {
            streams: HashMap::new(),
        }
    }

    /// A subscriber needs a key frame. Whether the publisher is to be asked now; if not, it was asked lately, and will be again
    /// if none comes.
    pub(crate) fn request(&mut self, stream: K, now: Instant) -> bool {
        match self.streams.get_mut(&stream) {
            Some(state) => {
                if !state.is_waiting {
                    state.tries = 0;
                }
                state.is_waiting = true;
                if now.saturating_duration_since(state.asked) < INTERVAL
                    || state.due().is_some_and(|due| now < due)
                {
                    return false;
                }
                if state.tries >= TRIES_MAX {
                    state.tries = 0;
                }
                state.asked = now;
                state.tries += 1;
                true
            }
            None => {
                if self.streams.len() >= STREAMS_MAX {
                    self.streams
                        .retain(|_, state| now.saturating_duration_since(state.asked) < INTERVAL);
                    if self.streams.len() >= STREAMS_MAX {
                        return false;
                    }
                }
                self.streams.insert(
                    stream,
                    State {
                        asked: now,
                        tries: 1,
                        is_waiting: true,
                    },
                );
                true
            }
        }
    }

    /// A key frame came. Everyone who waited has it.
    pub(crate) fn arrived(&mut self, stream: &K) {
        if let Some(state) = self.streams.get_mut(stream) {
            state.is_waiting = false;
            state.tries = 0;
        }
    }

    /// The streams whose publishers are to be asked now, once more or for those who asked meanwhile. To be called each
    /// 100 ms or so.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<K> {
        let mut due = Vec::new();
        for (stream, state) in &mut self.streams {
            if state.due().is_some_and(|at| at <= now) {
                state.asked = now;
                state.tries += 1;
                due.push(*stream);
            }
        }
        due
    }

    /// The stream ended.
    pub(crate) fn forget(&mut self, stream: &K) {
        self.streams.remove(stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_requests_become_one() {
        let now = Instant::now();
        let mut key_frames = KeyFrames::new();
        assert!(key_frames.request((1, 10), now));
        for _ in 0..50 {
            assert!(!key_frames.request((1, 10), now));
        }
        assert!(key_frames.request((1, 11), now), "another stream");
        assert!(key_frames.request((2, 10), now), "another publisher");
    }

    #[test]
    fn it_is_asked_again_until_one_comes() {
        let start = Instant::now();
        let mut key_frames = KeyFrames::new();
        key_frames.request(1, start);
        assert!(key_frames.due(start + INTERVAL / 2).is_empty());
        assert_eq!(key_frames.due(start + INTERVAL), [1]);
        assert!(key_frames.due(start + INTERVAL).is_empty());
        key_frames.arrived(&1);
        assert!(key_frames.due(start + INTERVAL * 10).is_empty());
    }

    #[test]
    fn a_request_soon_after_a_key_frame_waits_its_turn() {
        let start = Instant::now();
        let mut key_frames = KeyFrames::new();
        key_frames.request(1, start);
        key_frames.arrived(&1);
        let soon = start + Duration::from_millis(100);
        assert!(!key_frames.request(1, soon));
        assert_eq!(key_frames.due(soon), Vec::<i32>::new());
        assert_eq!(key_frames.due(start + INTERVAL), [1]);
        key_frames.arrived(&1);
        assert!(
            key_frames.request(1, start + INTERVAL * 3),
            "at once after a while"
        );
    }

    #[test]
    fn a_publisher_that_never_answers_is_left_alone() {
        let mut now = Instant::now();
        let mut key_frames = KeyFrames::new();
        assert!(key_frames.request(1, now));
        let mut asked = 1;
        for _ in 0..10_000 {
            now += Duration::from_millis(20);
            asked += key_frames.due(now).len();
        }
        assert_eq!(asked, TRIES_MAX as usize);
        assert!(key_frames.request(1, now), "someone new may ask");
        key_frames.forget(&1);
        assert!(key_frames.due(now + INTERVAL * 10).is_empty());
    }

    #[test]
    fn requests_are_never_closer_than_the_interval() {
        let mut now = Instant::now();
        let mut key_frames = KeyFrames::new();
        let mut last: Option<Instant> = None;
        for step in 0..5_000_u32 {
            now += Duration::from_millis(7);
            let mut asked = key_frames.due(now).len();
            if step % 3 == 0 {
                asked += usize::from(key_frames.request(1, now));
            }
            if step % 31 == 0 {
                key_frames.arrived(&1);
            }
            assert!(asked <= 1);
            if asked == 1 {
                assert!(last.is_none_or(|last| now - last >= INTERVAL));
                last = Some(now);
            }
        }
    }
}
