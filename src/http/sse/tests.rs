//! Streams: their bytes, their chunks, their end.

use std::future::poll_fn;
use std::net::TcpListener;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::{App, HttpServer, web};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::body::{Due, StreamClock};
use super::*;
use crate::bus::{Bus, BusOptions, LogLimits, Message, QueueLimits, Start, Topic};

const LONG: Duration = Duration::from_secs(10);

fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

/// A stream of topics `a` and `b` with its handle.
struct Stream(Pin<Box<actix_web::body::BoxBody>>);

impl Stream {
    fn open(subscriber: crate::bus::Subscriber, options: SseOptions) -> Self {
        Self(Box::pin(respond(subscriber, options).into_body()))
    }

    /// The next chunk; `None` at the end.
    async fn chunk(&mut self) -> Option<String> {
        let next = poll_fn(|context| self.0.as_mut().poll_next(context));
        let chunk = timeout(LONG, next).await.expect("something is due")?;
        Some(String::from_utf8(chunk.unwrap().to_vec()).unwrap())
    }

    /// Whether nothing is there to be sent.
    async fn is_quiet(&mut self) -> bool {
        poll_fn(|context| Poll::Ready(self.0.as_mut().poll_next(context).is_pending())).await
    }
}

#[actix_web::test]
async fn what_waits_is_sent_in_one_chunk() {
    let bus = Bus::default();
    let subscriber = bus.subscriber();
    let handle = subscriber.handle().clone();
    let first = Bytes::from_static(b"id:c1\nevent:PB_CONNECT\ndata:{\"clientId\":\"c1\"}\n\n");
    let options = SseOptions {
        first,
        encode: frames("c1"),
        ..SseOptions::default()
    };
    let mut stream = Stream::open(subscriber, options);
    assert_eq!(
        stream.chunk().await.unwrap(),
        "id:c1\nevent:PB_CONNECT\ndata:{\"clientId\":\"c1\"}\n\n"
    );
    assert!(stream.is_quiet().await);
    for n in 1..=2 {
        bus.deliver(
            [&handle],
            &frame("demo/*", format!("{{\"n\":{n}}}").as_bytes()),
        );
    }
    let both = "id:c1\nevent:demo/*\ndata:{\"n\":1}\n\nid:c1\nevent:demo/*\ndata:{\"n\":2}\n\n";
    assert_eq!(stream.chunk().await.unwrap(), both);
    assert!(stream.is_quiet().await);
    handle.close();
    assert_eq!(stream.chunk().await, None);
}

#[actix_web::test]
async fn chunks_are_bounded() {
    let bus = Bus::default();
    let subscriber = bus.subscriber();
    let handle = subscriber.handle().clone();
    let mut stream = Stream::open(subscriber, SseOptions::default());
    let event = frame("x", &[b'x'; 30_000]);
    for _ in 0..10 {
        bus.deliver([&handle], &event);
    }
    handle.close();
    let mut total = 0;
    while let Some(chunk) = stream.chunk().await {
        assert!(chunk.len() < 100_000);
        total += chunk.len();
    }
    assert_eq!(total, 10 * event.len());
}

#[actix_web::test]
async fn a_stream_of_one_topic_has_its_ids() {
    let bus = Bus::default();
    let subscriber = bus.subscriber();
    let old = crate::bus::EventId { boot: 0, seq: 1 };
    subscriber
        .handle()
        .subscribe(&topic("a"), Start::After(old))
        .unwrap();
    let id = bus.publish(&topic("a"), Message::new("{\"n\":1}")).unwrap();
    let mut stream = Stream::open(subscriber, SseOptions::default());
    let expected = format!("event:gap\ndata:{{\"topic\":\"a\"}}\n\nid:{id}\ndata:{{\"n\":1}}\n\n");
    assert_eq!(stream.chunk().await.unwrap(), expected);
}

