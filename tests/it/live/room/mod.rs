//! The user's room: any request on a data channel, and what is pushed beside the answers.

mod line;
mod requests;

use std::time::Duration;

use rotunda::live::presence::State;
use rotunda_peer::Payload;
use serde_json::{Value, json};

use self::line::{Encoding, LABEL, Line, get, post};
use super::notifications::notify;
use crate::support::{Client, TestApp, becomes};

const CONNECT: &str = "/api/user/room/connect";

async fn app() -> TestApp {
    let app = TestApp::new().start().await;
    app.live().ensure_topics().await.unwrap();
    app
}

fn state(app: &TestApp, user: &Client) -> State {
    app.live().presence().state(&user.id)
}

/// Why the server closed a room: the last push, and the end of the connection.
async fn closed(line: &mut Line) -> String {
    let closed = line
        .find(|message| message["type"] == json!("closed"))
        .await;
    line.peer.ended().await.expect("the connection ends");
    closed["data"]["reason"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_room_opens_with_a_welcome_and_makes_its_user_online() {
    let app = app().await;
    let ann = app.user("ann");
    app.guest().post(CONNECT, json!({})).await.expect(401);
    let _line = Line::open(&ann, Encoding::MessagePack).await;
    assert_eq!(state(&app, &ann), State::Online);
}

#[tokio::test]
async fn signalling_in_a_wrong_state_is_refused() {
    let app = app().await;
    let ann = app.user("ann");
    let answer = json!({"type": "answer", "sdp": "v=0"});
    for path in ["answer", "candidates"] {
        let path = format!("/api/user/room/{path}");
        ann.post(&path, answer.clone()).await.expect(404);
        app.guest().post(&path, answer.clone()).await.expect(401);
    }
    let first = ann.post(CONNECT, json!({})).await.expect(200);
    let answer_path = "/api/user/room/answer";
    ann.post(answer_path, answer.clone()).await.expect(400);
    ann.post(answer_path, json!({})).await.expect(400);
    let candidates = "/api/user/room/candidates";
    let end = json!({"candidate": "", "sdpMid": "0", "sdpMLineIndex": 0});
    ann.post(candidates, end).await.expect(200);
    let none = json!({"candidate": "nonsense", "sdpMid": "0"});
    ann.post(candidates, none).await.expect(400);
    // Another tab has connected since: what the first one sends is not for the new connection.
    ann.post(CONNECT, json!({})).await.expect(200);
    let late = json!({"type": "answer", "sdp": "v=0", "peer_id": first["peer_id"]});
    ann.post(answer_path, late).await.expect(409);
}

#[tokio::test]
async fn pushes_are_in_messagepack_until_the_client_has_sent_text() {
    let app = app().await;
    let ann = app.user("ann");
    let mut line = Line::open(&ann, Encoding::MessagePack).await;
    line.call(get("/health")).await;
    let mut channel = ann.stream("/api/user/sse").await;
    app.live().push(&ann.id, "hint", &json!({"n": 1}));
    let payload = raw_push(&mut line, "hint").await;
    let Payload::Binary(bytes) = payload else {
        panic!("binary is expected");
    };
    let pushed: Value = rmp_serde::from_slice(&bytes).unwrap();
    // The same envelope as on the event stream.
    let streamed = loop {
        let envelope = channel.json().await;
        if envelope["type"] == json!("hint") {
            break envelope;
        }
    };
    assert_eq!(pushed, streamed);
    line.encoding = Encoding::Json;
    line.call(get("/health")).await;
    app.live().push(&ann.id, "hint", &json!({"n": 2}));
    let payload = raw_push(&mut line, "hint").await;
    assert!(
        payload
            .as_text()
            .is_some_and(|text| text.contains("\"n\":2"))
    );
}

/// The next push of a type, as it came.
async fn raw_push(line: &mut Line, kind: &str) -> Payload {
    loop {
        let payload = line.raw().await;
        let value: Value = match &payload {
            Payload::Text(text) => serde_json::from_str(text).unwrap(),
            Payload::Binary(bytes) => rmp_serde::from_slice(bytes).unwrap(),
        };
        if value["type"] == json!(kind) {
            return payload;
        }
    }
}

#[tokio::test]
async fn notifications_come_in_both_shapes() {
    let app = app().await;
    let ann = app.user("ann");
    let mut line = Line::open(&ann, Encoding::MessagePack).await;
    let data = json!({"post_id": "p1", "user_id": "u1"});
    let id = notify(&app, &ann, "post_liked", data.clone(), false).await;
    let own = line.push().await;
    assert_eq!(
        (&own["type"], &own["id"]),
        (&json!("post_liked"), &json!(id))
    );
    assert_eq!(own["data"], data);
    let second = line.push().await;
    assert_eq!(
        (&second["type"], &second["id"]),
        (&json!("notification"), &json!(id))
    );
    let both = json!({"post_id": "p1", "user_id": "u1", "type": "post_liked"});
    assert_eq!(second["data"], both);
    assert_eq!(second["timestamp"], own["timestamp"]);
}

#[tokio::test]
async fn a_new_connection_takes_the_place_of_the_one_before() {
    let app = app().await;
    let ann = app.user("ann");
    let mut first = Line::open(&ann, Encoding::Json).await;
    let other = app.user("bob");
    let mut others = Line::open(&other, Encoding::Json).await;
    let mut second = Line::open(&ann, Encoding::Json).await;
    assert_eq!(closed(&mut first).await, "replaced");
    assert_eq!(second.call(get("/health")).await["status_code"], json!(200));
    assert_eq!(others.call(get("/health")).await["status_code"], json!(200));
    app.live().push(&ann.id, "hint", &json!({}));
    assert_eq!(second.push().await["type"], json!("hint"));
    assert_eq!(state(&app, &ann), State::Online);
}

#[tokio::test]
async fn a_room_ends_with_its_token() {
    let app = app().await;
    let (ann, root) = (app.user("ann"), app.superuser());
    let mut line = Line::open(&ann, Encoding::Json).await;
    let own = format!("/collections/users/records/{}", ann.id);
    assert_eq!(line.call(get(&own)).await["status_code"], json!(200));
    let fresh = json!({"password": "another password", "passwordConfirm": "another password"});
    root.update("users", &ann.id, fresh).await;
    assert_eq!(closed(&mut line).await, "signed_out");
    ann.post(CONNECT, json!({})).await.expect(401);
}

#[tokio::test]
async fn a_revoked_token_is_a_guests_on_the_room_too() {
    let app = app().await;
    let ann = app.user("ann");
    let mut line = Line::open(&ann, Encoding::Json).await;
    // The answer to the request that revokes it still comes, and nothing after it counts for more than over HTTP.
    let path = format!("/collections/users/records/{}", ann.id);
    let body = json!({"oldPassword": crate::support::PASSWORD, "password": "another password",
        "passwordConfirm": "another password"});
    let change = json!({"method": "PATCH", "endpoint": path, "body": body});
    line.send(change).await;
    assert_eq!(closed(&mut line).await, "signed_out");
}

#[tokio::test]
async fn disconnecting_makes_the_user_offline_at_once() {
    let app = app().await;
    let ann = app.user("ann");
    let mut line = Line::open(&ann, Encoding::Json).await;
    // Asked on the room itself, it is answered before the room ends.
    let answer = line.call(post("/user/room/disconnect", json!({}))).await;
    assert_eq!(answer["data"], json!({"success": true}));
    assert_eq!(closed(&mut line).await, "disconnected");
    becomes(&State::Offline, || state(&app, &ann)).await;
    // Without a room it is no error.
    let path = "/api/user/room/disconnect";
    ann.post(path, json!({})).await.expect(200);
    app.guest().post(path, json!({})).await.expect(401);
}

#[tokio::test]
async fn a_lost_connection_leaves_its_user_here_for_a_while() {
    let app = app().await;
    let ann = app.user("ann");
    let line = Line::open(&ann, Encoding::Json).await;
    line.peer.close().await;
    let no_room = || async {
        let answer = json!({"candidate": ""});
        ann.post("/api/user/room/candidates", answer).await.status
    };
    let gone = async {
        while no_room().await != 404 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    crate::support::in_time("the end of the room", gone).await;
    assert_eq!(state(&app, &ann), State::Online);
}

#[tokio::test]
async fn a_users_state_is_set_by_update() {
    let app = app().await;
    let ann = app.user("ann");
    let mut line = Line::open(&ann, Encoding::MessagePack).await;
    let busy = line
        .call(post("/presence/update", json!({"presence": "busy"})))
        .await;
    assert_eq!(busy["status_code"], json!(200));
    assert_eq!(busy["data"], json!({"success": true, "presence": "busy"}));
    assert_eq!(state(&app, &ann), State::Busy);
    let wrong = line
        .call(post("/presence/update", json!({"presence": "asleep"})))
        .await;
    assert_eq!(wrong["status_code"], json!(400));
    assert!(
        wrong["data"]["data"]["presence"]["message"].is_string(),
        "{wrong}"
    );
    let root = app.superuser();
    let body = json!({"presence": "busy"});
    root.post("/api/presence/update", body.clone())
        .await
        .expect(400);
    app.guest()
        .post("/api/presence/update", body)
        .await
        .expect(401);
}

#[tokio::test]
async fn a_channel_of_the_clients_own_is_served_as_well() {
    let app = app().await;
    let ann = app.user("ann");
    let mut line = Line::open(&ann, Encoding::Json).await;
    line.peer.open_channel(LABEL).await.unwrap();
    let welcome = line.push().await;
    assert_eq!(welcome["type"], json!("welcome"));
    assert_eq!(line.call(get("/health")).await["status_code"], json!(200));
}
