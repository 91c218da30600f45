//! A simulated path: a queue in front of a link of some rate, with some delay and random loss, and a receiver that reports each
//! 50 ms as browsers do.

use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

const PACKET: usize = 1_200;
const QUEUE_US: i64 = 400_000;

struct Path {
    estimator: Estimator,
    start: Instant,
    now_us: i64,
    /// What the link carries.
    link_bps: f64,
    loss: f64,
    jitter_us: i64,
    free_us: i64,
    /// Sequence number, and when it arrives; packets on the way and packets that are not reported yet.
    on_the_way: VecDeque<(u16, Option<i64>)>,
    rng: SmallRng,
    lowest_bps: u64,
}

impl Path {
    fn new(link_bps: u64) -> Self {
        let start = Instant::now();
        Self {
            estimator: Estimator::new(start),
            start,
            now_us: 0,
            link_bps: link_bps as f64,
            loss: 0.0,
            jitter_us: 0,
            free_us: 0,
            on_the_way: VecDeque::new(),
            rng: SmallRng::seed_from_u64(7),
            lowest_bps: u64::MAX,
        }
    }

    fn at(&self) -> Instant {
        self.start + Duration::from_micros(self.now_us as u64)
    }

    fn send(&mut self) {
        let seq = self.estimator.send(PACKET, self.at());
        let begins_us = self.free_us.max(self.now_us);
        let is_lost = self.rng.random_bool(self.loss) || begins_us - self.now_us > QUEUE_US;
        let arrival = (!is_lost).then(|| {
            self.free_us = begins_us + (PACKET as f64 * 8.0 * 1e6 / self.link_bps) as i64;
            self.free_us + 20_000 + self.rng.random_range(0..=self.jitter_us)
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
    fn run(&mut self, seconds: f64, key_frames: usize, rate: impl Fn(u64) -> u64) {
        let end_us = self.now_us + (seconds * 1e6) as i64;
        let mut frame = 0;
        let mut owed = 0.0;
        while self.now_us < end_us {
            if self.now_us % 33_000 == 0 {
                let scale = if frame % key_frames == 0 { 5.0 } else { 1.0 };
                owed += rate(self.estimator.bps()) as f64 / 8.0 * 0.033 * scale;
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

fn assert_within(bps: u64, range: std::ops::Range<u64>) {
    assert!(range.contains(&bps), "{bps} is not in {range:?}");
}

#[test]
fn a_wide_path_is_found_wide_while_more_is_sent() {
    let mut path = Path::new(50_000_000);
    path.run(20.0, 1_000, |bps| bps.min(8_000_000));
    assert!(
        path.estimator.bps() >= 7_500_000,
        "{}",
        path.estimator.bps()
    );
    assert_eq!(path.estimator.setbacks(), 0);
}

#[test]
fn little_traffic_is_no_sign_of_a_narrow_path() {
    let mut path = Path::new(50_000_000);
    path.run(10.0, 100, |_| 2_000_000);
    let before = path.estimator.bps();
    assert!(before >= 1_900_000, "{before}");
    path.run(60.0, 100, |_| 100_000);
    assert!(path.estimator.bps() >= before * 9 / 10);
    // Nor of a wide one.
    assert!(path.estimator.bps() <= 8_000_000);
}

#[test]
fn a_narrow_path_is_found() {
    let mut path = Path::new(1_000_000);
    path.run(5.0, 1_000, |_| 2_000_000);
    assert!(path.estimator.setbacks() > 0);
    assert!(path.estimator.bps() < 1_000_000, "{}", path.estimator.bps());
    // And used, once what is sent keeps to it.
    path.run(30.0, 1_000, |bps| bps);
    assert_within(path.estimator.bps(), 700_000..1_150_000);
}

#[test]
fn a_path_that_becomes_narrow_is_noticed_within_two_seconds() {
    let mut path = Path::new(20_000_000);
    path.run(10.0, 1_000, |_| 2_000_000);
    path.link_bps = 700_000.0;
    path.run(2.0, 1_000, |_| 2_000_000);
    assert!(path.estimator.bps() < 700_000, "{}", path.estimator.bps());
}

#[test]
fn key_frames_and_jitter_do_not_make_the_estimate_collapse() {
    let mut path = Path::new(5_000_000);
    path.jitter_us = 8_000;
    path.run(10.0, 60, |_| 1_500_000);
    path.lowest_bps = u64::MAX;
    path.run(60.0, 60, |_| 1_500_000);
    assert!(path.lowest_bps >= 1_400_000, "{}", path.lowest_bps);
}

#[test]
fn some_random_loss_does_no_harm_and_much_does() {
    let mut path = Path::new(20_000_000);
    path.loss = 0.01;
    path.run(20.0, 100, |_| 1_500_000);
    assert!(
        path.estimator.bps() >= 1_400_000,
        "{}",
        path.estimator.bps()
    );
    assert!((0.0..0.06).contains(&path.estimator.loss()));
    path.loss = 0.3;
    path.run(5.0, 100, |_| 1_500_000);
    assert!(path.estimator.bps() < 1_400_000, "{}", path.estimator.bps());
    assert!(path.estimator.loss() > 0.15);
}

#[test]
fn the_receivers_own_estimate_counts_without_transport_feedback() {
    let start = Instant::now();
    let mut estimator = Estimator::new(start);
    estimator.on_remb(3_000_000.0, start);
    assert_eq!(estimator.bps(), 3_000_000);
    estimator.on_remb(f64::NAN, start);
    estimator.on_report(0.5, 100_000, start + Duration::from_secs(1));
    assert_eq!(estimator.bps(), 3_000_000, "reports count less");
    estimator.on_remb(500_000.0, start + Duration::from_secs(2));
    assert_eq!(estimator.bps(), 500_000);
    assert_eq!(estimator.setbacks(), 1);
    let mut path = Path::new(50_000_000);
    path.run(5.0, 100, |_| 1_000_000);
    let before = path.estimator.bps();
    let at = path.at();
    path.estimator.on_remb(100_000.0, at);
    assert_eq!(path.estimator.bps(), before);
}

#[test]
fn the_loss_of_reports_is_the_last_resort() {
    let mut at = Instant::now();
    let mut estimator = Estimator::new(at);
    for _ in 0..10 {
        at += Duration::from_secs(1);
        estimator.on_report(0.4, 1_000_000, at);
    }
    assert!(estimator.bps() < 300_000, "{}", estimator.bps());
    for _ in 0..60 {
        at += Duration::from_secs(1);
        estimator.on_report(0.0, 1_000_000, at);
    }
    assert!(estimator.bps() >= 1_000_000, "{}", estimator.bps());
}

#[test]
fn late_packets_are_taken_back_from_the_lost() {
    let start = Instant::now();
    let mut estimator = Estimator::new(start);
    for step in 0..60 {
        estimator.send(PACKET, start + Duration::from_millis(step * 10));
    }
    let at = start + Duration::from_secs(1);
    let statuses = (0..60).map(|index| {
        if index % 2 == 0 {
            Status::Arrived(Some(10_000))
        } else {
            Status::Missing
        }
    });
    estimator.on_feedback(0, 0, statuses, at);
    assert!(estimator.loss() > 0.4);
    // The history is still there: a second report tells of the others.
    for step in 0..60 {
        estimator.send(PACKET, at + Duration::from_millis(step * 10));
    }
    let statuses = (0..120).map(|_| Status::Arrived(Some(5_000)));
    estimator.on_feedback(0, 10, statuses, at + Duration::from_secs(1));
    assert!(estimator.loss() < 0.01, "{}", estimator.loss());
}

proptest! {
    #[test]
    fn any_feedback_is_taken(
        sends in 0_usize..300,
        feedback in proptest::collection::vec(
            (any::<u16>(), any::<u32>(), proptest::collection::vec(
                proptest::option::of(proptest::option::of(-8_192_000_i64..8_192_000)), 0..50)),
            0..20),
    ) {
        let mut at = Instant::now();
        let mut estimator = Estimator::new(at);
        for _ in 0..sends {
            estimator.send(PACKET, at);
        }
        for (base, reference, statuses) in feedback {
            at += Duration::from_millis(30);
            let statuses = statuses
                .into_iter()
                .map(|status| status.map_or(Status::Missing, Status::Arrived));
            estimator.on_feedback(base % 400, reference, statuses, at);
            prop_assert!(estimator.bps() >= MIN_BPS as u64);
            prop_assert!((0.0..=1.0).contains(&estimator.loss()));
        }
    }
}
