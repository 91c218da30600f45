//! How much the way to a subscriber carries.
//!
//! Transport-wide feedback tells for each packet when it arrived. A growing queue or loss lowers the estimate to what arrives;
//! while all is well it rises. A forwarder sends only what publishers send, so little traffic is no sign of a narrow path: the
//! estimate then neither falls nor rises far above what was seen to arrive. What may lie above is found by trying a higher layer
//! ([`Allocator`](super::layers::Allocator)).
//!
//! Where that feedback is missing the receiver's own estimate (REMB) counts, and else the loss of its reports.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::delay::{DelayTrend, Usage};
use super::meter::Rate;

/// What is assumed before any feedback, in bits per second.
pub(crate) const INITIAL_BPS: u64 = 1_000_000;
const MIN_BPS: f64 = 40_000.0;
const MAX_BPS: f64 = 100_000_000.0;
/// Packets whose fate is not known yet.
const HISTORY_MAX: usize = 4_096;
const HISTORY_US: i64 = 2_000_000;
/// Packets that one feedback tells of; more are ignored.
const STATUSES_MAX: usize = 8_192;
const WINDOW: Duration = Duration::from_millis(500);
/// Of a window that is shorter nothing is concluded.
const WINDOW_MIN_US: u64 = 200_000;
/// What is left of what arrives when a queue grows.
const BACK_OFF: f64 = 0.85;
/// A path that delivers this much of what is sent is not congested for good: a key frame queues too.
const DELIVERS: f64 = 0.9;
const BETWEEN_DECREASES: Duration = Duration::from_millis(300);
const LOSS_HIGH: f64 = 0.10;
const LOSS_LOW: f64 = 0.02;
const LOSS_SPAN_US: i64 = 300_000;
const LOSS_PACKETS_MIN: u32 = 20;
/// Growth per second: before anything went wrong, and later.
const GROWTH_FIRST: f64 = 2.0;
const GROWTH: f64 = 1.08;
/// Growth per second near the rate at which it went wrong.
const GROWTH_NEAR_BPS: f64 = 60_000.0;
/// How far above what arrives the estimate rises.
const ABOVE_ACKED: f64 = 1.5;
const ABOVE_ACKED_BPS: f64 = 50_000.0;
/// How long feedback of a kind keeps lesser kinds from counting.
const FEEDBACK_MEMORY: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Unknown,
    Lost,
    Arrived,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    at_us: i64,
    bytes: u32,
    fate: Fate,
}

/// What feedback says of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Missing,
    /// It arrived, this long after the one before (after the feedback's reference time for the first), where that is told.
    Arrived(Option<i64>),
}

/// Where an estimate comes from, the best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Reports,
    Remb,
    Transport,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Estimator {
    start: Instant,
    next: u16,
    /// By transport-wide sequence number without gaps; `next` follows the last one.
    sent: VecDeque<Sent>,
    trend: DelayTrend,
    arrivals: Arrivals,
    /// What was reported, by the time of sending, lost packets included; and what arrived, by the receiver's clock.
    offered: Rate,
    acked: Rate,
    latest_sent_us: i64,
    loss: LossSpan,
    bps: f64,
    /// What arrived when it last went wrong.
    ceiling_bps: Option<f64>,
    setbacks: u32,
    increased: Option<Instant>,
    decreased: Option<Instant>,
    last_kind: Option<(Kind, Instant)>,
}

/// The receiver's clock, counted on over wraps from one second before the first arrival.
#[derive(Debug, Default)]
struct Arrivals {
    reference: Option<(u32, i64)>,
    latest_us: i64,
}

#[derive(Debug, Default)]
struct LossSpan {
    since_us: i64,
    lost: u32,
    total: u32,
    ratio: f64,
}

