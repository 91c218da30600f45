use proptest::prelude::*;

use super::*;
use crate::media::path::Path;

const Q: Option<Layer> = Some(Layer::Quarter);
const H: Option<Layer> = Some(Layer::Half);
const F: Option<Layer> = Some(Layer::Full);
const SIMULCAST: Rates = [Some(150_000), Some(500_000), Some(1_500_000)];

fn camera(track: u64) -> Demand {
    Demand {
        track,
        source: Source::Camera,
        choice: Choice::Auto,
        rates: SIMULCAST,
    }
}

fn screen(track: u64, bps: u64) -> Demand {
    Demand {
        track,
        source: Source::Screen,
        choice: Choice::Auto,
        rates: [None, None, Some(bps)],
    }
}

#[test]
fn an_estimate_is_spread_fairly() {
    let cameras = [camera(1), camera(2)];
    let rows = [
        (100_000, vec![None, None]),
        (220_000, vec![Q, None]),
        (400_000, vec![Q, Q]),
        (700_000, vec![H, Q]),
        (1_100_000, vec![H, H]),
        (2_100_000, vec![F, H]),
        (10_000_000, vec![F, F]),
    ];
    for (bps, expected) in rows {
        assert_eq!(allocate(bps, 40_000, &cameras), expected, "{bps}");
    }
}

#[test]
fn screens_come_before_cameras_and_audio_before_all() {
    let videos = [camera(1), screen(2, 800_000), camera(3)];
    assert_eq!(allocate(900_000, 40_000, &videos), [None, F, None]);
    assert_eq!(allocate(1_000_000, 40_000, &videos), [Q, F, None]);
    assert_eq!(allocate(1_000_000, 999_000, &videos), [None, None, None]);
    // What does not fit leaves room for what does.
    assert_eq!(allocate(400_000, 40_000, &videos), [Q, None, Q]);
}

#[test]
fn choices_bound_the_layer() {
    let with = |choice| {
        allocate(
            10_000_000,
            0,
            &[Demand {
                choice,
                ..camera(1)
            }],
        )
    };
    assert_eq!(with(Choice::Layer(Layer::Half)), [H]);
    assert_eq!(with(Choice::Layer(Layer::Quarter)), [Q]);
    assert_eq!(with(Choice::Off), [None]);
    // The next lower one that there is, or else the lowest.
    let without_half = Demand {
        choice: Choice::Layer(Layer::Half),
        rates: [Some(1), None, Some(3)],
        ..camera(1)
    };
    assert_eq!(allocate(10, 0, &[without_half]), [Q]);
    let single = Demand {
        choice: Choice::Layer(Layer::Quarter),
        ..screen(1, 5)
    };
    assert_eq!(allocate(10, 0, &[single]), [F]);
    assert_eq!(
        allocate(
            10,
            0,
            &[Demand {
                rates: [None; 3],
                ..camera(1)
            }]
        ),
        [None]
    );
}

#[test]
fn a_layer_that_falls_silent_is_gone_but_a_silent_track_is_not() {
    let start = Instant::now();
    let mut layers = TrackLayers::new(start);
    assert_eq!(layers.rates(start), [None; 3]);
    for ms in (0..4_000).step_by(20) {
        let at = start + Duration::from_millis(ms);
        layers.add(Layer::Quarter, 400, at);
        if ms < 2_000 {
            layers.add(Layer::Full, 4_000, at);
        }
    }
    let rates = layers.rates(start + Duration::from_secs(4));
    assert!(
        rates[0].is_some_and(|bps| (140_000..180_000).contains(&bps)),
        "{rates:?}"
    );
    assert_eq!(rates[1..], [None, None]);
    let rates = layers.rates(start + Duration::from_secs(60));
    assert_eq!(rates, [Some(0), None, None]);
}

struct Subscriber {
    allocator: Allocator,
    now: Instant,
    setbacks: u32,
}

impl Subscriber {
    fn new() -> Self {
        Self {
            allocator: Allocator::new(),
            now: Instant::now(),
            setbacks: 1,
        }
    }

    /// Decisions each 100 ms; the last one. Something went wrong before.
    fn after(&mut self, ms: u64, estimate: u64, videos: &[Demand]) -> Vec<Option<Layer>> {
        let mut last = Vec::new();
        for _ in 0..(ms / 100).max(1) {
            self.now += Duration::from_millis(100);
            last = self
                .allocator
                .update(self.now, estimate, self.setbacks, 0, videos);
        }
        last
    }
}

#[test]
fn more_needs_room_for_a_while_and_less_is_at_once() {
    let mut subscriber = Subscriber::new();
    let videos = [camera(1)];
    assert_eq!(subscriber.after(100, 400_000, &videos), [Q]);
    assert_eq!(subscriber.after(800, 600_000, &videos), [Q]);
    assert_eq!(subscriber.after(500, 600_000, &videos), [H]);
    subscriber.setbacks += 1;
    assert_eq!(
        subscriber.after(100, 300_000, &videos),
        [Q],
        "it went wrong"
    );
    assert_eq!(subscriber.after(100, 100_000, &videos), [Q], "rates swing");
    assert_eq!(subscriber.after(600, 100_000, &videos), [None]);
}

