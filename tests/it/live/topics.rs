//! Streams of topics: what arrives, in which order, how they resume, and when they end.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{app_with_news, make_topic, publish, topic};
use crate::support::{Message, TestApp, all, becomes, in_time, raw::Raw};

#[tokio::test]
async fn events_arrive_unnamed_with_growing_ids() {
    let app = app_with_news().await;
    let mut stream = app.guest().stream(&topic("news")).await.placed().await;
    let start = stream.last_id.clone();
    let (boot, n) = start.split_once('-').expect("<boot>-<n>");
    let n: u64 = n.parse().unwrap();
    for step in 1..=3 {
        let id = publish(
            &app.guest(),
            "news",
            json!({"n": step, "text": "a\n\"b\" <c>"}),
        )
        .await;
        assert_eq!(id, format!("{boot}-{}", n + step));
        let message = stream.next().await;
        assert_eq!(message.name, "message");
        assert_eq!(message.json(), json!({"n": step, "text": "a\n\"b\" <c>"}));
        assert_eq!(stream.last_id, id);
    }
}

#[tokio::test]
async fn several_topics_share_a_stream_and_their_names_are_told() {
    let app = app_with_news().await;
    make_topic(&app, "room/é 1", json!(""), json!("")).await;
    let path = "/api/events?topics=news,room%2F%C3%A9%201,news";
    let mut stream = app.guest().stream(path).await.placed().await;
    publish(&app.guest(), "room%2F%C3%A9%201", json!(1)).await;
    publish(&app.guest(), "news", json!(2)).await;
    for (name, data) in [("room/é 1", "1"), ("news", "2")] {
        let expected = Message {
            name: name.to_owned(),
            data: data.to_owned(),
        };
        assert_eq!(stream.next().await, expected);
    }
    let id = stream.last_id.clone();
    drop(stream);
    publish(&app.guest(), "room%2F%C3%A9%201", json!(3)).await;
    publish(&app.guest(), "news", json!(4)).await;
    let mut stream = app.guest().resume(path, &id).await;
    let mut found = [stream.next().await.data, stream.next().await.data];
    found.sort();
    assert_eq!(found, ["3", "4"]);
    // A topic that is new to the stream begins now.
    make_topic(&app, "late", json!(""), json!("")).await;
    publish(&app.guest(), "late", json!(5)).await;
    let path = format!("{path},late");
    let mut stream = app
        .guest()
        .resume(&path, &stream.last_id)
        .await
        .placed()
        .await;
    publish(&app.guest(), "late", json!(6)).await;
    assert_eq!(stream.next().await.data, "6");
}

#[tokio::test]
async fn a_client_resumes_by_header_or_query() {
    let app = app_with_news().await;
    let first = publish(&app.guest(), "news", json!(1)).await;
    publish(&app.guest(), "news", json!(2)).await;
    let mut by_header = app.guest().resume(&topic("news"), &first).await;
    let path = format!("{}?last_event_id={first}", topic("news"));
    let mut by_query = app.guest().stream(&path).await;
    // What a browser reconnects with counts more than what it once opened.
    let newest = publish(&app.guest(), "news", json!(3)).await;
    let mut both = app.guest().resume(&path, &newest).await;
    publish(&app.guest(), "news", json!(4)).await;
    for stream in [&mut by_header, &mut by_query] {
        assert_eq!(stream.many(3).await, [json!(2), json!(3), json!(4)]);
    }
    assert_eq!(both.json().await, json!(4));
}

#[tokio::test]
async fn ids_that_cannot_be_placed_begin_with_a_gap() {
    let app = app_with_news().await;
    let first = publish(&app.guest(), "news", json!(1)).await;
    let (boot, _) = first.split_once('-').unwrap();
    let gap = json!({"topic": "news"});
    let unplaced = [
        "garbage",
        "-",
        "0",
        "1-1",
        "ffffffffffff-3",
        "18446744073709551616-1",
        "news:zz-1",
        "'; DROP TABLE users; --",
        "../../etc/passwd",
    ];
    for path in [topic("news"), "/api/events?topics=news".to_owned()] {
        for id in unplaced {
            let mut stream = app.guest().resume(&path, id).await;
            let message = stream.next().await;
            assert_eq!(
                (message.name.as_str(), message.json()),
                ("gap", gap.clone()),
                "{id}"
            );
            assert_eq!(stream.json().await, json!(1), "{id}");
        }
    }
    // Of this run, and yet to come.
    let forged = format!("{boot}-99999");
    let mut stream = app.guest().resume(&topic("news"), &forged).await;
    assert_eq!(stream.next().await.name, "gap");
    let id = publish(&app.guest(), "news", json!(2)).await;
    assert_eq!(stream.json().await, json!(2));
    assert_eq!(stream.last_id, id);
    // Bytes that are no text.
    let path = topic("news");
    let answer = Raw::new("GET", format!("{path}?x"))
        .header("Last-Event-ID", b"\xff\xfe")
        .header("Accept", "text/event-stream");
    let heard = tokio::time::timeout(Duration::from_millis(300), answer.send(app.addr())).await;
    assert!(heard.is_err(), "the stream is open");
    // After a gap the place is known again.
    let mut stream = app.guest().resume(&topic("news"), "garbage").await;
    stream.many(3).await;
    let mut stream = app
        .guest()
        .resume(&topic("news"), &stream.last_id)
        .await
        .placed()
        .await;
    publish(&app.guest(), "news", json!(3)).await;
    assert_eq!(stream.json().await, json!(3));
}

