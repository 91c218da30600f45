//! How many messages a participant may send: buckets that fill up again with time, which is an argument.

use std::time::{Duration, Instant};

/// Chats, reactions, states and custom messages per second, on both channels together.
const MESSAGES_PER_S: u32 = 50;
/// Messages of any kind per second, before they are looked at. Candidates and answers come in bursts, and a call must not
/// fail because of a chat.
const ANY_PER_S: u32 = 400;
/// How many times a second somebody is told that a message was refused.
const ERRORS_PER_S: u32 = 50;

/// What a participant may still send.
#[derive(Clone, Debug)]
pub(super) struct Rate {
    any: Bucket,
    messages: Bucket,
    errors: Bucket,
}

impl Rate {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            any: Bucket::full(ANY_PER_S, now),
            messages: Bucket::full(MESSAGES_PER_S, now),
            errors: Bucket::full(ERRORS_PER_S, now),
        }
    }

    /// Counts a message of any kind; false if it must not even be read.
    pub(super) fn takes_any(&mut self, now: Instant) -> bool {
        self.any.take(now)
    }

    /// Counts a message for others; false if there were too many.
    pub(super) fn takes_message(&mut self, now: Instant) -> bool {
        self.messages.take(now)
    }

    /// Counts an error that is told; false if it is not told any more.
    pub(super) fn takes_error(&mut self, now: Instant) -> bool {
        self.errors.take(now)
    }
}

/// Holds a second's worth of tokens and gets as many per second.
#[derive(Clone, Debug)]
struct Bucket {
    per_s: f64,
    left: f64,
    at: Instant,
}

impl Bucket {
    fn full(per_s: u32, now: Instant) -> Self {
        Self {
            per_s: per_s.into(),
            left: per_s.into(),
            at: now,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let passed: Duration = now.saturating_duration_since(self.at);
        self.at = self.at.max(now);
        self.left = (self.left + passed.as_secs_f64() * self.per_s).min(self.per_s);
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fifty_messages_pass_at_once_and_then_fifty_a_second() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        let sent = (0..80).filter(|_| rate.takes_message(start)).count();
        assert_eq!(sent, 50);
        let later = start + Duration::from_millis(100);
        let sent = (0..80).filter(|_| rate.takes_message(later)).count();
        assert_eq!(sent, 5);
        assert!(rate.takes_any(later) && rate.takes_error(later));
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let start = Instant::now() + Duration::from_secs(10);
        let mut bucket = Bucket::full(2, start);
        assert!(bucket.take(start) && bucket.take(start - Duration::from_secs(5)));
        assert!(!bucket.take(start - Duration::from_secs(1)) && !bucket.take(start));
    }

    proptest! {
        #[test]
        fn no_second_has_more_than_two_buckets_full(steps in prop::collection::vec(0_u64..200, 1..400)) {
            let start = Instant::now();
            let mut rate = Rate::new(start);
            let (mut at, mut taken) = (start, Vec::new());
            for ms in steps {
                at += Duration::from_millis(ms);
                if rate.takes_message(at) {
                    taken.push(at);
                }
            }
            for (index, first) in taken.iter().enumerate() {
                let within = taken[index..].iter().filter(|time| **time - *first < Duration::from_secs(1));
                prop_assert!(within.count() <= 100);
            }
            let seconds = (at - start).as_secs_f64();
            prop_assert!(taken.len() as f64 <= 50.0 + 50.0 * seconds + 1.0);
        }
    }
}
