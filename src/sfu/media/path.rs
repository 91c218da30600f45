//! A simulated path for tests: a queue in front of a link of some rate, with some delay and random loss, and a receiver that
//! reports each 50 ms as browsers do.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::estimate::{Estimator, Status};

pub(super) const PACKET: usize = 1_200;

pub(super) struct Path {
    pub(super) estimator: Estimator,
    pub(super) start: Instant,
    now_us: i64,
    /// What the link carries.
    pub(super) link_bps: f64,
    pub(super) loss: f64,
    pub(super) jitter_us: i64,
    /// What the queue holds, in time.
    pub(super) queue_us: i64,
    pub(super) delay_us: i64,
    free_us: i64,
    /// Sequence number, and when it arrives; packets on the way and packets that are not reported yet.
    on_the_way: VecDeque<(u16, Option<i64>)>,
    rng: SmallRng,
    pub(super) lowest_bps: u64,
    pub(super) sent: u64,
    pub(super) lost: u64,
}

impl Path {
    pub(super) fn new(link_bps: u64) -> Self {
        let start = Instant::now();
        Self {
            estimator: Estimator::new(start),
            start,
            now_us: 0,
            link_bps: link_bps as f64,
            loss: 0.0,
            jitter_us: 0,
            queue_us: 400_000,
            delay_us: 20_000,
            free_us: 0,
            on_the_way: VecDeque::new(),
            rng: SmallRng::seed_from_u64(7),
            lowest_bps: u64::MAX,
            sent: 0,
            lost: 0,
        }
    }

    pub(super) fn at(&self) -> Instant {
        self.start + Duration::from_micros(self.now_us as u64)
    }

    fn send(&mut self) {
        self.sent += 1;
        let seq = self.estimator.send(PACKET, self.at());
        let begins_us = self.free_us.max(self.now_us);
        let is_lost = self.rng.random_bool(self.loss) || begins_us - self.now_us > self.queue_us;
        self.lost += u64::from(is_lost);
        let arrival = (!is_lost).then(|| {
            self.free_us = begins_us + (PACKET as f64 * 8.0 * 1e6 / self.link_bps) as i64;
            self.free_us + self.delay_us + self.rng.random_range(0..=self.jitter_us)
        });
        self.on_the_way.push_back((seq, arrival));
    }

    fn report(&mut self) {
        let now_us = self.now_us;
        let arrived = |(_, arrival): &(u16, Option<i64>)| arrival.is_some_and(|at| at <= now_us);
        let Some(last) = self.on_the_way.iter().rposition(arrived) else {
            return;
        };
        let reported: Vec<_> = self.on_the_way.drain(..=last).collect();
        let base = reported[0].0;
        let first = reported.iter().find_map(|(_, at)| *at).unwrap_or(0);
        let reference = first / 64_000;
        let mut before = reference * 64_000;
        let statuses: Vec<_> = reported
            .iter()
            .map(|(_, at)| {
                at.map_or(Status::Missing, |at| {
                    let rounded = at / 250 * 250;
                    let delta = rounded - before;
                    before = rounded;
                    Status::Arrived(Some(delta))
                })
            })
            .collect();
        let at = self.at();
        self.estimator
            .on_feedback(base, reference as u32, statuses.into_iter(), at);
    }

    /// Sends frames, 30 per second, of what `rate` says; a key frame of five times the size each `key_frames`.
    pub(super) fn run(&mut self, seconds: f64, key_frames: usize, rate: impl Fn(u64) -> u64) {
        self.run_with(seconds, key_frames, |path| rate(path.estimator.bps()));
    }

    /// The same, asked before each frame.
    pub(super) fn run_with(
        &mut self,
        seconds: f64,
        key_frames: usize,
        mut rate: impl FnMut(&mut Self) -> u64,
    ) {
        let end_us = self.now_us + (seconds * 1e6) as i64;
        let mut frame = 0;
        let mut owed = 0.0;
        while self.now_us < end_us {
            if self.now_us % 33_000 == 0 {
                let scale = if frame % key_frames == 0 { 5.0 } else { 1.0 };
                owed += rate(self) as f64 / 8.0 * 0.033 * scale;
                frame += 1;
                while owed > PACKET as f64 {
                    owed -= PACKET as f64;
                    self.send();
                }
            }
            if self.now_us % 50_000 == 0 {
                self.report();
                self.lowest_bps = self.lowest_bps.min(self.estimator.bps());
            }
            self.now_us += 1_000;
        }
    }
}