#[test]
fn an_estimate_that_hovers_does_not_make_layers_flap() {
    let mut subscriber = Subscriber::new();
    let videos = [camera(1)];
    subscriber.after(100, 600_000, &videos);
    let mut changes = 0;
    let mut last = vec![H];
    for step in 0..300 {
        let estimate = if step % 2 == 0 { 480_000 } else { 560_000 };
        let next = subscriber.after(100, estimate, &videos);
        // What is tried above is not about the estimate.
        if next != last && next != [F] && last != [F] {
            changes += 1;
        }
        last = next;
    }
    assert_eq!(changes, 0);
}

#[test]
fn a_higher_layer_is_tried_and_kept_when_the_estimate_follows() {
    let mut subscriber = Subscriber::new();
    let videos = [camera(1)];
    assert_eq!(subscriber.after(500, 700_000, &videos), [H]);
    assert_eq!(subscriber.after(1_500, 700_000, &videos), [F], "on trial");
    assert_eq!(subscriber.after(1_000, 1_000_000, &videos), [F]);
    assert_eq!(subscriber.after(10_000, 1_600_000, &videos), [F]);
}

#[test]
fn a_trial_that_fails_ends_at_once_and_the_next_ones_come_ever_later() {
    let mut subscriber = Subscriber::new();
    let videos = [camera(1)];
    let mut trials = Vec::new();
    for step in 0..3_000_u64 {
        let given = subscriber.after(100, 700_000, &videos);
        if given == [F] {
            trials.push(step);
            subscriber.setbacks += 1;
            assert_eq!(subscriber.after(100, 600_000, &videos), [H]);
        }
    }
    assert!((4..12).contains(&trials.len()), "{trials:?}");
    let gaps: Vec<_> = trials.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.is_sorted(), "{gaps:?}");
    assert!(gaps.iter().all(|gap| *gap <= 610), "{gaps:?}");
}

#[test]
fn nothing_far_above_the_estimate_is_tried() {
    let mut subscriber = Subscriber::new();
    let videos = [Demand {
        rates: [Some(150_000), None, Some(4_000_000)],
        ..camera(1)
    }];
    for _ in 0..200 {
        assert_eq!(subscriber.after(100, 500_000, &videos), [Q]);
    }
}

#[test]
fn what_is_wanted_changes_at_once() {
    let mut subscriber = Subscriber::new();
    assert_eq!(subscriber.after(100, 5_000_000, &[camera(1)]), [F]);
    let off = Demand {
        choice: Choice::Off,
        ..camera(1)
    };
    assert_eq!(subscriber.after(100, 5_000_000, &[off]), [None]);
    assert_eq!(
        subscriber.after(100, 5_000_000, &[off, camera(2)]),
        [None, F]
    );
    assert_eq!(subscriber.after(100, 5_000_000, &[camera(2)]), [F]);
    let without_full = Demand {
        rates: [Some(150_000), Some(500_000), None],
        ..camera(2)
    };
    assert_eq!(subscriber.after(100, 5_000_000, &[without_full]), [H]);
}

/// A subscriber behind a path, which decides each 100 ms; a change of layers takes effect at once.
struct Viewer {
    path: Path,
    allocator: Allocator,
    videos: Vec<Demand>,
    given: Vec<Option<Layer>>,
    changes: usize,
}

impl Viewer {
    fn new(link_bps: u64, cameras: u64) -> Self {
        Self {
            path: Path::new(link_bps),
            allocator: Allocator::new(),
            videos: (0..cameras).map(camera).collect(),
            given: Vec::new(),
            changes: 0,
        }
    }

    /// The share of packets that were lost.
    fn watch(&mut self, seconds: f64) -> f64 {
        self.changes = 0;
        (self.path.sent, self.path.lost) = (0, 0);
        let mut frame = 0;
        self.path.run_with(seconds, 1_000, |path| {
            if frame % 3 == 0 {
                let (bps, setbacks) = (path.estimator.bps(), path.estimator.setbacks());
                let next = self
                    .allocator
                    .update(path.at(), bps, setbacks, 0, &self.videos);
                self.changes += usize::from(next != self.given);
                self.given = next;
            }
            frame += 1;
            cost(&self.videos, &self.given)
        });
        self.path.lost as f64 / self.path.sent as f64
    }
}

#[test]
fn a_wide_path_gets_all_layers_within_seconds() {
    let mut viewer = Viewer::new(100_000_000, 1);
    viewer.watch(1.0);
    assert_eq!(viewer.given, [F]);
    let mut viewer = Viewer::new(100_000_000, 15);
    viewer.watch(0.2);
    assert!(viewer.given.iter().all(Option::is_some));
    viewer.watch(10.0);
    assert!(viewer.given.iter().all(|layer| *layer == F));
}

