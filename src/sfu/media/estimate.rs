//! How much the way to a subscriber carries.
//!
//! Transport-wide feedback tells for each packet when it arrived. Only evidence lowers the estimate: loss, or a queue that stands.
//! It then falls to a little less than what arrives, never further; while all is well it rises. A forwarder sends only what
//! publishers send, so little traffic is no sign of a narrow path: the estimate then neither falls nor rises far above what was
//! seen to arrive. What may lie above is found by trying a higher layer ([`Allocator`](super::layers::Allocator)).
//!
//! Where that feedback is missing the receiver's own estimate (REMB) counts, and else the loss of its reports.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::delay::Queue;
use super::meter::Rate;

/// What is assumed before any feedback, in bits per second.
pub(crate) const INITIAL_BPS: u64 = 2_000_000;
const MIN_BPS: f64 = 40_000.0;
const MAX_BPS: f64 = 100_000_000.0;
/// While all is well the estimate rises to this, however little is sent.
const CALM_BPS: f64 = 400_000.0;
/// Packets whose fate is not known yet.
const HISTORY_MAX: usize = 4_096;
const HISTORY_US: i64 = 10_000_000;
/// Packets that one feedback tells of; more are ignored.
const STATUSES_MAX: usize = 8_192;
const WINDOW: Duration = Duration::from_millis(500);
/// Of a window that is shorter nothing is concluded.
const WINDOW_MIN_US: u64 = 200_000;
/// What is left of what arrives when it goes wrong.
const BACK_OFF: f64 = 0.85;
const BETWEEN_DECREASES: Duration = Duration::from_millis(300);
/// A path that delivers this much of what is sent, with a queue that does not shrink for [`PATH_CHANGED`], is just longer now.
const DELIVERS: f64 = 0.95;
const PATH_CHANGED: Duration = Duration::from_secs(3);
/// Loss that is too much, and with which more may be sent.
const LOSS_HIGH: f64 = 0.05;
const LOSS_LOW: f64 = 0.03;
/// Loss that does not lessen when less is sent is the path's own: up to this share it is borne.
const LOSS_OWN_MAX: f64 = 0.25;
/// What loss is concluded from: so much time, so many packets, and so many lost ones to call it too much.
const LOSS_SPAN_US: i64 = 400_000;
const LOSS_PACKETS_MIN: u32 = 20;
const LOST_MIN: u32 = 3;
/// Growth per second: before anything went wrong, and later.
const GROWTH_FIRST: f64 = 2.0;
const GROWTH: f64 = 1.3;
/// How far above what arrives the estimate rises.
const ABOVE_ACKED: f64 = 1.5;
const ABOVE_ACKED_BPS: f64 = 50_000.0;
/// How long the rate at which it went wrong is not exceeded; it doubles where it goes wrong at the same rate again.
const HOLD_MIN: Duration = Duration::from_secs(4);
const HOLD_MAX: Duration = Duration::from_secs(60);
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
    queue: Queue,
    arrivals: Arrivals,
    /// What was reported, by the time of sending, lost packets included; and what arrived, by the receiver's clock.
    offered: Rate,
    acked: Rate,
    latest_sent_us: i64,
    loss: LossSpan,
    bps: f64,
    ceiling: Option<Ceiling>,
    setbacks: u32,
    increased: Option<Instant>,
    decreased: Option<Instant>,
    /// Since when a queue stands, and how long it was then.
    stands: Option<(Instant, i64)>,
    last_kind: Option<(Kind, Instant)>,
}

/// The receiver's clock, counted on over wraps from one second before the first arrival.
#[derive(Debug, Default)]
struct Arrivals {
    reference: Option<(u32, i64)>,
    latest_us: i64,
}

/// What arrived when it last went wrong, and until when no more is thought possible.
#[derive(Debug)]
struct Ceiling {
    bps: f64,
    until: Instant,
    hold: Duration,
}

#[derive(Debug, Default)]
struct LossSpan {
    since_us: i64,
    lost: u32,
    total: u32,
    /// Of the last whole span.
    ratio: f64,
    /// Whether that is too much, and was not acted upon.
    is_high: bool,
    /// The share that the path loses anyway.
    own: f64,
    /// The loss, and what was offered, when something was done about it.
    acted_on: Option<(f64, f64)>,
}

