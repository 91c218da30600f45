//! The bus as a whole: order, resuming, cut-offs, concurrency, cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::*;

fn topic(name: &str) -> Topic {
    Topic::new(name).expect("valid")
}

fn message(text: impl Into<String>) -> Message {
    Message::new(text.into())
}

fn logged(text: impl Into<String>) -> Message {
    message(text).logged(LogLimits::default())
}

/// All that waits, in short: the payload, `frame:..`, `gap:<topic>` or `lagged`.
fn drain(subscriber: &mut Subscriber) -> Vec<String> {
    std::iter::from_fn(|| subscriber.try_recv())
        .map(|item| match item {
            Item::Event(event) => String::from_utf8_lossy(event.data()).into_owned(),
            Item::Frame(frame) => format!("frame:{}", String::from_utf8_lossy(&frame)),
            Item::Gap(topic) => format!("gap:{topic}"),
            Item::Lagged => "lagged".into(),
        })
        .collect()
}

/// A bus that forgets topics as soon as nobody needs them.
fn forgetful() -> Bus {
    Bus::new(BusOptions {
        linger: Duration::ZERO,
        ..BusOptions::default()
    })
}

fn small_queue(items_max: usize) -> QueueLimits {
    QueueLimits {
        items_max,
        ..QueueLimits::default()
    }
}

#[test]
fn subscribers_get_what_is_published_to_their_topics_only() {
    let bus = Bus::default();
    let (mut ann, mut ben) = (bus.subscriber(), bus.subscriber());
    ann.handle().subscribe(&topic("a"), Start::Now).unwrap();
    ann.handle().subscribe(&topic("b"), Start::Now).unwrap();
    ben.handle().subscribe(&topic("b"), Start::Now).unwrap();
    bus.publish(&topic("a"), message("1"));
    bus.publish_all([(topic("b"), message("2")), (topic("c"), message("3"))]);
    assert_eq!(drain(&mut ann), ["1", "2"]);
    assert_eq!(drain(&mut ben), ["2"]);
}