#[tokio::test]
async fn a_restart_is_a_gap() {
    let mut app = app_with_news().await;
    let id = publish(&app.guest(), "news", json!(1)).await;
    app.restart().await;
    let mut stream = app.guest().resume(&topic("news"), &id).await;
    assert_eq!(stream.next().await.name, "gap");
    publish(&app.guest(), "news", json!(2)).await;
    assert_eq!(stream.json().await, json!(2));
}

#[tokio::test]
async fn a_reload_on_a_quiet_topic_misses_nothing() {
    let app = app_with_news().await;
    let path = topic("news");
    let stream = app.guest().stream(&path).await.placed().await;
    let id = stream.last_id.clone();
    drop(stream);
    // Quiet in between, once with nobody there.
    let stream = app.guest().resume(&path, &id).await.placed().await;
    drop(stream);
    publish(&app.guest(), "news", json!(1)).await;
    let mut stream = app.guest().resume(&path, &id).await;
    let message = stream.next().await;
    assert_eq!(
        (message.name.as_str(), message.json()),
        ("message", json!(1))
    );
}

#[tokio::test]
async fn the_log_is_bounded_and_says_so() {
    let app = TestApp::new()
        .with(|config| config.topic_log_events = 10)
        .start()
        .await;
    make_topic(&app, "news", json!(""), json!("")).await;
    let first = publish(&app.guest(), "news", json!(0)).await;
    for n in 1..=30 {
        app.live().publish("news", &json!(n)).unwrap();
    }
    let mut stream = app.guest().resume(&topic("news"), &first).await;
    assert_eq!(stream.next().await.name, "gap");
    let expected: Vec<Value> = (21..=30).map(|n| json!(n)).collect();
    assert_eq!(stream.many(10).await, expected);
}

#[tokio::test]
async fn names_and_lists_of_topics_are_checked() {
    let app = app_with_news().await;
    let long = "x".repeat(10_000);
    let many: Vec<String> = (0..100).map(|n| format!("t{n}")).collect();
    let wide: Vec<String> = (0..12).map(|n| format!("{n}{}", "y".repeat(240))).collect();
    for (path, word) in [
        (topic(&long), "255 bytes"),
        (topic("%40user%2Fx"), "reserved"),
        (topic("a%0Ab"), "control"),
        (topic("a%00b"), "control"),
        (format!("/api/events?topics=news,{long}"), "255 bytes"),
        ("/api/events?topics=news,@user/x".to_owned(), "reserved"),
        (
            format!("/api/events?topics={}", many.join(",")),
            "at most 64",
        ),
        (
            format!("/api/events?topics={}", wide.join(",")),
            "2048 bytes",
        ),
        ("/api/events?topics=,,".to_owned(), "no topic"),
        ("/api/events".to_owned(), "no topic"),
    ] {
        for client in [app.superuser(), app.guest()] {
            let answer = client.get(&path).await;
            answer.expect(400);
            assert!(answer.text().contains(word), "{word}: {answer:?}");
        }
        if path.starts_with("/api/events/") {
            app.superuser().post(&path, json!(1)).await.expect(400);
        }
    }
}