#[test]
fn a_narrow_path_settles_with_little_loss() {
    for queue_us in [50_000, 150_000, 400_000, 1_000_000] {
        let mut viewer = Viewer::new(1_500_000, 4);
        viewer.path.queue_us = queue_us;
        viewer.watch(10.0);
        let loss = viewer.watch(120.0);
        assert!(viewer.given.iter().all(Option::is_some));
        assert!(cost(&viewer.videos, &viewer.given) >= 900_000);
        assert!(viewer.changes < 24, "{} with {queue_us}", viewer.changes);
        assert!(loss < 0.02, "{loss} with {queue_us}");
    }
}

#[test]
fn a_path_for_one_low_layer_keeps_it() {
    for queue_us in [50_000, 150_000, 400_000, 1_000_000] {
        let mut viewer = Viewer::new(250_000, 1);
        viewer.path.queue_us = queue_us;
        viewer.watch(10.0);
        let loss = viewer.watch(120.0);
        assert_eq!(viewer.given, [Q]);
        assert!(viewer.changes < 20, "{} with {queue_us}", viewer.changes);
        assert!(loss < 0.05, "{loss} with {queue_us}");
    }
}

#[test]
fn a_path_that_becomes_narrow_gets_a_low_layer_within_three_seconds() {
    for queue_us in [50_000, 150_000, 400_000, 1_000_000] {
        let mut viewer = Viewer::new(20_000_000, 1);
        viewer.path.queue_us = queue_us;
        viewer.watch(10.0);
        assert_eq!(viewer.given, [F]);
        viewer.path.link_bps = 300_000.0;
        viewer.watch(3.0);
        assert_eq!(viewer.given, [Q], "with {queue_us}");
    }
}

#[test]
fn a_path_that_carries_nothing_pauses_video_and_a_low_number_does_not() {
    let mut viewer = Viewer::new(60_000, 1);
    viewer.watch(15.0);
    assert_eq!(viewer.given, [None]);
    let mut subscriber = Subscriber::new();
    subscriber.setbacks = 0;
    let videos = [camera(1), camera(2)];
    assert_eq!(subscriber.after(20_000, 50_000, &videos), [Q, Q]);
}

#[test]
fn the_order_of_demands_does_not_matter() {
    let mut subscriber = Subscriber::new();
    let (one, other) = (camera(1), camera(2));
    let given = subscriber.after(100, 900_000, &[one, other]);
    assert_eq!(given, [H, Q]);
    assert_eq!(subscriber.after(100, 900_000, &[other, one]), [Q, H]);
    // On trial, and back.
    assert_eq!(subscriber.after(2_000, 900_000, &[other, one]), [H, H]);
    subscriber.setbacks += 1;
    assert_eq!(subscriber.after(100, 900_000, &[one, other]), [H, Q]);
}

fn any_demand() -> impl Strategy<Value = Demand> {
    let choice = prop_oneof![
        Just(Choice::Auto),
        Just(Choice::Off),
        proptest::sample::select(&Layer::ALL).prop_map(Choice::Layer),
    ];
    let rate = proptest::option::of(0_u64..3_000_000);
    (
        0_u64..5,
        any::<bool>(),
        choice,
        [rate.clone(), rate.clone(), rate],
    )
        .prop_map(|(track, is_screen, choice, rates)| Demand {
            track,
            source: if is_screen {
                Source::Screen
            } else {
                Source::Camera
            },
            choice,
            rates,
        })
}

proptest! {
    #[test]
    fn an_allocation_fits_and_gives_only_what_there_is(
        estimate in 0_u64..10_000_000,
        videos in proptest::collection::vec(any_demand(), 0..8),
    ) {
        let given = allocate(estimate, 50_000, &videos);
        prop_assert_eq!(given.len(), videos.len());
        let mut spent = 0;
        for (video, layer) in videos.iter().zip(&given) {
            if let Some(layer) = layer {
                prop_assert!(video.choice != Choice::Off);
                let rate = video.rates[*layer as usize];
                prop_assert!(rate.is_some());
                spent += rate.unwrap_or(0);
            }
        }
        prop_assert!(spent <= estimate.saturating_sub(50_000));
    }

    #[test]
    fn any_course_of_events_gives_layers_that_there_are(
        steps in proptest::collection::vec(
            (0_u64..2_000, 0_u64..5_000_000, 0_u32..2, proptest::collection::vec(any_demand(), 0..4)),
            0..40),
    ) {
        let mut allocator = Allocator::new();
        let mut now = Instant::now();
        let mut setbacks = 0;
        for (ms, estimate, setback, videos) in steps {
            now += Duration::from_millis(ms);
            setbacks += setback;
            let given = allocator.update(now, estimate, setbacks, 0, &videos);
            prop_assert_eq!(given.len(), videos.len());
            for (video, layer) in videos.iter().zip(given) {
                prop_assert!(video.can_have(layer));
            }
        }
    }
}
