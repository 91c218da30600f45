//! `?respond_to=sse`: 202 at once, and the answer on the caller's channel.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::fields::{open, text};
use crate::support::{Answer, Client, Stream, TestApp, record};

async fn channel(client: &Client) -> Stream {
    let mut stream = client.stream("/api/user/sse").await;
    assert_eq!(stream.json().await["type"], json!("connected"));
    stream
}

async fn reply(stream: &mut Stream) -> Value {
    loop {
        let envelope = stream.json().await;
        if envelope["type"] != json!("presence_change") {
            return envelope;
        }
    }
}

/// The id that the 202 tells.
fn accepted(answer: &Answer) -> String {
    let body = answer.expect(202);
    assert_eq!(body["status"], json!("response_sent_via_sse"));
    let id = body["request_id"].as_str().expect("an id").to_owned();
    assert_eq!(answer.header("x-request-id"), id);
    id
}

#[tokio::test]
async fn the_answer_comes_on_the_channel() {
    let app = TestApp::new().start().await;
    app.collection(open("notes", [text("title")])).await;
    let ann = app.user("ann");
    let mut stream = channel(&ann).await;
    let path = "/api/collections/notes/records";
    let answer = ann
        .post(&format!("{path}?respond_to=sse"), json!({"title": "a"}))
        .await;
    let id = accepted(&answer);
    let envelope = reply(&mut stream).await;
    assert_eq!(envelope["type"], json!("response"));
    assert_eq!(envelope["request_id"], json!(id));
    assert_eq!(envelope["status_code"], json!(200));
    assert_eq!(envelope["data"]["title"], json!("a"));
    assert!(envelope["timestamp"].is_i64());
    let record = envelope["data"]["id"].as_str().unwrap();
    // Errors in the same shape as ever, and answers without a body.
    for (request, status) in [
        (
            ann.request(
                Method::GET,
                "/api/collections/notes/records/missing?respond_to=sse",
            ),
            404,
        ),
        (ann.request(Method::GET, "/api/nowhere?respond_to=sse"), 404),
        (ann.request(Method::GET, "/api/logs?respond_to=sse"), 403),
        (
            ann.request(Method::DELETE, &format!("{path}/{record}?respond_to=sse")),
            204,
        ),
    ] {
        accepted(&ann.send(request).await);
        let envelope = reply(&mut stream).await;
        assert_eq!(envelope["status_code"], json!(status));
        if status == 204 {
            assert_eq!(envelope["data"], Value::Null);
        } else {
            assert_eq!(envelope["data"]["status"], json!(status));
        }
    }
    // Routes of modules keep their shape.
    let answer = ann
        .get("/api/user/notifications?unread=perhaps&respond_to=sse")
        .await;
    accepted(&answer);
    assert_eq!(reply(&mut stream).await["data"]["success"], json!(false));
}

#[tokio::test]
async fn the_clients_own_request_id_comes_back() {
    let app = TestApp::new().start().await;
    let ann = app.user("ann");
    let mut stream = channel(&ann).await;
    let request = ann.request(Method::GET, "/api/health?respond_to=sse");
    let answer = ann.send(request.header("X-Request-ID", "mine-1")).await;
    assert_eq!(
        answer.expect(202),
        json!({"status": "response_sent_via_sse"})
    );
    assert_eq!(answer.header("x-request-id"), "mine-1");
    let envelope = reply(&mut stream).await;
    assert_eq!(envelope["request_id"], json!("mine-1"));
    assert_eq!(envelope["data"]["code"], json!(200));
}

#[tokio::test]
async fn an_answer_waits_for_a_channel() {
    let app = TestApp::new().start().await;
    let ann = app.user("ann");
    let first = accepted(&ann.get("/api/health?respond_to=sse").await);
    let second = accepted(&ann.get("/api/health?respond_to=sse").await);
    // Nobody waits for these, so look at the log itself.
    let topic = rotunda::bus::Topic::new(&format!("@user/{}", ann.id)).unwrap();
    let bus = app.engine().unwrap().bus().clone();
    let start = rotunda::bus::Start::After(rotunda::bus::EventId { boot: 0, seq: 0 });
    crate::support::becomes(&2, || {
        let probe = bus.subscriber();
        probe.handle().subscribe(&topic, start).unwrap().replayed
    })
    .await;
    let mut stream = channel(&ann).await;
    let mut found = [reply(&mut stream).await, reply(&mut stream).await];
    found.sort_by_key(|envelope| envelope["request_id"] != json!(first));
    assert_eq!(found[0]["request_id"], json!(first));
    assert_eq!(found[1]["request_id"], json!(second));
    // Taken once.
    let mut other = channel(&ann).await;
    let third = accepted(&ann.get("/api/health?respond_to=sse").await);
    assert_eq!(reply(&mut other).await["request_id"], json!(third));
}

#[tokio::test]
async fn streams_files_tokens_and_guests_are_refused() {
    let app = TestApp::new().start().await;
    let ann = app.user("ann");
    app.guest()
        .get("/api/health?respond_to=sse")
        .await
        .expect(401);
    for path in [
        "/api/collections/users/auth-refresh",
        "/api/collections/users/auth-with-password",
        "/api/collections/users/auth%2Drefresh",
        "/api/files/token",
    ] {
        ann.post(&format!("{path}?respond_to=sse"), json!({}))
            .await
            .expect(400);
    }
    for path in [
        "/api/user/sse",
        "/api/events/news",
        "/api/realtime",
        "/api/files/a/b/c",
    ] {
        ann.get(&format!("{path}?respond_to=sse")).await.expect(400);
    }
    // Another value means nothing.
    ann.get("/api/health?respond_to=mail").await.expect(200);
    ann.get("/api/health?x=respond_to").await.expect(200);
    let huge = json!({"title": "x".repeat(5 << 20)});
    ann.post("/api/collections/notes/records?respond_to=sse", huge)
        .await
        .expect(413);
}

#[tokio::test]
async fn what_waits_goes_with_its_reader() {
    let app = TestApp::new().start().await;
    let (ann, root) = (app.user("ann"), app.superuser());
    accepted(&ann.get("/api/health?respond_to=sse").await);
    let id = ann.id.clone();
    root.delete(&record("users", &id)).await.expect(204);
    let heir = json!({"id": id, "email": "heir@example.com", "password": "1234567890", "passwordConfirm": "1234567890"});
    root.create("users", heir).await;
    let heir = app.guest();
    let signed_in = heir
        .sign_in("users", "heir@example.com", "1234567890")
        .await;
    let token = signed_in.expect(200)["token"].as_str().unwrap().to_owned();
    let mut stream = app.client_with(&token).stream("/api/user/sse").await;
    assert_eq!(stream.json().await["type"], "connected");
    app.live().push(&id, "mark", &json!(1));
    // What others are told of the user may come before.
    loop {
        let event = stream.json().await;
        assert_ne!(event["type"], "response", "{event}");
        if event["type"] == "mark" {
            break;
        }
    }
    let mut log = app.client_with(&token).resume("/api/user/sse", "1-1").await;
    let seen = log.many(2).await;
    assert!(
        seen.iter().all(|event| event["type"] != "response"),
        "{seen:?}"
    );
}
