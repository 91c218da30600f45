//! Requests on the room: the same answers as over HTTP, bounds, encodings, short forms.

use std::time::{Duration, Instant};

use rotunda_peer::Payload;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::line::{Encoding, Line, get, post};
use crate::support::{Client, TestApp, id_of, in_time};

const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::MessagePack];

async fn app_with_modules() -> TestApp {
    TestApp::new().modules("all").start().await
}

async fn plain_app() -> TestApp {
    let app = TestApp::new().start().await;
    app.live().ensure_topics().await.unwrap();
    app
}

/// What differs from one answer to the next.
fn settled(mut value: Value) -> Value {
    const VOLATILE: [&str; 4] = ["token", "expires", "timestamp", "took"];
    match &mut value {
        Value::Object(members) => {
            members.retain(|name, _| !VOLATILE.contains(&name.as_str()));
            let all = std::mem::take(members).into_iter();
            *members = all.map(|(name, value)| (name, settled(value))).collect();
        }
        Value::Array(items) => {
            let all = std::mem::take(items).into_iter();
            *items = all.map(settled).collect();
        }
        _ => {}
    }
    value
}

/// Asks the same over HTTP and on the room.
async fn compare(line: &mut Line, client: &Client, endpoint: &str) {
    let http = client.get(&format!("/api{endpoint}")).await;
    let endpoint = if line.encoding == Encoding::Json {
        format!("/api{endpoint}")
    } else {
        endpoint.to_owned()
    };
    let answer = line.call(get(&endpoint)).await;
    let status = answer["status_code"].as_u64().unwrap();
    assert_eq!(status, u64::from(http.status), "{endpoint}: {answer}");
    let body = match http.body.is_empty() {
        true => Value::Null,
        false => http.json(),
    };
    assert_eq!(
        settled(answer["data"].clone()),
        settled(body.clone()),
        "{endpoint}"
    );
    let error = match http.status {
        ..400 => Value::Null,
        _ => body["message"].clone(),
    };
    assert_eq!(answer["error"], error);
    assert!(answer["timestamp"].is_i64());
}

