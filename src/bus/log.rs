//! The bounded log of one topic. Time is an argument; nothing here reads a clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::event::{Event, EventId};

/// How much a topic's log keeps; whichever bound is reached first drops the oldest events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Most events.
    pub events_max: usize,
    /// Oldest age.
    pub age_max: Duration,
    /// Most bytes of encoded events.
    pub bytes_max: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            events_max: 1_000,
            age_max: Duration::from_secs(600),
            bytes_max: 4 << 20,
        }
    }
}

/// What a log can still give to somebody who saw all up to an id.
#[derive(Debug)]
pub(super) struct Replay {
    /// Events were missed that the log no longer has.
    pub(super) gap: bool,
    /// What the log has after the id, oldest first.
    pub(super) events: Vec<Arc<Event>>,
}

/// The bytes of all logs of a bus together.
#[derive(Debug)]
pub(super) struct LogBudget {
    pub(super) bytes_max: usize,
    pub(super) bytes: AtomicUsize,
}

impl LogBudget {
    fn is_spent(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.bytes_max
    }
}

#[derive(Debug)]
pub(super) struct TopicLog {
    limits: LogLimits,
    budget: Arc<LogBudget>,
    entries: VecDeque<(Instant, Arc<Event>)>,
    bytes: usize,
    /// The highest position that is no longer, or never was, in the log.
    floor: u64,
}

impl TopicLog {
    /// An empty log of a topic that has given ids up to `seq`.
    pub(super) fn new(limits: LogLimits, seq: u64, budget: Arc<LogBudget>) -> Self {
        Self {
            limits,
            budget,
            entries: VecDeque::new(),
            bytes: 0,
            floor: seq,
        }
    }