impl Estimator {
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            start,
            next: 0,
            sent: VecDeque::new(),
            trend: DelayTrend::new(),
            arrivals: Arrivals::default(),
            offered: Rate::new(WINDOW),
            acked: Rate::new(WINDOW),
            latest_sent_us: 0,
            loss: LossSpan::default(),
            bps: INITIAL_BPS as f64,
            ceiling_bps: None,
            setbacks: 0,
            increased: None,
            decreased: None,
            last_kind: None,
        }
    }

    /// In bits per second.
    pub(crate) fn bps(&self) -> u64 {
        self.bps as u64
    }

    /// What arrived of late, in bits per second.
    pub(crate) fn acked_bps(&mut self) -> u64 {
        let latest_us = self.arrivals.latest_us.max(0) as u64;
        self.acked.bps(latest_us)
    }

    /// 0 to 1, of the last moments.
    pub(crate) fn loss(&self) -> f64 {
        self.loss.ratio
    }

    /// How often the estimate had to fall.
    pub(crate) fn setbacks(&self) -> u32 {
        self.setbacks
    }

    /// Notes a packet that leaves; gives its transport-wide sequence number.
    pub(crate) fn send(&mut self, bytes: usize, at: Instant) -> u16 {
        let at_us = self.micros(at);
        while let Some(first) = self.sent.front()
            && (self.sent.len() >= HISTORY_MAX || at_us - first.at_us > HISTORY_US)
        {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent {
            at_us,
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            fate: Fate::Unknown,
        });
        let seq = self.next;
        self.next = self.next.wrapping_add(1);
        seq
    }

    /// Transport-wide feedback: packets from `base` on, the reference time in units of 64 ms (24 bits).
    pub(crate) fn on_feedback(
        &mut self,
        base: u16,
        reference: u32,
        statuses: impl Iterator<Item = Status>,
        at: Instant,
    ) {
        let mut arrived_us = self.arrivals.begin(reference);
        let mut seq = base;
        for status in statuses.take(STATUSES_MAX) {
            let arrival = match status {
                Status::Missing => None,
                Status::Arrived(None) => Some(None),
                Status::Arrived(Some(delta_us)) => {
                    arrived_us += delta_us;
                    Some(Some(arrived_us))
                }
            };
            self.settle(seq, arrival);
            seq = seq.wrapping_add(1);
        }
        self.last_kind = Some((Kind::Transport, at));
        let now_us = self.micros(at);
        self.loss.close(now_us);
        self.judge(at);
    }

    /// The receiver's own estimate.
    pub(crate) fn on_remb(&mut self, bps: f64, at: Instant) {
        if self.counts(Kind::Remb, at) && bps.is_finite() {
            let bps = bps.clamp(MIN_BPS, MAX_BPS);
            if bps < self.bps * BACK_OFF {
                self.setbacks = self.setbacks.wrapping_add(1);
            }
            self.bps = bps;
        }
    }

    /// The share of packets lost since the last receiver report, and what was sent meanwhile.
    pub(crate) fn on_report(&mut self, loss: f64, sent_bps: u64, at: Instant) {
        if !self.counts(Kind::Reports, at) {
            return;
        }
        self.loss.ratio = loss;
        if loss > LOSS_HIGH {
            if self.may_decrease(at) {
                self.fall(self.bps * (1.0 - 0.5 * loss), None, at);
            }
        } else if loss < LOSS_LOW {
            self.rise(sent_bps as f64, at);
        }
    }

    /// What became of a packet; `None` where it is missing, and when it arrived where that is known.
    fn settle(&mut self, seq: u16, arrival: Option<Option<i64>>) {
        let behind = usize::from(self.next.wrapping_sub(seq));
        if behind == 0 {
            return;
        }
        let Some(sent) = self
            .sent
            .len()
            .checked_sub(behind)
            .and_then(|index| self.sent.get_mut(index))
        else {
            return;
        };
        let before = sent.fate;
        sent.fate = match (before, arrival) {
            (Fate::Arrived, _) | (Fate::Lost, None) => return,
            (_, None) => Fate::Lost,
            (_, Some(_)) => Fate::Arrived,
        };
        let sent = *sent;
        if before == Fate::Unknown {
            self.loss.total += 1;
            self.latest_sent_us = self.latest_sent_us.max(sent.at_us);
            self.offered
                .add(sent.at_us.max(0) as u64, sent.bytes as usize);
        }
        match arrival {
            None => self.loss.lost += 1,
            Some(arrived_us) => {
                if before == Fate::Lost {
                    // It was late.
                    self.loss.lost = self.loss.lost.saturating_sub(1);
                }
                let at_us = arrived_us.unwrap_or(self.arrivals.latest_us);
                self.acked.add(at_us.max(0) as u64, sent.bytes as usize);
                self.arrivals.latest_us = self.arrivals.latest_us.max(at_us);
                if before == Fate::Unknown
                    && let Some(arrived_us) = arrived_us
                {
                    self.trend.add(sent.at_us, arrived_us);
                }
            }
        }
    }

    fn judge(&mut self, at: Instant) {
        let acked_us = self.arrivals.latest_us.max(0) as u64;
        let sent_us = self.latest_sent_us.max(0) as u64;
        let is_known = self.acked.span_us(acked_us) >= WINDOW_MIN_US;
        let acked = self.acked.bps(acked_us) as f64;
        let offered = self.offered.bps(sent_us) as f64;
        let loss = self.loss.ratio;
        let usage = self.trend.usage();
        if usage == Usage::Over {
            if self.may_decrease(at) {
                let target = if !is_known {
                    self.bps * BACK_OFF
                } else if acked >= offered * DELIVERS {
                    (self.bps * BACK_OFF).max(acked * 0.95)
                } else {
                    acked * BACK_OFF
                };
                self.fall(target, is_known.then_some(acked), at);
            }
        } else if loss > LOSS_HIGH {
            if self.may_decrease(at) {
                let target = (self.bps * (1.0 - 0.5 * loss)).max(acked * BACK_OFF);
                self.fall(target, is_known.then_some(acked), at);
            }
        } else if usage == Usage::Normal && loss < LOSS_LOW && is_known {
            self.rise(acked, at);
        } else {
            self.increased = Some(at);
        }
    }

    fn may_decrease(&self, at: Instant) -> bool {
        self.decreased
            .is_none_or(|when| at.saturating_duration_since(when) >= BETWEEN_DECREASES)
    }

    fn fall(&mut self, target: f64, ceiling: Option<f64>, at: Instant) {
        self.bps = self.bps.min(target).clamp(MIN_BPS, MAX_BPS);
        self.ceiling_bps = ceiling.or(self.ceiling_bps);
        self.setbacks = self.setbacks.wrapping_add(1);
        self.decreased = Some(at);
        self.increased = Some(at);
    }

    fn rise(&mut self, acked: f64, at: Instant) {
        let since = self.increased.replace(at).map_or(0.0, |when| {
            at.saturating_duration_since(when).as_secs_f64().min(1.0)
        });
        let is_near = self
            .ceiling_bps
            .is_some_and(|ceiling| (0.8 * ceiling..1.2 * ceiling).contains(&self.bps));
        let risen = if is_near {
            self.bps + GROWTH_NEAR_BPS * since
        } else if self.setbacks == 0 {
            self.bps * GROWTH_FIRST.powf(since)
        } else {
            self.bps * GROWTH.powf(since)
        };
        let bound = acked * ABOVE_ACKED + ABOVE_ACKED_BPS;
        // What arrived without harm is carried.
        self.bps = self
            .bps
            .max(risen.min(bound))
            .max(acked)
            .clamp(MIN_BPS, MAX_BPS);
    }

    /// Whether feedback of this kind counts: none of a better kind came lately.
    fn counts(&mut self, kind: Kind, at: Instant) -> bool {
        let counts = self.last_kind.is_none_or(|(last, when)| {
            kind >= last || at.saturating_duration_since(when) > FEEDBACK_MEMORY
        });
        if counts {
            self.last_kind = Some((kind, at));
        }
        counts
    }

    fn micros(&self, at: Instant) -> i64 {
        at.saturating_duration_since(self.start).as_micros() as i64
    }
}

impl Arrivals {
    /// The time that a feedback's first delta counts from.
    fn begin(&mut self, reference: u32) -> i64 {
        const UNIT_US: i64 = 64_000;
        const WRAP: i64 = 1 << 24;
        let reference = reference & 0x00ff_ffff;
        let time_us = match self.reference {
            None => 1_000_000,
            Some((before, before_us)) => {
                let mut ahead = i64::from(reference) - i64::from(before);
                if ahead > WRAP / 2 {
                    ahead -= WRAP;
                } else if ahead < -WRAP / 2 {
                    ahead += WRAP;
                }
                before_us + ahead * UNIT_US
            }
        };
        self.reference = Some((reference, time_us));
        time_us
    }
}

impl LossSpan {
    /// Concludes once there is enough to conclude from.
    fn close(&mut self, now_us: i64) {
        if now_us - self.since_us < LOSS_SPAN_US || self.total < LOSS_PACKETS_MIN {
            return;
        }
        *self = Self {
            since_us: now_us,
            ratio: f64::from(self.lost.min(self.total)) / f64::from(self.total),
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests;