#[actix_web::test]
async fn a_stream_of_several_topics_resumes_by_its_id() {
    let bus = Bus::default();
    let names = [topic("a"), topic("b")];
    for name in &names {
        bus.pin_log(name, LogLimits::default()).unwrap();
    }
    let subscriber = bus.subscriber();
    let join = |name: &Topic| {
        (
            name.clone(),
            subscriber
                .handle()
                .subscribe(name, Start::Now)
                .unwrap()
                .position,
        )
    };
    let positions: Vec<_> = names.iter().map(join).collect();
    let options = SseOptions {
        encode: several_topics(positions),
        ..SseOptions::default()
    };
    let mut stream = Stream::open(subscriber, options);
    bus.publish(&names[0], Message::new("1"));
    let chunk = stream.chunk().await.unwrap();
    let id = chunk
        .strip_prefix("id:")
        .and_then(|rest| rest.split_once('\n'))
        .unwrap()
        .0
        .to_owned();
    assert_eq!(chunk, format!("id:{id}\nevent:a\ndata:1\n\n"));
    drop(stream);

    bus.publish(&names[1], Message::new("2"));
    bus.publish(&names[0], Message::new("3"));
    let positions = parse_positions(&id);
    assert_eq!(positions.len(), 2);
    let subscriber = bus.subscriber();
    for (name, id) in &positions {
        assert!(
            !subscriber
                .handle()
                .subscribe(name, Start::After(*id))
                .unwrap()
                .gap
        );
    }
    let options = SseOptions {
        encode: several_topics(positions),
        ..SseOptions::default()
    };
    let chunk = Stream::open(subscriber, options).chunk().await.unwrap();
    let data: Vec<_> = chunk
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("id:"))
        .collect();
    assert_eq!(data, ["event:a", "data:3", "event:b", "data:2"]);
}

#[actix_web::test]
async fn a_reader_sees_what_is_meant_for_it_and_keeps_its_place() {
    let bus = Bus::default();
    let subscriber = bus.subscriber();
    let joined = subscriber.handle().subscribe(&topic("a"), Start::Now);
    let positions = Positions::one(topic("a"), joined.unwrap().from);
    let start = positions.id_alone();
    let options = SseOptions {
        encode: resumable(positions, Box::new(|event| event.is_for("ann"))),
        first: start.clone(),
        ..SseOptions::default()
    };
    let mut stream = Stream::open(subscriber, options);
    assert_eq!(stream.chunk().await.unwrap(), start);
    for _ in 0..40 {
        bus.publish(&topic("a"), Message::new("1").for_readers(["bob"]));
    }
    let id = bus.publish(&topic("a"), Message::new("2").for_readers(["ann", "bob"]));
    let (id, boot) = (id.unwrap(), bus.boot());
    let expected = format!("id:{boot:x}-32\n\nid:{id}\ndata:2\n\n");
    assert_eq!(stream.chunk().await.unwrap(), expected);
}

#[actix_web::test]
async fn a_stream_that_lags_says_so_and_ends() {
    let bus = Bus::new(BusOptions {
        queue: QueueLimits {
            items_max: 1,
            ..QueueLimits::default()
        },
        ..BusOptions::default()
    });
    let subscriber = bus.subscriber();
    let handle = subscriber.handle().clone();
    let mut stream = Stream::open(subscriber, SseOptions::default());
    for _ in 0..2 {
        bus.deliver([&handle], &frame("x", b"1"));
    }
    assert_eq!(
        stream.chunk().await.unwrap(),
        "event:x\ndata:1\n\nevent:lagged\ndata:{}\n\n"
    );
    assert_eq!(stream.chunk().await, None);
}

#[actix_web::test]
async fn an_encoder_may_leave_items_out() {
    let bus = Bus::default();
    let subscriber = bus.subscriber();
    let handle = subscriber.handle().clone();
    let options = SseOptions {
        encode: Box::new(|_, _| {}),
        ..SseOptions::default()
    };
    let mut stream = Stream::open(subscriber, options);
    bus.deliver([&handle], &frame("x", b"1"));
    assert!(stream.is_quiet().await);
}

#[test]
fn names_cannot_break_a_message() {
    assert_eq!(frame("a\nid:1\r", b"x"), "event:aid:1\ndata:x\n\n");
}

