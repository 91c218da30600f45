//! The channel of a user: envelopes, tabs, resuming, the end of a token.

use serde_json::json;

use super::topic;
use crate::support::{Client, Stream, TestApp};

const PATH: &str = "/api/user/sse";

async fn connected(client: &Client, last_id: &str) -> Stream {
    let mut stream = client.resume(PATH, last_id).await;
    let hello = stream.next().await;
    assert_eq!(hello.name, "message");
    let hello = hello.json();
    assert_eq!(hello["type"], json!("connected"));
    let data = json!({"user_id": client.id, "message": "SSE channel ready"});
    assert_eq!(hello["data"], data);
    assert!(hello["timestamp"].as_i64().unwrap() > 1_600_000_000);
    stream
}

/// The next envelope that is not about presence.
async fn next(stream: &mut Stream) -> serde_json::Value {
    loop {
        let message = stream.next().await;
        assert_eq!(message.name, "message");
        let envelope = message.json();
        if envelope["type"] != json!("presence_change") {
            return envelope;
        }
    }
}

#[tokio::test]
async fn guests_have_no_channel() {
    let app = TestApp::new().start().await;
    app.guest().no_stream(PATH, 401).await;
    app.guest()
        .no_stream("/api/user/sse?token=nonsense", 401)
        .await;
    let path = format!("{PATH}?token={}", app.user("ann").token());
    app.guest().stream(&path).await;
    // Nobody reads another's by the topic's name.
    let other = topic(&format!("%40user%2F{}", app.user("ann").id));
    app.superuser().no_stream(&other, 400).await;
}

#[tokio::test]
async fn each_tab_gets_everything_of_its_user_alone() {
    let app = TestApp::new().start().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let mut tabs = [connected(&ann, "").await, connected(&ann, "").await];
    let mut other = connected(&bob, "").await;
    app.live().push(&ann.id, "hint", &json!({"n": 1}));
    app.live().push(&bob.id, "hint", &json!({"n": 2}));
    for tab in &mut tabs {
        let envelope = next(tab).await;
        assert_eq!(envelope["type"], json!("hint"));
        assert_eq!(envelope["data"], json!({"n": 1}));
        assert!(envelope["timestamp"].is_i64());
        assert_eq!(envelope.get("request_id"), None);
    }
    assert_eq!(next(&mut other).await["data"], json!({"n": 2}));
}

#[tokio::test]
async fn a_channel_resumes() {
    let app = TestApp::new().start().await;
    let ann = app.user("ann");
    let mut stream = connected(&ann, "").await;
    app.live().push(&ann.id, "hint", &json!(1));
    assert_eq!(next(&mut stream).await["data"], json!(1));
    let id = stream.last_id.clone();
    drop(stream);
    app.live().push(&ann.id, "hint", &json!(2));
    app.live().push(&ann.id, "hint", &json!(3));
    let mut stream = connected(&ann, &id).await;
    assert_eq!(next(&mut stream).await["data"], json!(2));
    assert_eq!(next(&mut stream).await["data"], json!(3));
    // What nobody asked for again does not come again.
    let mut fresh = connected(&ann, "").await;
    app.live().push(&ann.id, "hint", &json!(4));
    assert_eq!(next(&mut fresh).await["data"], json!(4));
    let mut lost = connected(&ann, "ffff-7").await;
    assert_eq!(lost.json().await["type"], json!("gap"));
}

#[tokio::test]
async fn a_channel_ends_with_its_token() {
    let app = TestApp::new().start().await;
    let (root, ann, bob) = (app.superuser(), app.user("ann"), app.user("bob"));
    let brief = root
        .post(
            &format!("/api/collections/users/impersonate/{}", ann.id),
            json!({"duration": 1}),
        )
        .await
        .expect(200);
    let brief = ann.with_token(brief["token"].as_str().unwrap());
    connected(&brief, "").await.rest().await;
    let mut of_ann = connected(&ann, "").await;
    let mut of_bob = connected(&bob, "").await;
    let password = json!({"password": "new-1234567", "passwordConfirm": "new-1234567"});
    root.update("users", &ann.id, password).await;
    of_ann.rest().await;
    app.user("ann").no_stream(PATH, 401).await;
    root.delete(&format!("/api/collections/users/records/{}", bob.id))
        .await
        .expect(204);
    of_bob.rest().await;
    bob.no_stream(PATH, 401).await;
}

#[tokio::test]
async fn a_channel_that_is_not_read_ends_with_lagged() {
    let app = TestApp::new().start().await;
    let ann = app.user("ann");
    let mut stream = connected(&ann, "").await;
    let payload = json!("x".repeat(500_000));
    for _ in 0..60 {
        app.live().push(&ann.id, "hint", &payload);
    }
    let rest = stream.rest().await;
    let last = rest.last().unwrap();
    assert_eq!(
        (last.name.as_str(), &last.json()["type"]),
        ("message", &json!("lagged"))
    );
}