#[tokio::test]
async fn bodies_are_checked() {
    let app = app_with_news().await;
    let mut stream = app.guest().stream(&topic("news")).await.placed().await;
    let send = |body: Vec<u8>| {
        let request = app.guest().request(Method::POST, &topic("news")).body(body);
        async { app.guest().send(request).await }
    };
    let deep = [vec![b'['; 5_000], vec![b']'; 5_000]].concat();
    for (body, status) in [
        (b"".to_vec(), 400),
        (b"{".to_vec(), 400),
        (b"{} {}".to_vec(), 400),
        (b"\xff\xfe".to_vec(), 400),
        (b"NaN".to_vec(), 400),
        (deep, 400),
        (vec![b'1'; 64 * 1024 + 1], 413),
    ] {
        send(body).await.expect(status);
    }
    let text = format!("\"{}\"", "x".repeat(64 * 1024 - 2));
    for body in ["null", "7", "\"a\"", "[1,\n2]", "{\n \"a\": 1.0 }", &text] {
        send(body.as_bytes().to_vec()).await.expect(200);
        let expected: Value = serde_json::from_str(body).unwrap();
        let message = stream.next().await;
        assert_eq!(message.json(), expected);
        assert!(!message.data.contains('\n'));
    }
}

#[tokio::test]
async fn a_browser_signs_in_by_query() {
    let app = TestApp::new().start().await;
    make_topic(
        &app,
        "members",
        json!("@request.auth.id != ''"),
        Value::Null,
    )
    .await;
    let token = app.user("ann").token().to_owned();
    for path in [
        "/api/events/members?token=",
        "/api/events?topics=members&token=",
    ] {
        app.guest().stream(&format!("{path}{token}")).await;
        app.guest().no_stream(&format!("{path}{token}x"), 403).await;
        app.guest().no_stream(path, 403).await;
    }
    // For streams alone.
    let path = format!("/api/events/members?token={}", app.superuser().token());
    app.guest().post(&path, json!(1)).await.expect(403);
}

#[tokio::test]
async fn tokens_do_not_reach_the_log() {
    let app = app_with_news().await;
    let token = app.user("ann").token().to_owned();
    app.guest()
        .stream(&format!("/api/events/news?token={token}"))
        .await;
    app.guest()
        .stream(&format!("/api/user/sse?token={token}"))
        .await;
    let root = app.superuser();
    let started = std::time::Instant::now();
    loop {
        let logs = root.get("/api/logs?perPage=200").await;
        let found = logs.text();
        assert!(!found.contains(&token));
        if found.contains("/api/events/news?token=REDACTED")
            && found.contains("/api/user/sse?token=REDACTED")
        {
            break;
        }
        assert!(started.elapsed() < crate::support::DEADLINE, "{found}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn streams_end_with_their_token() {
    let app = app_with_news().await;
    let root = app.superuser();
    let ann = app.user("ann");
    let brief = root
        .post(
            &format!("/api/collections/users/impersonate/{}", ann.id),
            json!({"duration": 2}),
        )
        .await
        .expect(200);
    let brief = app.client_with(brief["token"].as_str().unwrap());
    let mut guest = app.guest().stream(&topic("news")).await.placed().await;
    let mut both = [
        brief.stream(&topic("news")).await.placed().await,
        brief.stream("/api/events?topics=news").await.placed().await,
    ];
    for stream in &mut both {
        assert_eq!(stream.rest().await, []);
    }
    let (mut of_ann, mut of_bob) = (
        ann.stream(&topic("news")).await.placed().await,
        app.user("bob").stream(&topic("news")).await.placed().await,
    );
    // A change that is none of the key's ends nothing.
    root.update("users", &ann.id, json!({"name": "Anna"})).await;
    publish(&root, "news", json!(1)).await;
    assert_eq!(of_ann.json().await, json!(1));
    let password = json!({"password": "new-1234567", "passwordConfirm": "new-1234567"});
    root.update("users", &ann.id, password).await;
    assert_eq!(of_ann.rest().await, []);
    // With the collection's secret all its tokens end, and nobody else's.
    let rule = json!({"authRule": "verified = true"});
    assert_eq!(of_bob.json().await, json!(1));
    root.patch("/api/collections/users", rule).await.expect(200);
    assert_eq!(of_bob.rest().await, []);
    publish(&root, "news", json!(2)).await;
    assert_eq!(guest.many(2).await, [json!(1), json!(2)]);
}

#[tokio::test]
async fn a_client_that_never_reads_is_cut_off_and_resumes() {
    let app = app_with_news().await;
    let start = publish(&app.guest(), "news", json!("start")).await;
    let mut slow = app.guest().stream(&topic("news")).await.placed().await;
    let mut quick = app.guest().stream(&topic("news")).await.placed().await;
    let reader = tokio::spawn(async move { quick.many(600).await.len() });
    let payload = "x".repeat(60_000);
    for n in 0..600 {
        publish(&app.guest(), "news", json!({"n": n, "payload": payload})).await;
    }
    assert_eq!(in_time("the quick reader", reader).await.unwrap(), 600);
    let seen = slow.rest().await;
    let (last, events) = seen.split_last().unwrap();
    assert_eq!(last.name, "lagged");
    assert!(events.len() < 600, "it was cut off");
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event.json()["n"], json!(n));
    }
    // What it missed it gets as far as the log goes: 4 MiB.
    let mut again = app.guest().resume(&topic("news"), &slow.last_id).await;
    assert_eq!(again.next().await.name, "gap");
    let mut next = again.json().await["n"].as_u64().unwrap();
    assert!(next > events.len() as u64);
    while next < 599 {
        let n = again.json().await["n"].as_u64().unwrap();
        assert_eq!(n, next + 1);
        next = n;
    }
    let mut late = app.guest().resume(&topic("news"), &start).await;
    assert_eq!(late.next().await.name, "gap");
}