#[tokio::test]
async fn five_hundred_answers_are_those_of_http() {
    let app = app_with_modules().await;
    let (ann, bob, root) = (app.user("ann"), app.user("bob"), app.superuser());
    let mut post_id = String::new();
    for index in 0..12 {
        let body = json!({"type": "html", "content": format!("é <b>{index}</b> \u{2028}"), "isPublic": true});
        let made = ann.post("/api/posts", body).await.expect(201);
        post_id = made["post_id"].as_str().unwrap().to_owned();
        bob.post(&format!("/api/posts/{post_id}/like"), json!({}))
            .await
            .expect(200);
    }
    let article = json!({"title": "A thing", "prix": 2.5, "quantite": 3});
    let article = ann.create_id("articles", article).await;
    bob.post(&format!("/api/users/{}/follow", ann.id), json!({}))
        .await
        .expect(200);
    root.create(
        "operations",
        json!({"user": ann.id, "montant": 10, "operation": "cashin", "status": "paye"}),
    )
    .await;
    let own = format!("/collections/users/records/{}", ann.id);
    let endpoints = [
        "/health".to_owned(),
        "/posts".to_owned(),
        "/posts?page=2&perPage=5".to_owned(),
        "/posts?filter=isPublic%3Dtrue".to_owned(),
        "/posts/trending?limit=3".to_owned(),
        format!("/posts/{post_id}/stats"),
        format!("/posts/{post_id}/nothing"),
        "/collections/posts/records?sort=-created,id&expand=user&fields=id,content,expand.user.id"
            .to_owned(),
        format!("/collections/posts/records/{post_id}"),
        "/collections/posts/records/nothing".to_owned(),
        format!("/collections/articles/records/{article}"),
        "/collections/articles/records?filter=prix%3E2".to_owned(),
        "/collections/articles/records?filter=nonsense(".to_owned(),
        own.clone(),
        "/user/operations".to_owned(),
        "/user/wallet".to_owned(),
        "/user/sales".to_owned(),
        "/user/purchases?page=1".to_owned(),
        format!("/users/{}/followers", ann.id),
        format!("/users/{}/follow-settings", ann.id),
        "/user/notifications".to_owned(),
        "/user/notifications?unread=perhaps".to_owned(),
        "/location/presence/stats".to_owned(),
        "/settings/rotunda".to_owned(),
        "/collections".to_owned(),
    ];
    let mut lines = Vec::new();
    // One user has one room: the second encoding is another user's.
    for (client, encoding) in [(&ann, Encoding::Json), (&bob, Encoding::MessagePack)] {
        lines.push((Line::open(client, encoding).await, client));
    }
    for round in 0..10 {
        for (line, client) in &mut lines {
            for endpoint in &endpoints {
                // Several encodings of one user on one channel.
                if round == 9 {
                    line.encoding = match line.encoding {
                        Encoding::Json => Encoding::MessagePack,
                        Encoding::MessagePack => Encoding::Json,
                    };
                }
                if endpoint == "/posts" && line.encoding == Encoding::Json {
                    // Without `/api` it is the short form, which is the route's answer here.
                    compare(line, client, "/posts").await;
                } else {
                    compare(line, client, endpoint).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn writes_have_the_effect_and_the_answer_of_http() {
    let app = app_with_modules().await;
    let ann = app.user("ann");
    for encoding in BOTH {
        let mut line = Line::open(&ann, encoding).await;
        let body = json!({"type": "html", "content": "Hello", "isPublic": true, "likesCount": 5});
        let made = line.call(post("/api/posts", body)).await;
        assert_eq!(made["status_code"], json!(201), "{made}");
        let id = made["data"]["post_id"].as_str().unwrap().to_owned();
        let path = format!("/collections/posts/records/{id}");
        let changed = json!({"method": "patch", "endpoint": path, "body": {"content": "Changed"},
            "query": {"fields": "content", "expand": null}, "headers": null});
        let changed = line.call(changed).await;
        assert_eq!(changed["data"], json!({"content": "Changed"}));
        assert_eq!(ann.view("posts", &id).await["content"], json!("Changed"));
        let gone = json!({"method": "DELETE", "endpoint": path, "body": null, "query": null});
        let gone = line.call(gone).await;
        assert_eq!(
            (&gone["status_code"], &gone["data"]),
            (&json!(204), &Value::Null)
        );
        let wrong = line.call(post("/api/posts", json!({"type": 5}))).await;
        assert_eq!(wrong["status_code"], json!(400));
        let told = &wrong["data"];
        assert_eq!(
            (&told["success"], &told["message"]),
            (&json!(false), &wrong["error"])
        );
    }
}

#[tokio::test]
async fn whole_numbers_stand_for_floats() {
    let app = app_with_modules().await;
    let ann = app.user("ann");
    let mut line = Line::open(&ann, Encoding::MessagePack).await;
    let article = json!({"title": "A thing", "prix": 2, "quantite": 3.0});
    let made = line
        .call(post("/collections/articles/records", article))
        .await;
    assert_eq!(made["status_code"], json!(200), "{made}");
    assert_eq!(
        (&made["data"]["prix"], &made["data"]["quantite"]),
        (&json!(2), &json!(3))
    );
}

#[tokio::test]
async fn short_forms_answer_200_with_their_shapes() {
    let app = app_with_modules().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    app.superuser()
        .create(
            "operations",
            json!({"user": bob.id, "montant": 10, "operation": "cashin", "status": "paye"}),
        )
        .await;
    let article = json!({"title": "A thing", "prix": 2.5, "quantite": 30});
    let article = ann.create_id("articles", article).await;
    for encoding in BOTH {
        let mut line = Line::open(&bob, encoding).await;
        let body = json!({"type": "html", "content": "Hello", "isPublic": true});
        let made = line.call(post("/posts", body)).await;
        assert_eq!(made["status_code"], json!(200), "{made}");
        let id = made["data"]["post_id"].as_str().unwrap().to_owned();
        assert_eq!(
            (&made["data"]["success"], &made["data"]["post"]["id"]),
            (&json!(true), &json!(id))
        );
        let filter = json!({"filter": format!("id = '{id}'")});
        let list = json!({"method": "GET", "endpoint": "/posts", "query": filter});
        let list = line.call(list).await;
        assert_eq!(list["data"]["count"], json!(1), "{list}");
        assert_eq!(id_of(&list["data"]["posts"][0]), id);
        let like = json!({"post_id": id, "reaction": "fire"});
        let liked = line.call(post("/posts/like", like)).await;
        assert_eq!(
            (&liked["status_code"], &liked["data"]["success"]),
            (&json!(200), &json!(true))
        );
        let stats = line.call(get(&format!("/posts/{id}/stats"))).await;
        assert_eq!(stats["data"]["reactions"]["fire"], json!(1), "{stats}");
        let comment = json!({"post_id": id, "content": "Nice"});
        let comment = line.call(post("/posts/comment", comment)).await;
        assert!(comment["data"]["comment_id"].is_string(), "{comment}");
        let articles = line.call(get("/articles")).await;
        assert_eq!(articles["data"]["count"], json!(1));
        assert_eq!(id_of(&articles["data"]["articles"][0]), article);
        let bought = line
            .call(post("/articles/buy", json!({"article_id": article})))
            .await;
        assert_eq!(bought["data"]["success"], json!(true), "{bought}");
        assert_eq!(bought["data"]["amount"], json!(2.5));
        assert!(bought["data"]["vente_id"].is_string());
        let nothing = line
            .call(post("/posts/like", json!({"reaction": "fire"})))
            .await;
        assert_eq!(nothing["status_code"], json!(400));
        assert!(nothing["data"]["data"]["post_id"].is_object(), "{nothing}");
        let stats = line.call(get("/location/presence/stats")).await;
        assert_eq!(stats["data"]["online"], json!(1));
    }
}

#[tokio::test]
async fn sixty_four_requests_run_at_once_and_the_next_is_refused() {
    let app = app_with_modules().await;
    let ann = app.user("ann");
    let mut line = Line::open(&ann, Encoding::MessagePack).await;
    // The writer is held, so that creates wait.
    let store = app.engine().unwrap().store().clone();
    let (held, holds) = oneshot::channel();
    let (release, released) = oneshot::channel::<()>();
    let holding = tokio::spawn(async move {
        let work = store.write(move |_| {
            Box::pin(async move {
                let _ = held.send(());
                let _ = released.await;
                Ok::<_, rotunda::engine::Error>(())
            })
        });
        work.await
    });
    in_time("the writer", holds).await.unwrap();
    let body = json!({"type": "html", "content": "Hello", "isPublic": true});
    let mut ids = Vec::new();
    for _ in 0..65 {
        ids.push(line.send(post("/posts", body.clone())).await);
    }
    let refused = line.answer(&ids[64]).await;
    assert_eq!(refused["status_code"], json!(429), "{refused}");
    assert_eq!(refused["data"]["status"], json!(429));
    release.send(()).unwrap();
    in_time("the writer", holding).await.unwrap().unwrap();
    for id in &ids[..64] {
        assert_eq!(line.answer(id).await["status_code"], json!(200));
    }
    let next = line.call(post("/posts", body)).await;
    assert_eq!(next["status_code"], json!(200));
}

#[tokio::test]
async fn long_answers_come_in_parts_or_not_at_all() {
    let app = app_with_modules().await;
    let ann = app.user("ann");
    let content = "\"é\\ ".repeat(5_000);
    for _ in 0..30 {
        let body = json!({"type": "html", "content": content, "isPublic": true});
        ann.post("/api/posts", body).await.expect(201);
    }
    let list = "/collections/posts/records?sort=id";
    let expected = ann.get(&format!("/api{list}")).await.expect(200);
    assert!(expected.to_string().len() > 600_000);
    for encoding in BOTH {
        let mut line = Line::open(&ann, encoding).await;
        let refused = line.call(get(list)).await;
        assert_eq!(refused["status_code"], json!(413), "{refused}");
        assert!(refused["error"].as_str().unwrap().contains("perPage"));
        let less = line.call(get(&format!("{list}&perPage=1"))).await;
        assert_eq!(less["status_code"], json!(200));
        let whole = json!({"method": "GET", "endpoint": list, "accept_parts": true});
        let whole = line.call(whole).await;
        assert_eq!(whole["status_code"], json!(200));
        assert_eq!(whole["data"], expected);
    }
}

#[tokio::test]
async fn a_request_as_long_as_a_message_may_be_is_served() {
    let app = plain_app().await;
    let ann = app.user("ann");
    let mut line = Line::open(&ann, Encoding::Json).await;
    let message =
        json!({"request_id": "long", "method": "GET", "endpoint": "/health", "body": {"x": ""}});
    let fill = (256 << 10) - message.to_string().len();
    let mut longest = message.clone();
    longest["body"]["x"] = "x".repeat(fill).into();
    let payload = Payload::text(longest.to_string());
    assert_eq!(payload.bytes().len(), 256 << 10);
    line.send_raw(payload).await;
    assert_eq!(line.answer("long").await["status_code"], json!(200));
}

#[tokio::test]
async fn broken_messages_are_answered_and_the_room_goes_on() {
    let app = plain_app().await;
    let ann = app.user("ann");
    let mut line = Line::open(&ann, Encoding::MessagePack).await;
    let whole = json!({"request_id": "r", "method": "GET", "endpoint": "/health"});
    let packed = rmp_serde::to_vec(&whole).unwrap();
    let binary = |bytes: &[u8]| Payload::Binary(bytes.to_vec().into());
    let mut wrong = vec![
        binary(&[0x81, 0x01, 0x02]),
        binary(&[0xc1]),
        binary(&vec![0x91; 100_000]),
        binary(&[0xdf, 0xff, 0xff, 0xff, 0xff]),
        binary(&[0x93, 0x01, 0x02, 0x03]),
        Payload::text("{"),
        Payload::text("nonsense"),
        Payload::text("[]"),
        Payload::text("\"text\""),
        Payload::text("[".repeat(100_000)),
    ];
    for end in [1, 5, packed.len() / 2, packed.len() - 1] {
        wrong.push(binary(&packed[..end]));
    }
    for payload in wrong {
        line.send_raw(payload.clone()).await;
        let refused = line
            .find(|message| message["request_id"].is_null() && message.get("status_code").is_some())
            .await;
        assert_eq!(refused["status_code"], json!(400), "{payload:?}");
        assert_eq!(refused["data"]["status"], json!(400), "{payload:?}");
        assert_eq!(refused["error"], refused["data"]["message"]);
    }
    for (request, told) in [
        (
            json!({"request_id": "a", "method": 5, "endpoint": "/health"}),
            "method",
        ),
        (
            json!({"request_id": "a", "method": "TRACE", "endpoint": "/health"}),
            "method",
        ),
        (json!({"request_id": "a", "method": "GET"}), "endpoint"),
        (
            json!({"request_id": "a", "method": "GET", "endpoint": 7}),
            "endpoint",
        ),
        (
            json!({"request_id": "a", "endpoint": "http://example.com/api"}),
            "endpoint",
        ),
        (
            json!({"request_id": "a", "endpoint": "/health", "query": 7}),
            "query",
        ),
        (
            json!({"request_id": "a", "endpoint": "/health", "headers": ["x"]}),
            "headers",
        ),
        (
            json!({"request_id": "a", "endpoint": "/health", "headers": {"a b": "x"}}),
            "headers",
        ),
    ] {
        line.send_raw(line.payload(&request)).await;
        let refused = line.answer("a").await;
        assert_eq!(refused["status_code"], json!(400), "{request}");
        assert!(
            refused["error"]
                .as_str()
                .unwrap()
                .to_lowercase()
                .contains(told),
            "{refused}"
        );
    }
    assert_eq!(line.call(get("health")).await["status_code"], json!(200));
}

#[tokio::test]
async fn streams_are_refused_and_files_come_whole() {
    let app = TestApp::new()
        .file("pb_public/page.html", "<p>unseen</p>")
        .hook(
            "routes.pb.js",
            "routerAdd('GET', '/api/plain', (e) => e.string(200, 'just text'));\n\
             routerAdd('GET', '/api/bytes', (e) => e.blob(200, 'application/octet-stream', [0, 1, 255]));",
        )
        .start()
        .await;
    app.live().ensure_topics().await.unwrap();
    let ann = app.user("ann");
    let mut line = Line::open(&ann, Encoding::Json).await;
    for stream in ["/user/sse", "/realtime"] {
        let refused = line.call(get(stream)).await;
        assert_eq!(refused["status_code"], json!(400), "{refused}");
    }
    let plain = line.call(get("/plain")).await;
    assert_eq!(plain["data"], json!("just text"), "{plain}");
    let bytes = line.call(get("/bytes")).await;
    assert_eq!(bytes["data"], json!("AAH/"), "{bytes}");
    assert_eq!(bytes["content_type"], json!("application/octet-stream"));
}

#[tokio::test]
async fn nobody_speaks_for_others_by_headers() {
    let app = TestApp::new()
        .hook(
            "routes.pb.js",
            "routerAdd('GET', '/api/who', (e) => e.json(200, {\n\
               id: e.auth ? e.auth.id : '', ip: e.realIP(), remote: e.remoteIP(),\n\
               mark: e.request.header.get('X-Mark'), request: e.request.header.get('X-Request-ID')}));",
        )
        .start()
        .await;
    app.live().ensure_topics().await.unwrap();
    let (ann, bob, root) = (app.user("ann"), app.user("bob"), app.superuser());
    let proxy = json!({"trustedProxy": {"headers": ["X-Real-IP"], "useLeftmostIP": false}});
    root.patch("/api/settings", proxy).await.expect(200);
    let mut line = Line::open(&ann, Encoding::Json).await;
    let headers = json!({"Authorization": bob.token(), "authorization": root.token(), "Cookie": "a=b",
        "X-Real-IP": "9.9.9.9", "X-Mark": "here"});
    let who =
        json!({"request_id": "who-1", "method": "GET", "endpoint": "/who", "headers": headers});
    line.send_raw(line.payload(&who)).await;
    let who = line.answer("who-1").await;
    let expected = json!({"id": ann.id, "ip": "127.0.0.1", "remote": "127.0.0.1", "mark": "here", "request": "who-1"});
    assert_eq!(who["data"], expected);
}

#[tokio::test]
async fn scripts_and_late_answers_work_as_over_http() {
    let app = TestApp::new()
        .hook(
            "routes.pb.js",
            "routerUse((e) => { e.response.header().set('X-Seen', '1'); return e.next(); });\n\
             routerAdd('POST', '/api/double/{n}', (e) => e.json(201, {n: 2 * e.request.pathValue('n'), b: e.requestInfo().body}));",
        )
        .start()
        .await;
    app.live().ensure_topics().await.unwrap();
    let ann = app.user("ann");
    let mut line = Line::open(&ann, Encoding::MessagePack).await;
    let doubled = line.call(post("/double/4", json!({"a": [1]}))).await;
    assert_eq!(doubled["status_code"], json!(201), "{doubled}");
    assert_eq!(doubled["data"], json!({"n": 8, "b": {"a": [1]}}));
    let later = line.call(get("/user/notifications?respond_to=sse")).await;
    assert_eq!(later["status_code"], json!(202), "{later}");
    let response = line
        .find(|message| message["type"] == json!("response"))
        .await;
    assert_eq!(response["status_code"], json!(200), "{response}");
}

#[tokio::test]
async fn a_round_trip_is_quick() {
    let app = app_with_modules().await;
    let ann = app.user("ann");
    let mut line = Line::open(&ann, Encoding::MessagePack).await;
    let mut took = Vec::new();
    for _ in 0..200 {
        let began = Instant::now();
        line.call(get("/user/wallet")).await;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    // Two to three milliseconds without optimisation on a busy machine; the aim is five with it.
    assert!(took[100] < Duration::from_millis(50), "{:?}", took[100]);
}