#[test]
fn time_ends_a_stream_or_makes_it_speak() {
    let secs = Duration::from_secs;
    let start = Instant::now();
    let options = SseOptions {
        idle_max: Some(secs(300)),
        age_max: Some(secs(1_800)),
        keep_alive: Some(secs(25)),
        ..SseOptions::default()
    };
    let mut clock = StreamClock::new(&options, start);
    assert_eq!(clock.next(), Some(start + secs(25)));
    assert_eq!(clock.due(start + secs(24)), None);
    assert_eq!(clock.due(start + secs(25)), Some(Due::KeepAlive));
    assert_eq!(clock.due(start + secs(26)), None);
    // A comment is no event: the stream is still idle.
    assert_eq!(clock.due(start + secs(300)), Some(Due::End));
    clock.sent_events(start + secs(290));
    assert_eq!(clock.due(start + secs(300)), None);
    assert_eq!(clock.next(), Some(start + secs(315)));
    clock.sent_events(start + secs(1_799));
    assert_eq!(clock.next(), Some(start + secs(1_800)));
    assert_eq!(clock.due(start + secs(1_800)), Some(Due::End));
    let forever = SseOptions {
        keep_alive: None,
        ..SseOptions::default()
    };
    assert_eq!(StreamClock::new(&forever, start).next(), None);
}

#[actix_web::test]
async fn timers_drive_the_stream() {
    let bus = Bus::default();
    let brief = Some(Duration::from_millis(5));
    let options = SseOptions {
        keep_alive: brief,
        ..SseOptions::default()
    };
    let mut stream = Stream::open(bus.subscriber(), options);
    for _ in 0..3 {
        assert_eq!(stream.chunk().await.unwrap(), ":\n\n");
    }
    for options in [
        SseOptions {
            idle_max: brief,
            ..SseOptions::default()
        },
        SseOptions {
            age_max: brief,
            ..SseOptions::default()
        },
    ] {
        assert_eq!(Stream::open(bus.subscriber(), options).chunk().await, None);
    }
}

#[actix_web::test]
async fn stopping_ends_all_streams() {
    let bus = Bus::default();
    let stop = CancellationToken::new();
    let options = SseOptions {
        stop: Some(stop.clone()),
        ..SseOptions::default()
    };
    let mut stream = Stream::open(bus.subscriber(), options);
    assert!(stream.is_quiet().await);
    stop.cancel();
    assert_eq!(stream.chunk().await, None);
}

#[actix_web::test]
async fn the_subscriber_goes_when_the_client_leaves() {
    let bus = Bus::default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let of_server = bus.clone();
    let server = HttpServer::new(move || {
        let bus = of_server.clone();
        let open = move || {
            let bus = bus.clone();
            async move {
                let subscriber = bus.subscriber();
                subscriber
                    .handle()
                    .subscribe(&topic("a"), Start::Now)
                    .unwrap();
                respond(
                    subscriber,
                    SseOptions {
                        first: frame("hello", b"1"),
                        ..SseOptions::default()
                    },
                )
            }
        };
        App::new().route("/", web::get().to(open))
    });
    let server = server
        .workers(1)
        .h1_allow_half_closed(false)
        .disable_signals()
        .listen(listener)
        .unwrap();
    actix_web::rt::spawn(server.run());

    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut seen = String::new();
    while !seen.contains("data:1") {
        let mut part = [0; 1_024];
        let length = timeout(LONG, client.read(&mut part))
            .await
            .unwrap()
            .unwrap();
        seen.push_str(std::str::from_utf8(&part[..length]).unwrap());
    }
    for header in [
        "content-type: text/event-stream\r\n",
        "cache-control: no-store\r\n",
        "x-accel-buffering: no\r\n",
    ] {
        assert!(seen.contains(header), "{header} in {seen}");
    }
    assert!(bus.is_watched(&topic("a")));
    drop(client);
    let started = Instant::now();
    while bus.is_watched(&topic("a")) {
        assert!(started.elapsed() < LONG, "the subscriber is still there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