#[tokio::test]
async fn a_flood_of_events_is_bounded_and_in_order() {
    const PUBLISHERS: usize = 8;
    const EACH: usize = 100;
    let app = app_with_news().await;
    let mut stream = app.guest().stream(&topic("news")).await.placed().await;
    let guest = app.guest();
    let floods = (0..PUBLISHERS).map(|publisher| {
        let guest = guest.clone();
        async move {
            for n in 0..EACH {
                publish(&guest, "news", json!([publisher, n])).await;
            }
        }
    });
    all(floods).await;
    let mut next = [0; PUBLISHERS];
    for event in stream.many(PUBLISHERS * EACH).await {
        let publisher = event[0].as_u64().unwrap() as usize;
        assert_eq!(event[1], json!(next[publisher]));
        next[publisher] += 1;
    }
    assert_eq!(next, [EACH; PUBLISHERS]);
}

/// A client that loses its stream all the time, while others publish.
async fn resumes_often(path: &str, topics: &[&'static str]) {
    const EACH: usize = 400;
    let app = TestApp::new().start().await;
    for name in topics {
        make_topic(&app, name, json!(""), json!("")).await;
    }
    let mut stream = app.guest().stream(path).await.placed().await;
    let publishers: Vec<_> = topics
        .iter()
        .map(|name| {
            let (live, name) = (app.live().clone(), *name);
            tokio::spawn(async move {
                for n in 0..EACH {
                    live.publish(name, &json!({"topic": name, "n": n})).unwrap();
                    if n % 3 == 0 {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
            })
        })
        .collect();
    let mut seen = vec![0; topics.len()];
    let mut read = 0;
    while seen.iter().any(|count| *count < EACH) {
        let message = stream.next().await;
        assert_ne!(message.name, "gap");
        let event = message.json();
        let place = topics
            .iter()
            .position(|name| event["topic"] == json!(name))
            .unwrap();
        assert_eq!(event["n"], json!(seen[place]), "each once, and in order");
        seen[place] += 1;
        read += 1;
        if read % 17 == 0 {
            let id = stream.last_id.clone();
            drop(stream);
            stream = app.guest().resume(path, &id).await;
        }
    }
    for publisher in publishers {
        publisher.await.unwrap();
    }
}

#[tokio::test]
async fn a_stream_that_drops_and_resumes_sees_each_event_once() {
    resumes_often("/api/events/a", &["a"]).await;
}

#[tokio::test]
async fn a_stream_of_several_topics_that_drops_and_resumes_sees_each_event_once() {
    resumes_often("/api/events?topics=a,b,c", &["a", "b", "c"]).await;
}

#[tokio::test]
async fn the_number_of_streams_is_bounded() {
    let app = TestApp::new()
        .with(|config| {
            config.streams_per_client_max = 2;
            config.streams_max = 4;
        })
        .start()
        .await;
    make_topic(&app, "news", json!(""), json!("")).await;
    let (ann, path) = (app.user("ann"), topic("news"));
    let one = ann.stream(&path).await.placed().await;
    let _two = ann.stream("/api/user/sse").await;
    ann.no_stream(&path, 429).await;
    let bob = app.user("bob").stream(&path).await;
    let guest = app.guest().stream(&path).await;
    let refused = app
        .guest()
        .request(Method::GET, &path)
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 503);
    drop((one, bob, guest));
    // The places come back once the server has noticed.
    let started = std::time::Instant::now();
    while app.user("carl").get_status(&path).await != 200 {
        assert!(started.elapsed() < crate::support::DEADLINE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn quiet_streams_are_dropped_when_their_client_leaves() {
    let app = app_with_news().await;
    let bus = app.engine().unwrap().bus().clone();
    let name = rotunda::bus::Topic::new("news").unwrap();
    let stream = app.guest().stream(&topic("news")).await.placed().await;
    becomes(&true, || bus.is_watched(&name)).await;
    drop(stream);
    becomes(&false, || bus.is_watched(&name)).await;
}
