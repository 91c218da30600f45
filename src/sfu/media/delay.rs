//! Whether a queue grows on the way to a subscriber: the trend of one-way delay, as in "A Google Congestion Control Algorithm for
//! Real-Time Communication" (draft-ietf-rmcat-gcc-02), with the trend line in place of the filter.

use std::collections::VecDeque;

/// Packets sent within this time are one group: a frame is sent in one go.
const BURST_US: i64 = 5_000;
/// Groups that a trend is drawn through.
const POINTS: usize = 20;
const SMOOTHING: f64 = 0.9;
/// How much of a trend counts, in milliseconds of the threshold: it is weighted by how many groups there were, up to 60.
const GAIN: f64 = 4.0;
const GROUPS_MAX: u32 = 60;
const THRESHOLD_MS: f64 = 12.5;
const THRESHOLD_MIN_MS: f64 = 6.0;
const THRESHOLD_MAX_MS: f64 = 600.0;
/// How fast the threshold follows the trend up and down, per millisecond.
const FOLLOW_UP: f64 = 0.0087;
const FOLLOW_DOWN: f64 = 0.039;
/// A trend that is this much above the threshold is no reason to follow it.
const OUTLIER_MS: f64 = 15.0;
/// How long a trend must last.
const OVERUSE_MS: f64 = 10.0;
/// A pause of this length ends all trends.
const PAUSE_US: i64 = 2_000_000;

/// What the delay says about the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Usage {
    #[default]
    Normal,
    /// A queue grows: more is sent than the path carries.
    Over,
    /// A queue drains.
    Under,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    first_sent_us: i64,
    last_sent_us: i64,
    arrived_us: i64,
}

/// See the module. Times of sending and of arrival are of different clocks.
#[derive(Debug)]
pub(crate) struct DelayTrend {
    open: Option<Group>,
    closed: Option<Group>,
    groups: u32,
    accumulated_ms: f64,
    smoothed_ms: f64,
    first_arrived_us: i64,
    points: VecDeque<(f64, f64)>,
    threshold_ms: f64,
    previous_ms: f64,
    over_ms: f64,
    over_count: u32,
    usage: Usage,
}

impl DelayTrend {
    pub(crate) fn new() -> Self {
        Self {
            open: None,
            closed: None,
            groups: 0,
            accumulated_ms: 0.0,
            smoothed_ms: 0.0,
            first_arrived_us: 0,
            points: VecDeque::with_capacity(POINTS),
            threshold_ms: THRESHOLD_MS,
            previous_ms: 0.0,
            over_ms: 0.0,
            over_count: 0,
            usage: Usage::Normal,
        }
    }

    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }

    /// A packet that arrived, in the order of sending.
    pub(crate) fn add(&mut self, sent_us: i64, arrived_us: i64) {
        let Some(open) = &mut self.open else {
            self.first_arrived_us = arrived_us;
            self.open = Some(Group::new(sent_us, arrived_us));
            return;
        };
        if sent_us < open.first_sent_us {
            return;
        }
        if sent_us - open.first_sent_us <= BURST_US {
            open.last_sent_us = open.last_sent_us.max(sent_us);
            open.arrived_us = open.arrived_us.max(arrived_us);
            return;
        }
        let ended = *open;
        self.open = Some(Group::new(sent_us, arrived_us));
        if let Some(before) = self.closed.replace(ended) {
            let sent = ended.last_sent_us - before.last_sent_us;
            let arrived = ended.arrived_us - before.arrived_us;
            if sent > PAUSE_US || !(0..=2 * PAUSE_US).contains(&arrived) {
                // A pause or a clock that was set: nothing to compare. Arrivals out of order say nothing either.
                if sent > PAUSE_US || arrived.abs() > PAUSE_US {
                    self.forget();
                }
                return;
            }
            self.measure(
                (arrived - sent) as f64 / 1_000.0,
                sent as f64 / 1_000.0,
                (ended.arrived_us - self.first_arrived_us) as f64 / 1_000.0,
            );
        }
    }

    fn forget(&mut self) {
        let threshold_ms = self.threshold_ms;
        *self = Self {
            threshold_ms,
            ..Self::new()
        };
    }

    fn measure(&mut self, delta_ms: f64, span_ms: f64, arrived_ms: f64) {
        self.groups = (self.groups + 1).min(GROUPS_MAX);
        self.accumulated_ms += delta_ms;
        self.smoothed_ms = SMOOTHING * self.smoothed_ms + (1.0 - SMOOTHING) * self.accumulated_ms;
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        self.points.push_back((arrived_ms, self.smoothed_ms));
        if self.points.len() < POINTS {
            return;
        }
        let trend_ms = f64::from(self.groups) * slope(&self.points) * GAIN;
        self.judge(trend_ms, span_ms);
    }

    fn judge(&mut self, trend_ms: f64, span_ms: f64) {
        if trend_ms > self.threshold_ms {
            self.over_ms += span_ms;
            self.over_count += 1;
            if self.over_ms > OVERUSE_MS && self.over_count > 1 && trend_ms >= self.previous_ms {
                self.usage = Usage::Over;
            }
        } else {
            self.over_ms = 0.0;
            self.over_count = 0;
            self.usage = if trend_ms < -self.threshold_ms {
                Usage::Under
            } else {
                Usage::Normal
            };
        }
        self.previous_ms = trend_ms;
        let size_ms = trend_ms.abs();
        if size_ms <= self.threshold_ms + OUTLIER_MS {
            let follow = if size_ms < self.threshold_ms {
                FOLLOW_DOWN
            } else {
                FOLLOW_UP
            };
            self.threshold_ms = (self.threshold_ms
                + follow * (size_ms - self.threshold_ms) * span_ms.min(100.0))
            .clamp(THRESHOLD_MIN_MS, THRESHOLD_MAX_MS);
        }
    }
}

impl Group {
    fn new(sent_us: i64, arrived_us: i64) -> Self {
        Self {
            first_sent_us: sent_us,
            last_sent_us: sent_us,
            arrived_us,
        }
    }
}

/// Of the line of least squares.
fn slope(points: &VecDeque<(f64, f64)>) -> f64 {
    let count = points.len() as f64;
    let (sum_x, sum_y) = points
        .iter()
        .fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (over, under) = points.iter().fold((0.0, 0.0), |(over, under), (x, y)| {
        let off = x - mean_x;
        (over + off * (y - mean_y), under + off * off)
    });
    if under == 0.0 { 0.0 } else { over / under }
}