impl Estimator {
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            start,
            next: 0,
            sent: VecDeque::new(),
            queue: Queue::default(),
            arrivals: Arrivals::default(),
            offered: Rate::new(WINDOW),
            acked: Rate::new(WINDOW),
            latest_sent_us: 0,
            loss: LossSpan::default(),
            bps: INITIAL_BPS as f64,
            ceiling: None,
            setbacks: 0,
            increased: None,
            decreased: None,
            stands: None,
            last_kind: None,
        }
    }

    /// In bits per second.
    pub(crate) fn bps(&self) -> u64 {
        self.bps as u64
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
                let arrives = sent_bps as f64 * (1.0 - loss);
                let target = (self.bps * (1.0 - loss)).max(arrives * BACK_OFF);
                self.fall(target, arrives, at);
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
                    self.queue.add(sent.at_us, arrived_us);
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
        if !self.queue.stands() {
            self.stands = None;
        }
        let may_decrease = is_known && self.may_decrease(at);
        if self.queue.stands() {
            self.increased = Some(at);
            if self.is_longer_path(acked, offered, at) {
                self.queue.rebase();
                self.stands = None;
            } else if may_decrease {
                self.fall(acked * BACK_OFF, acked, at);
            }
        } else if self.loss.is_high {
            self.increased = Some(at);
            if may_decrease && !self.loss.is_own(offered) {
                let target = (self.bps * (1.0 - self.loss.ratio)).max(acked * BACK_OFF);
                self.fall(target, acked, at);
            }
        } else if is_known && self.loss.ratio <= self.loss.low() && !self.queue.is_busy() {
            self.rise(acked, at);
        } else {
            self.increased = Some(at);
        }
    }

    /// Whether what looks like a queue is a path that has become longer: everything arrives, and sending less does not shrink it.
    fn is_longer_path(&mut self, acked: f64, offered: f64, at: Instant) -> bool {
        let length_us = self.queue.length_us();
        let (since, length_then_us) = *self.stands.get_or_insert((at, length_us));
        acked >= offered * DELIVERS
            && self.loss.ratio <= LOSS_LOW
            && length_us >= length_then_us * 4 / 5
            && at.saturating_duration_since(since) >= PATH_CHANGED
    }

    fn may_decrease(&self, at: Instant) -> bool {
        self.decreased
            .is_none_or(|when| at.saturating_duration_since(when) >= BETWEEN_DECREASES)
    }

    fn fall(&mut self, target: f64, acked: f64, at: Instant) {
        self.bps = self.bps.min(target).clamp(MIN_BPS, MAX_BPS);
        let again = self
            .ceiling
            .as_ref()
            .filter(|before| (0.7..1.4).contains(&(acked / before.bps.max(1.0))));
        let hold = match again {
            // One course of events may have many steps.
            Some(before) if at < before.until => before.hold,
            Some(before) => (before.hold * 2).min(HOLD_MAX),
            None => HOLD_MIN,
        };
        self.ceiling = Some(Ceiling {
            bps: acked,
            until: at + hold,
            hold,
        });
        self.setbacks = self.setbacks.wrapping_add(1);
        self.decreased = Some(at);
        self.increased = Some(at);
    }

    fn rise(&mut self, acked: f64, at: Instant) {
        let since = self.increased.replace(at).map_or(0.0, |when| {
            at.saturating_duration_since(when).as_secs_f64().min(1.0)
        });
        let growth = if self.setbacks == 0 {
            GROWTH_FIRST
        } else {
            GROWTH
        };
        let mut bound = (acked * ABOVE_ACKED + ABOVE_ACKED_BPS).max(CALM_BPS);
        if let Some(ceiling) = &self.ceiling
            && at < ceiling.until
        {
            bound = bound.min(ceiling.bps);
        }
        // What arrived without harm is carried.
        self.bps = self
            .bps
            .max((self.bps * growth.powf(since)).min(bound))
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
        let lost = self.lost.min(self.total);
        self.ratio = f64::from(lost) / f64::from(self.total);
        self.is_high = self.ratio > self.high() && lost >= LOST_MIN;
        if self.ratio < self.own / 3.0 {
            self.own *= 0.9;
        }
        if self.ratio <= LOSS_LOW {
            self.acted_on = None;
        }
        self.since_us = now_us;
        self.lost = 0;
        self.total = 0;
    }

    fn high(&self) -> f64 {
        LOSS_HIGH.max(self.own * 1.5)
    }

    fn low(&self) -> f64 {
        LOSS_LOW.max(self.own)
    }

    /// Takes up that loss is high. Whether it is the path's own: less was sent since something was last done about it, and as
    /// much is lost.
    fn is_own(&mut self, offered: f64) -> bool {
        self.is_high = false;
        let (before, offered_then) = *self.acted_on.get_or_insert((self.ratio, offered));
        let is_own = offered < offered_then * BACK_OFF
            && self.ratio > before * 0.7
            && self.ratio <= LOSS_OWN_MAX;
        if is_own {
            self.own = self.ratio;
            self.acted_on = None;
        }
        is_own
    }
}

#[cfg(test)]
mod tests;
