use proptest::prelude::*;

use super::*;
use crate::media::path::{PACKET, Path};

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
    assert!(path.estimator.bps() >= before);
    // Nor of a wide one.
    assert!(path.estimator.bps() <= 8_000_000);
}

/// A path with a short queue loses, one with a long queue is late.
const QUEUES_US: [i64; 4] = [30_000, 150_000, 400_000, 1_000_000];

#[test]
fn a_narrow_path_is_found() {
    for queue_us in QUEUES_US {
        let mut path = Path::new(1_000_000);
        path.queue_us = queue_us;
        path.run(4.0, 1_000, |_| 2_000_000);
        assert!(path.estimator.setbacks() > 0);
        let bps = path.estimator.bps();
        assert!(bps < 1_000_000, "{bps} with {queue_us}");
        // And used, once what is sent keeps to it.
        path.run(30.0, 1_000, |bps| bps);
        assert_within(path.estimator.bps(), 700_000..1_250_000);
    }
}

#[test]
fn a_path_that_becomes_narrow_is_noticed_within_three_seconds() {
    for queue_us in QUEUES_US {
        let mut path = Path::new(20_000_000);
        path.queue_us = queue_us;
        path.run(10.0, 1_000, |_| 2_000_000);
        path.link_bps = 300_000.0;
        path.run(3.0, 1_000, |_| 2_000_000);
        let bps = path.estimator.bps();
        assert!(bps < 300_000, "{bps} with {queue_us}");
        // What arrives is carried, so it never falls far below.
        assert!(bps > 200_000, "{bps} with {queue_us}");
        // Once it is wide again, and calm, it is found so.
        path.link_bps = 20_000_000.0;
        path.run(20.0, 1_000, |bps| bps);
        assert!(path.estimator.bps() > 2_000_000, "{}", path.estimator.bps());
    }
}

#[test]
fn delay_that_comes_and_goes_does_no_harm() {
    let mut path = Path::new(5_000_000);
    // Key frames that queue, and a machine that is late by up to a quarter of a second.
    path.jitter_us = 250_000;
    path.run(60.0, 60, |_| 1_500_000);
    assert_eq!(path.estimator.setbacks(), 0);
    assert!(path.lowest_bps >= 1_900_000, "{}", path.lowest_bps);
}

#[test]
fn a_path_that_becomes_longer_is_not_taken_for_a_queue() {
    let mut path = Path::new(20_000_000);
    path.run(10.0, 100, |_| 1_500_000);
    path.delay_us += 400_000;
    path.run(5.0, 100, |bps| bps.min(1_500_000));
    path.run(20.0, 100, |bps| bps.min(1_500_000));
    assert!(
        path.estimator.bps() >= 1_400_000,
        "{}",
        path.estimator.bps()
    );
}

#[test]
fn loss_that_is_the_paths_own_is_borne() {
    for loss in [0.01, 0.04, 0.08, 0.15] {
        let mut path = Path::new(20_000_000);
        path.loss = loss;
        path.run(60.0, 100, |bps| bps.min(1_500_000));
        let bps = path.estimator.bps();
        assert!(bps >= 600_000, "{bps} with {loss}");
        assert!((path.estimator.loss() - loss).abs() < 0.1);
    }
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
        estimator.on_report(0.4, estimator.bps(), at);
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
