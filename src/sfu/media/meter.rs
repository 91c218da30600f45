//! Rates over a sliding window, and loss.

use std::time::{Duration, Instant};

const BUCKETS: usize = 20;

/// Bytes over a sliding window, in microseconds of any clock that does not go far back.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    bucket_us: u64,
    bytes: [u64; BUCKETS],
    total: u64,
    /// The newest bucket, counted from the clock's zero.
    newest: u64,
    first_us: Option<u64>,
}

impl Rate {
    /// The window is at least 20 microseconds.
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            bucket_us: (window.as_micros() as u64 / BUCKETS as u64).max(1),
            bytes: [0; BUCKETS],
            total: 0,
            newest: 0,
            first_us: None,
        }
    }

    /// Counts bytes; what is older than the window is ignored.
    pub(crate) fn add(&mut self, at_us: u64, bytes: usize) {
        self.first_us.get_or_insert(at_us);
        let bucket = at_us / self.bucket_us;
        self.advance(bucket);
        if self.newest - bucket < BUCKETS as u64
            && let Some(held) = self.bytes.get_mut((bucket % BUCKETS as u64) as usize)
        {
            *held += bytes as u64;
            self.total += bytes as u64;
        }
    }

    /// Bits per second over the window that ends now; over the time since the first byte while that is shorter.
    pub(crate) fn bps(&mut self, now_us: u64) -> u64 {
        self.advance(now_us / self.bucket_us);
        let Some(first_us) = self.first_us else {
            return 0;
        };
        let window_us = self.bucket_us * BUCKETS as u64;
        // The newest bucket is not over yet.
        let begun_us = self.newest * self.bucket_us;
        let covered_us = window_us - self.bucket_us + now_us.saturating_sub(begun_us);
        let span_us = now_us
            .saturating_sub(first_us)
            .clamp(self.bucket_us, covered_us.max(self.bucket_us));
        self.total * 8 * 1_000_000 / span_us
    }

    /// How long it has been measuring, at most the window.
    pub(crate) fn span_us(&self, now_us: u64) -> u64 {
        self.first_us
            .map_or(0, |first| now_us.saturating_sub(first))
            .min(self.bucket_us * BUCKETS as u64)
    }

    fn advance(&mut self, bucket: u64) {
        if bucket <= self.newest {
            return;
        }
        let steps = (bucket - self.newest).min(BUCKETS as u64);
        for step in 0..steps {
            if let Some(held) = self
                .bytes
                .get_mut(((bucket - step) % BUCKETS as u64) as usize)
            {
                self.total -= *held;
                *held = 0;
            }
        }
        self.newest = bucket;
    }
}

/// What comes over one direction, for statistics: the rate of the last second, and how many packets there were.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    start: Instant,
    rate: Rate,
    packets: u64,
}

impl Meter {
    const WINDOW: Duration = Duration::from_secs(1);

    pub(crate) fn new(now: Instant) -> Self {
        Self {
            start: now,
            rate: Rate::new(Self::WINDOW),
            packets: 0,
        }
    }

    pub(crate) fn add(&mut self, bytes: usize, at: Instant) {
        self.packets += 1;
        self.rate.add(self.micros(at), bytes);
    }

    pub(crate) fn bps(&mut self, now: Instant) -> u64 {
        let now_us = self.micros(now);
        self.rate.bps(now_us)
    }

    pub(crate) fn packets(&self) -> u64 {
        self.packets
    }

    fn micros(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.start).as_micros() as u64
    }
}

/// Loss of one incoming stream, from its sequence numbers: of the last two to four seconds. What is repaired in time is not lost.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    span: Option<Span>,
    last: f64,
}

#[derive(Clone, Debug)]
struct Span {
    start: Instant,
    first: u64,
    highest: u64,
    received: u64,
}

impl Loss {
    const SPAN: Duration = Duration::from_secs(2);

    pub(crate) fn new() -> Self {
        Self {
            span: None,
            last: 0.0,
        }
    }

    pub(crate) fn add(&mut self, seq: u16, at: Instant) {
        let Some(span) = &mut self.span else {
            // Numbers may come from before the first one.
            let first = u64::from(seq) + (1 << 32);
            self.span = Some(Span {
                start: at,
                first,
                highest: first,
                received: 1,
            });
            return;
        };
        let ahead = seq.wrapping_sub(span.highest as u16).cast_signed();
        if ahead > 0 {
            span.highest += u64::from(ahead.unsigned_abs());
        }
        span.received += 1;
        if at.saturating_duration_since(span.start) >= Self::SPAN {
            self.last = span.loss();
            *span = Span {
                start: at,
                first: span.highest + 1,
                highest: span.highest,
                received: 0,
            };
        }
    }

    /// 0 to 1, of the last whole span and the present one.
    pub(crate) fn ratio(&self) -> f64 {
        match &self.span {
            Some(span) if span.expected() >= 20 => (self.last + span.loss()) / 2.0,
            _ => self.last,
        }
    }
}

impl Span {
    fn expected(&self) -> u64 {
        self.highest + 1 - self.first
    }

    fn loss(&self) -> f64 {
        let expected = self.expected();
        if expected == 0 {
            return 0.0;
        }
        expected.saturating_sub(self.received) as f64 / expected as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_steady_stream_has_its_rate_from_the_start_and_after_a_while() {
        let mut rate = Rate::new(Duration::from_secs(1));
        for ms in 0..5_000 {
            rate.add(ms * 1_000, 125);
            if ms > 300 {
                let bps = rate.bps(ms * 1_000 + 999);
                assert!((900_000..1_100_000).contains(&bps), "{bps} after {ms} ms");
            }
        }
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let mut rate = Rate::new(Duration::from_secs(1));
        rate.add(0, 1_000_000);
        assert!(rate.bps(500_000) > 0);
        assert_eq!(rate.bps(2_000_000), 0);
        // Too old to count.
        rate.add(100_000, 1_000);
        assert_eq!(rate.bps(2_000_000), 0);
    }

    #[test]
    fn loss_is_what_did_not_come() {
        let mut at = Instant::now();
        let mut loss = Loss::new();
        for seq in 0..2_000_u16 {
            at += Duration::from_millis(5);
            if seq % 10 != 3 {
                loss.add(65_000_u16.wrapping_add(seq), at);
            }
        }
        assert!((0.09..0.11).contains(&loss.ratio()), "{}", loss.ratio());
    }

    #[test]
    fn late_packets_are_not_lost() {
        let mut at = Instant::now();
        let mut loss = Loss::new();
        for pair in 0..1_000_u16 {
            at += Duration::from_millis(10);
            loss.add(pair * 2 + 1, at);
            loss.add(pair * 2, at);
        }
        assert!(loss.ratio() < 0.01, "{}", loss.ratio());
    }

    proptest! {
        #[test]
        fn any_times_and_numbers_are_taken(adds in proptest::collection::vec(
            (0_u64..10_000_000, 0_usize..2_000, any::<u16>()), 0..100)) {
            let start = Instant::now();
            let mut rate = Rate::new(Duration::from_millis(500));
            let mut loss = Loss::new();
            for (at_us, bytes, seq) in adds {
                rate.add(at_us, bytes);
                rate.bps(at_us);
                loss.add(seq, start + Duration::from_micros(at_us));
                prop_assert!((0.0..=1.0).contains(&loss.ratio()));
            }
        }
    }
}
