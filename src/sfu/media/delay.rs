//! Whether a queue stands on the way to a subscriber: how much longer packets take than the fastest of late.
//!
//! Delay that comes and goes says nothing: key frames queue, radio links pause, and a busy machine is late. A queue that stands
//! means that more is sent than the path carries.

use std::collections::VecDeque;

/// A queue of this length is too long.
const LIMIT_US: i64 = 200_000;
/// For this long no packet may have been faster.
const STANDS_US: i64 = 300_000;
/// Where packets take this much longer, more had better not be sent.
const BUSY_US: i64 = 80_000;
/// The fastest packet of this time is what the path takes without a queue; clocks drift by a millisecond meanwhile.
const MEMORY_US: i64 = 10_000_000;
const MEMORY_SPANS: usize = 2;
/// A jump of this length is a clock that was set.
const JUMP_US: i64 = 10_000_000;

/// See the module. Times of sending and of arrival are of different clocks: only their differences over time are used.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// The fastest packet of each span: when the span began, and how long it took.
    fastest: VecDeque<(i64, i64)>,
    latest_us: i64,
    latest_sent_us: i64,
    /// Since when all packets were slow.
    slow_since_us: Option<i64>,
}

impl Queue {
    /// A packet that arrived.
    pub(crate) fn add(&mut self, sent_us: i64, arrived_us: i64) {
        let took_us = arrived_us - sent_us;
        let base_us = self.base_us().unwrap_or(took_us);
        if (took_us - base_us).abs() > JUMP_US {
            *self = Self::default();
        }
        match self.fastest.back_mut() {
            Some((began_us, fastest_us)) if arrived_us - *began_us < MEMORY_US => {
                *fastest_us = (*fastest_us).min(took_us);
            }
            _ => {
                if self.fastest.len() == MEMORY_SPANS {
                    self.fastest.pop_front();
                }
                self.fastest.push_back((arrived_us, took_us));
            }
        }
        self.latest_us = took_us - self.base_us().unwrap_or(took_us);
        self.latest_sent_us = self.latest_sent_us.max(sent_us);
        if self.latest_us < LIMIT_US {
            self.slow_since_us = None;
        } else {
            self.slow_since_us.get_or_insert(sent_us);
        }
    }

    /// Whether a queue stands.
    pub(crate) fn stands(&self) -> bool {
        self.slow_since_us
            .is_some_and(|since| self.latest_sent_us - since >= STANDS_US)
    }

    /// Whether there is enough of a queue not to send more.
    pub(crate) fn is_busy(&self) -> bool {
        self.latest_us > BUSY_US
    }

    /// How much longer the last packet took than the fastest.
    pub(crate) fn length_us(&self) -> i64 {
        self.latest_us
    }

    /// What packets take now is what the path takes: it has changed.
    pub(crate) fn rebase(&mut self) {
        *self = Self::default();
    }

    fn base_us(&self) -> Option<i64> {
        self.fastest.iter().map(|(_, fastest)| *fastest).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets each 20 ms that take so many milliseconds, on clocks that are far apart.
    fn feed(queue: &mut Queue, at_ms: &mut i64, took_ms: impl IntoIterator<Item = i64>) {
        for took in took_ms {
            *at_ms += 20;
            queue.add(*at_ms * 1_000, (*at_ms + took) * 1_000 - 77_000_000);
        }
    }

    #[test]
    fn a_queue_that_stands_is_told_from_delay_that_comes_and_goes() {
        let (mut queue, mut at_ms) = (Queue::default(), 0);
        feed(&mut queue, &mut at_ms, [30; 50]);
        assert!(!queue.stands());
        // Slow, but one packet in ten is fast.
        for _ in 0..50 {
            feed(&mut queue, &mut at_ms, [600; 9]);
            feed(&mut queue, &mut at_ms, [40]);
            assert!(!queue.stands());
        }
        feed(&mut queue, &mut at_ms, [300; 10]);
        assert!(!queue.stands() && queue.is_busy());
        feed(&mut queue, &mut at_ms, [300; 10]);
        assert!(queue.stands());
        feed(&mut queue, &mut at_ms, [100]);
        assert!(!queue.stands());
    }

    #[test]
    fn drift_and_clocks_that_are_set_are_no_queue() {
        let (mut queue, mut at_ms) = (Queue::default(), 0);
        // A millisecond per second is far more than clocks drift.
        feed(
            &mut queue,
            &mut at_ms,
            (0..10_000).map(|step| 30 + step / 50),
        );
        assert!(!queue.stands() && !queue.is_busy());
        feed(&mut queue, &mut at_ms, [90_000; 100]);
        assert!(!queue.stands());
        feed(&mut queue, &mut at_ms, [-90_000; 100]);
        assert!(!queue.stands());
    }
}