#[test]
fn an_event_is_encoded_once_for_all() {
    let bus = Bus::default();
    let mut all: Vec<_> = (0..3).map(|_| bus.subscriber()).collect();
    for subscriber in &all {
        subscriber
            .handle()
            .subscribe(&topic("a"), Start::Now)
            .unwrap();
    }
    bus.publish(&topic("a"), message("payload"));
    let frames: Vec<_> = all
        .iter_mut()
        .map(|subscriber| match subscriber.try_recv() {
            Some(Item::Event(event)) => event.frame().as_ptr(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(frames.iter().all(|frame| *frame == frames[0]));
}

#[test]
fn ids_grow_by_one_per_topic() {
    let bus = Bus::default();
    let ids = ["a", "b", "a"].map(|name| bus.publish(&topic(name), logged("x")).unwrap().seq);
    assert_eq!(ids, [1, 1, 2]);
    assert_eq!(bus.publish(&topic("unwatched"), message("x")), None);
}

#[test]
fn the_set_of_topics_changes_at_run_time() {
    let bus = Bus::default();
    let mut ann = bus.subscriber();
    let handle = ann.handle().clone();
    handle.set_topics(&[topic("a"), topic("b")]).unwrap();
    handle.set_topics(&[topic("b"), topic("c")]).unwrap();
    for name in ["a", "b", "c"] {
        bus.publish(&topic(name), message(name));
    }
    assert_eq!(drain(&mut ann), ["b", "c"]);
    assert!(handle.unsubscribe(&topic("b")));
    assert!(!handle.unsubscribe(&topic("b")));
    bus.publish(&topic("b"), message("b"));
    assert_eq!(drain(&mut ann), [""; 0]);
}

#[test]
fn subscribing_twice_delivers_once() {
    let bus = Bus::default();
    let mut ann = bus.subscriber();
    ann.handle().subscribe(&topic("a"), Start::Now).unwrap();
    ann.handle().subscribe(&topic("a"), Start::Now).unwrap();
    bus.publish(&topic("a"), message("1"));
    assert_eq!(drain(&mut ann), ["1"]);
}

#[test]
fn a_subscriber_resumes_after_the_id_it_saw() {
    let bus = Bus::default();
    let first = bus.publish(&topic("a"), logged("1")).unwrap();
    bus.publish(&topic("a"), message("2"));
    let mut ann = bus.subscriber();
    let joined = ann
        .handle()
        .subscribe(&topic("a"), Start::After(first))
        .unwrap();
    assert_eq!(
        (joined.position.seq, joined.gap, joined.replayed),
        (2, false, 1)
    );
    bus.publish(&topic("a"), message("3"));
    assert_eq!(drain(&mut ann), ["2", "3"]);
}

#[test]
fn ids_of_another_run_begin_with_a_gap() {
    let bus = Bus::default();
    bus.publish(&topic("a"), logged("1"));
    let mut ann = bus.subscriber();
    let old = EventId {
        boot: bus.boot() + 1,
        seq: 1,
    };
    assert!(
        ann.handle()
            .subscribe(&topic("a"), Start::After(old))
            .unwrap()
            .gap
    );
    assert_eq!(drain(&mut ann), ["gap:a", "1"]);
}

#[test]
fn a_topic_without_a_log_resumes_only_if_nothing_was_missed() {
    let bus = Bus::default();
    let (mut ann, ben) = (bus.subscriber(), bus.subscriber());
    ben.handle().subscribe(&topic("a"), Start::Now).unwrap();
    let first = bus.publish(&topic("a"), message("1")).unwrap();
    assert!(
        !ann.handle()
            .subscribe(&topic("a"), Start::After(first))
            .unwrap()
            .gap
    );
    ann.handle().unsubscribe(&topic("a"));
    bus.publish(&topic("a"), message("2"));
    assert!(
        ann.handle()
            .subscribe(&topic("a"), Start::After(first))
            .unwrap()
            .gap
    );
    assert_eq!(drain(&mut ann), ["gap:a"]);
}

#[test]
fn a_forgotten_topic_never_takes_an_old_id_for_a_new_one() {
    let bus = forgetful();
    let mut ann = bus.subscriber();
    let joined = ann.handle().subscribe(&topic("a"), Start::Now).unwrap();
    let seen = bus.publish(&topic("a"), message("1")).unwrap();
    drop(ann);
    assert_eq!(bus.topic_count(), 0);
    bus.publish(&topic("a"), message("missed"));
    for old in [joined.position, seen] {
        ann = bus.subscriber();
        assert!(
            ann.handle()
                .subscribe(&topic("a"), Start::After(old))
                .unwrap()
                .gap,
            "{old}"
        );
        assert!(bus.publish(&topic("a"), message("2")).unwrap().seq > seen.seq);
        assert_eq!(drain(&mut ann), ["gap:a", "2"]);
        drop(ann);
    }
}

#[test]
fn a_topic_that_is_left_for_a_moment_keeps_its_place() {
    let bus = Bus::default();
    let ann = bus.subscriber();
    let joined = ann.handle().subscribe(&topic("a"), Start::Now).unwrap();
    drop(ann);
    let again = |after| {
        let ann = bus.subscriber();
        let joined = ann.handle().subscribe(&topic("a"), Start::After(after));
        joined.unwrap()
    };
    assert!(!again(joined.position).gap);
    // Nobody watches, but the place is kept: what was missed is noticed.
    bus.publish(&topic("a"), message("missed"));
    assert!(again(joined.position).gap);
    let now = Instant::now();
    bus.sweep(now + Duration::from_secs(1));
    assert_eq!(bus.topic_count(), 1);
    bus.sweep(now + Duration::from_secs(700));
    assert_eq!(bus.topic_count(), 0);
}

#[test]
fn a_subscription_tells_where_it_begins() {
    let bus = Bus::default();
    let first = bus.publish(&topic("a"), logged("1")).unwrap();
    for text in ["2", "3"] {
        bus.publish(&topic("a"), message(text));
    }
    let join = |start| {
        bus.subscriber()
            .handle()
            .subscribe(&topic("a"), start)
            .unwrap()
    };
    assert_eq!(join(Start::After(first)).from, first);
    assert_eq!(join(Start::Now).from.seq, 3);
    let foreign = EventId {
        boot: bus.boot() + 1,
        seq: 2,
    };
    let joined = join(Start::After(foreign));
    assert_eq!((joined.from.seq, joined.replayed, joined.gap), (0, 3, true));
}

#[test]
fn what_is_taken_back_is_not_replayed() {
    let bus = Bus::default();
    let first = bus.publish(&topic("a"), logged("0")).unwrap();
    for (text, key) in [("1", "x"), ("2", "y"), ("3", "x")] {
        bus.publish(&topic("a"), message(text).keyed(key));
    }
    assert_eq!(
        bus.retract(&topic("a"), |event| event.key() == Some("x")),
        2
    );
    assert_eq!(bus.retract(&topic("unknown"), |_| true), 0);
    let mut ann = bus.subscriber();
    let joined = ann
        .handle()
        .subscribe(&topic("a"), Start::After(first))
        .unwrap();
    assert!(!joined.gap);
    assert_eq!(drain(&mut ann), ["2"]);
}

#[test]
fn the_log_expires_and_its_topic_is_forgotten_unless_pinned() {
    let bus = forgetful();
    bus.pin_log(&topic("pinned"), LogLimits::default()).unwrap();
    let seen = ["a", "pinned"].map(|name| bus.publish(&topic(name), logged("1")).unwrap());
    let now = Instant::now();
    bus.sweep(now + Duration::from_secs(590));
    assert_eq!(bus.topic_count(), 2);
    bus.sweep(now + Duration::from_secs(610));
    assert_eq!(bus.topic_count(), 1);
    let ann = bus.subscriber();
    assert!(
        ann.handle()
            .subscribe(&topic("a"), Start::After(seen[0]))
            .unwrap()
            .gap
    );
    assert!(
        !ann.handle()
            .subscribe(&topic("pinned"), Start::After(seen[1]))
            .unwrap()
            .gap
    );
    drop(ann);
    bus.unpin_log(&topic("pinned"));
    assert_eq!(bus.topic_count(), 0);
}

#[test]
fn a_slow_subscriber_is_cut_off_and_can_resume_without_loss() {
    let bus = Bus::default();
    let mut slow = bus.subscriber_with(small_queue(3));
    let mut quick = bus.subscriber();
    for subscriber in [&slow, &quick] {
        subscriber
            .handle()
            .subscribe(&topic("a"), Start::Now)
            .unwrap();
    }
    bus.pin_log(&topic("a"), LogLimits::default()).unwrap();
    for n in 1..=6 {
        bus.publish(&topic("a"), message(n.to_string()));
    }
    assert_eq!(drain(&mut quick).len(), 6);
    assert!(!slow.handle().is_open());
    assert_eq!(drain(&mut slow), ["1", "2", "3", "lagged"]);
    assert_eq!(
        slow.handle().subscribe(&topic("b"), Start::Now),
        Err(SubscribeError::Ended)
    );
    let mut again = bus.subscriber_with(small_queue(3));
    let seen = EventId {
        boot: bus.boot(),
        seq: 3,
    };
    again
        .handle()
        .subscribe(&topic("a"), Start::After(seen))
        .unwrap();
    assert_eq!(drain(&mut again), ["4", "5", "6"]);
}

#[test]
fn a_replay_larger_than_the_queue_does_not_cut_off() {
    let bus = Bus::default();
    let first = bus.publish(&topic("a"), logged("0")).unwrap();
    for n in 1..=500 {
        bus.publish(&topic("a"), message(n.to_string()));
    }
    let mut ann = bus.subscriber_with(small_queue(1));
    ann.handle()
        .subscribe(&topic("a"), Start::After(first))
        .unwrap();
    bus.publish(&topic("a"), message("501"));
    assert_eq!(drain(&mut ann).len(), 501);
}

#[test]
fn a_replay_is_bounded_and_leaves_out_the_oldest_with_a_gap() {
    let bus = Bus::new(BusOptions {
        replay_items_max: 2,
        ..BusOptions::default()
    });
    let first = bus.publish(&topic("a"), logged("0")).unwrap();
    for n in 1..=5 {
        bus.publish(&topic("a"), message(n.to_string()));
    }
    let mut ann = bus.subscriber();
    ann.handle()
        .subscribe(&topic("a"), Start::After(first))
        .unwrap();
    assert_eq!(drain(&mut ann), ["gap:a", "4", "5"]);
}

#[test]
fn bytes_are_delivered_to_chosen_subscribers_only() {
    let bus = Bus::default();
    let mut all: Vec<_> = (0..3)
        .map(|_| bus.subscriber_with(small_queue(1)))
        .collect();
    let handles: Vec<_> = all.iter().map(|s| s.handle().clone()).collect();
    let frame = Bytes::from_static(b"x");
    assert_eq!(
        bus.deliver(&handles[..2], &frame),
        Delivery {
            queued: 2,
            ..Delivery::default()
        }
    );
    drop(all.remove(1));
    assert_eq!(
        bus.deliver(&handles, &frame),
        Delivery {
            queued: 1,
            lagged: 1,
            gone: 1
        }
    );
    assert_eq!(drain(&mut all[0]), ["frame:x", "lagged"]);
    assert_eq!(drain(&mut all[1]), ["frame:x"]);
}

#[test]
fn bounds_on_topics_hold() {
    let bus = Bus::new(BusOptions {
        topics_max: 2,
        ..BusOptions::default()
    });
    let ann = bus.subscriber();
    for name in ["a", "b"] {
        ann.handle().subscribe(&topic(name), Start::Now).unwrap();
    }
    let refused = ann.handle().subscribe(&topic("c"), Start::Now);
    assert_eq!(refused, Err(SubscribeError::TooManyTopics));
    assert_eq!(bus.publish(&topic("c"), logged("x")), None);
    assert_eq!(bus.topic_count(), 2);
}

#[test]
fn a_dropped_subscriber_leaves_nothing_behind() {
    let bus = forgetful();
    let ann = bus.subscriber();
    let handle = ann.handle().clone();
    handle.subscribe(&topic("a"), Start::Now).unwrap();
    assert!(bus.is_watched(&topic("a")));
    drop(ann);
    assert!(!bus.is_watched(&topic("a")));
    assert_eq!(bus.topic_count(), 0);
    assert_eq!(
        handle.subscribe(&topic("a"), Start::Now),
        Err(SubscribeError::Ended)
    );
}

#[test]
fn a_stalled_subscriber_holds_a_bounded_amount_of_memory() {
    let bus = Bus::default();
    let limits = QueueLimits {
        items_max: 1_000,
        bytes_max: 10_000,
    };
    let stalled = bus.subscriber_with(limits);
    stalled.handle().subscribe(&topic("a"), Start::Now).unwrap();
    let payloads: Vec<Bytes> = (0..100).map(|_| Bytes::from(vec![b'x'; 1_000])).collect();
    for payload in &payloads {
        bus.deliver([stalled.handle()], payload);
    }
    let held = payloads
        .iter()
        .filter(|payload| !payload.is_unique())
        .count();
    assert_eq!(held, 10);
}

struct CountingWaker(AtomicUsize);

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn several_messages_wake_a_subscriber_once_and_after_all_are_queued() {
    let bus = Bus::default();
    let mut ann = bus.subscriber();
    ann.handle().subscribe(&topic("a"), Start::Now).unwrap();
    let count = Arc::new(CountingWaker(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    assert!(ann.poll_recv(&mut Context::from_waker(&waker)).is_pending());
    bus.publish_all((0..10).map(|n| (topic("a"), message(n.to_string()))));
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    assert_eq!(drain(&mut ann).len(), 10);
    bus.publish(&topic("a"), message("not waiting, so nobody to wake"));
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_waiting_reader_is_woken_by_events_closing_and_overflow() {
    let bus = Bus::default();
    let mut ann = bus.subscriber();
    let handle = ann.handle().clone();
    let (event, ()) = tokio::join!(ann.recv(), async {
        bus.deliver([&handle], &Bytes::from_static(b"x"));
    });
    assert!(matches!(event, Some(Item::Frame(_))));
    let (end, ()) = tokio::join!(ann.recv(), async { handle.close() });
    assert!(end.is_none());
    let mut ben = bus.subscriber_with(small_queue(0));
    let handle = ben.handle().clone();
    let (end, _) = tokio::join!(ben.recv(), async {
        bus.deliver([&handle], &Bytes::from_static(b"x"))
    });
    assert!(matches!(end, Some(Item::Lagged)));
    assert!(ben.recv().await.is_none());
}

/// Reads payload numbers until `last`, dropping the connection now and then and resuming by id.
fn read_all_with_reconnects(bus: &Bus, seed: u64, last: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    let mut start = Start::After(EventId {
        boot: bus.boot(),
        seq: 0,
    });
    let mut random = seed;
    while seen.last() != Some(&last) {
        let mut subscriber = bus.subscriber();
        assert!(
            !subscriber
                .handle()
                .subscribe(&topic("a"), start)
                .unwrap()
                .gap
        );
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let stay = (random >> 33) % 200;
        for _ in 0..stay {
            match subscriber.try_recv() {
                Some(Item::Event(event)) => {
                    seen.push(std::str::from_utf8(event.data()).unwrap().parse().unwrap());
                    start = Start::After(event.id());
                }
                Some(other) => panic!("{other:?}"),
                None => std::thread::yield_now(),
            }
        }
    }
    seen
}

#[test]
fn concurrent_publishing_and_resuming_is_exactly_once_and_in_order() {
    const EVENTS: u64 = 20_000;
    let bus = Bus::default();
    // The position 0 must be in reach for readers that come late.
    let limits = LogLimits {
        events_max: EVENTS as usize,
        ..LogLimits::default()
    };
    bus.pin_log(&topic("a"), limits).unwrap();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|seed| {
                scope.spawn({
                    let bus = &bus;
                    move || read_all_with_reconnects(bus, seed, EVENTS)
                })
            })
            .collect();
        for n in 1..=EVENTS {
            assert_eq!(
                bus.publish(&topic("a"), message(n.to_string()))
                    .unwrap()
                    .seq,
                n
            );
        }
        for reader in readers {
            assert!(reader.join().unwrap().into_iter().eq(1..=EVENTS));
        }
    });
}

#[test]
fn concurrent_publishers_share_one_order() {
    const EACH: usize = 5_000;
    let bus = Bus::default();
    let mut readers: Vec<_> = (0..3)
        .map(|_| bus.subscriber_with(small_queue(usize::MAX)))
        .collect();
    for reader in &readers {
        reader.handle().subscribe(&topic("a"), Start::Now).unwrap();
    }
    std::thread::scope(|scope| {
        for publisher in 0..4 {
            let bus = &bus;
            scope.spawn(move || {
                for n in 0..EACH {
                    bus.publish(&topic("a"), message(format!("{publisher}/{n}")));
                }
            });
        }
    });
    let orders: Vec<_> = readers.iter_mut().map(drain).collect();
    assert_eq!(orders[0].len(), 4 * EACH);
    assert!(orders.iter().all(|order| *order == orders[0]));
    for publisher in 0..4 {
        let mine = orders[0]
            .iter()
            .filter_map(|text| text.strip_prefix(&format!("{publisher}/")));
        assert!(mine.eq((0..EACH).map(|n| n.to_string())));
    }
}

#[test]
fn topics_that_come_and_go_under_load_lose_nothing() {
    let bus = forgetful();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Makes the topic be forgotten and made again all the time.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let brief = bus.subscriber();
                brief.handle().subscribe(&topic("a"), Start::Now).unwrap();
                bus.sweep(Instant::now());
            }
        });
        let mut last = 0;
        for n in 0..5_000 {
            let mut ann = bus.subscriber();
            ann.handle().subscribe(&topic("a"), Start::Now).unwrap();
            let id = bus.publish(&topic("a"), message(n.to_string())).unwrap();
            assert!(id.seq > last);
            last = id.seq;
            assert_eq!(drain(&mut ann), [n.to_string()]);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(bus.topic_count(), 0);
}

/// Run by hand: `cargo test --release --lib fan_out_cost -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, not a check"]
fn fan_out_cost() {
    const SUBSCRIBERS: usize = 1_000;
    const ROUNDS: usize = 2_000;
    let frame = Bytes::from(vec![b'x'; 300]);
    let per_push = |started: Instant| started.elapsed().as_nanos() / (SUBSCRIBERS * ROUNDS) as u128;

    let bus = Bus::default();
    let mut all: Vec<_> = (0..SUBSCRIBERS).map(|_| bus.subscriber()).collect();
    for subscriber in &all {
        subscriber
            .handle()
            .subscribe(&topic("a"), Start::Now)
            .unwrap();
    }
    let mut context = Context::from_waker(Waker::noop());
    let started = Instant::now();
    for _ in 0..ROUNDS {
        bus.publish(&topic("a"), Message::new(frame.clone()));
        for subscriber in &mut all {
            while let Poll::Ready(Some(_)) = subscriber.poll_recv(&mut context) {}
        }
    }
    println!("bus: {} ns per push and read", per_push(started));

    let (senders, mut receivers): (Vec<_>, Vec<_>) = (0..SUBSCRIBERS)
        .map(|_| tokio::sync::mpsc::channel::<Item>(1_024))
        .unzip();
    let started = Instant::now();
    for _ in 0..ROUNDS {
        for sender in &senders {
            sender.try_send(Item::Frame(frame.clone())).unwrap();
        }
        for receiver in &mut receivers {
            while let Poll::Ready(Some(_)) = receiver.poll_recv(&mut context) {}
        }
    }
    println!("tokio mpsc: {} ns per push and read", per_push(started));
}