    pub(super) fn set_limits(&mut self, limits: LogLimits) {
        self.limits = limits;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn append(&mut self, event: Arc<Event>, now: Instant) {
        let weight = event.weight_bytes();
        self.bytes += weight;
        self.budget.bytes.fetch_add(weight, Ordering::Relaxed);
        self.entries.push_back((now, event));
        self.trim(now);
    }

    /// Drops what the limits no longer allow.
    pub(super) fn trim(&mut self, now: Instant) {
        while let Some((at, event)) = self.entries.front() {
            // Where all logs together are too large, those that are written to give way.
            let over = self.entries.len() > self.limits.events_max
                || self.bytes > self.limits.bytes_max
                || self.budget.is_spent();
            if !over && now.saturating_duration_since(*at) < self.limits.age_max {
                break;
            }
            let weight = event.weight_bytes();
            self.bytes -= weight;
            self.budget.bytes.fetch_sub(weight, Ordering::Relaxed);
            self.floor = event.id().seq;
            self.entries.pop_front();
        }
        // A burst must not keep its memory for ever.
        if self.entries.capacity() > 64 && self.entries.len() * 4 < self.entries.capacity() {
            self.entries.shrink_to(self.entries.len() * 2);
        }
    }

    /// Takes events out, wherever they stand; nobody is told of a gap. Gives how many there were.
    pub(super) fn retract(&mut self, is_taken_back: impl Fn(&Event) -> bool) -> usize {
        let (before, mut freed) = (self.entries.len(), 0);
        self.entries.retain(|(_, event)| {
            let goes = is_taken_back(event);
            freed += if goes { event.weight_bytes() } else { 0 };
            !goes
        });
        self.bytes -= freed;
        self.budget.bytes.fetch_sub(freed, Ordering::Relaxed);
        before - self.entries.len()
    }

    /// What somebody who saw all up to `after` still has to get; `seq` is the topic's newest position, `boot` its run.
    pub(super) fn replay(&self, after: EventId, boot: u64, seq: u64) -> Replay {
        let gap = after.boot != boot || after.seq < self.floor || after.seq > seq;
        let start = if after.boot == boot {
            self.entries
                .partition_point(|(_, event)| event.id().seq <= after.seq)
        } else {
            0
        };
        Replay {
            gap,
            events: self
                .entries
                .range(start..)
                .map(|(_, event)| event.clone())
                .collect(),
        }
    }
}

impl Drop for TopicLog {
    fn drop(&mut self) {
        self.budget.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::bus::{Message, Topic};

    const BOOT: u64 = 1;

    fn event(seq: u64, bytes: usize) -> Arc<Event> {
        let topic = Topic::new("t").expect("valid");
        Arc::new(Event::encode(
            topic,
            EventId { boot: BOOT, seq },
            Message::new(Bytes::from(vec![b'x'; bytes])),
        ))
    }

    fn budget(bytes_max: usize) -> Arc<LogBudget> {
        Arc::new(LogBudget {
            bytes_max,
            bytes: AtomicUsize::new(0),
        })
    }

    fn filled(limits: LogLimits, count: u64, start: Instant) -> TopicLog {
        let mut log = TopicLog::new(limits, 0, budget(usize::MAX));
        for seq in 1..=count {
            log.append(event(seq, 10), start + Duration::from_secs(seq));
        }
        log
    }

    /// (gap, the positions replayed)
    fn replayed(log: &TopicLog, boot: u64, after: u64, seq: u64) -> (bool, Vec<u64>) {
        let replay = log.replay(EventId { boot, seq: after }, BOOT, seq);
        (
            replay.gap,
            replay.events.iter().map(|e| e.id().seq).collect(),
        )
    }

    #[test]
    fn replay_gives_what_came_after_the_id() {
        let log = filled(LogLimits::default(), 4, Instant::now());
        assert_eq!(replayed(&log, BOOT, 2, 4), (false, vec![3, 4]));
        assert_eq!(replayed(&log, BOOT, 4, 4), (false, vec![]));
        assert_eq!(replayed(&log, BOOT, 0, 4), (false, vec![1, 2, 3, 4]));
    }

    #[test]
    fn ids_the_log_cannot_place_are_gaps() {
        let log = filled(
            LogLimits {
                events_max: 2,
                ..LogLimits::default()
            },
            4,
            Instant::now(),
        );
        assert_eq!(replayed(&log, BOOT, 1, 4), (true, vec![3, 4]));
        assert_eq!(replayed(&log, BOOT, 2, 4), (false, vec![3, 4]));
        assert_eq!(replayed(&log, BOOT, 9, 4), (true, vec![]));
        assert_eq!(replayed(&log, BOOT + 1, 4, 4), (true, vec![3, 4]));
    }

    #[test]
    fn events_leave_by_age() {
        let start = Instant::now();
        let mut log = filled(
            LogLimits {
                age_max: Duration::from_secs(10),
                ..LogLimits::default()
            },
            4,
            start,
        );
        log.trim(start + Duration::from_secs(12));
        assert_eq!(replayed(&log, BOOT, 2, 4), (false, vec![3, 4]));
        log.trim(start + Duration::from_secs(14));
        assert!(log.is_empty());
        assert_eq!(replayed(&log, BOOT, 3, 4), (true, vec![]));
        assert_eq!(replayed(&log, BOOT, 4, 4), (false, vec![]));
    }

    #[test]
    fn bytes_are_bounded_even_for_one_large_event() {
        let mut log = TopicLog::new(
            LogLimits {
                bytes_max: 1_000,
                ..LogLimits::default()
            },
            0,
            budget(usize::MAX),
        );
        let now = Instant::now();
        for seq in 1..=100 {
            log.append(event(seq, 100), now);
            assert!(log.bytes <= 1_000);
        }
        log.append(event(101, 5_000), now);
        assert!(log.is_empty());
        assert_eq!(log.bytes, 0);
    }

    #[test]
    fn retracted_events_are_not_replayed_and_leave_no_gap() {
        let mut log = filled(LogLimits::default(), 4, Instant::now());
        let bytes = log.bytes;
        assert_eq!(log.retract(|event| matches!(event.id().seq, 1 | 3)), 2);
        assert_eq!(replayed(&log, BOOT, 0, 4), (false, vec![2, 4]));
        assert_eq!(log.bytes * 2, bytes);
        assert_eq!(log.budget.bytes.load(Ordering::Relaxed), log.bytes);
    }

    #[test]
    fn all_logs_together_are_bounded() {
        let shared = budget(1_000);
        let mut logs = [(); 3].map(|()| TopicLog::new(LogLimits::default(), 0, shared.clone()));
        let now = Instant::now();
        for seq in 1..=50 {
            for log in &mut logs {
                log.append(event(seq, 50), now);
                assert!(shared.bytes.load(Ordering::Relaxed) <= 1_000);
            }
        }
        drop(logs);
        assert_eq!(shared.bytes.load(Ordering::Relaxed), 0);
    }
}
