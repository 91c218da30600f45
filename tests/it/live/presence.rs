//! Presence over the wire; what time does is told in the units beside the state machine.

use std::time::{Duration, Instant};

use rotunda::live::presence::{Connection, State};
use serde_json::{Value, json};

use super::topic;
use crate::support::{Client, Stream, TestApp, record};

const STATS: &str = "/api/location/presence/stats";

async fn app() -> TestApp {
    let app = TestApp::new().start().await;
    app.live().ensure_topics().await.unwrap();
    app
}

/// The next change of a user, as (previous, presence).
async fn change(stream: &mut Stream, user: &Client) -> (String, String) {
    loop {
        let event = stream.json().await;
        if event["user_id"] == json!(user.id) {
            assert_eq!(event["last_seen"].as_str().map(str::len), Some(24));
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            return (text("previous"), text("presence"));
        }
    }
}

fn pair(previous: &str, presence: &str) -> (String, String) {
    (previous.to_owned(), presence.to_owned())
}

#[tokio::test]
async fn a_channel_makes_its_user_online_and_its_loss_offline_after_a_while() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    app.guest().no_stream(&topic("presence_changes"), 403).await;
    let mut changes = bob.stream(&topic("presence_changes")).await.placed().await;
    let mut channel = ann.stream("/api/user/sse").await;
    assert_eq!(change(&mut changes, &ann).await, pair("offline", "online"));
    assert_eq!(channel.json().await["type"], json!("connected"));
    let own = channel.json().await;
    assert_eq!(own["type"], json!("presence_change"));
    assert_eq!(
        own["data"],
        json!({"user_id": ann.id, "presence": "online"})
    );
    // A second tab changes nothing, nor does the loss of the first.
    let second = ann.stream("/api/user/sse").await;
    drop(channel);
    let lost = Instant::now();
    drop(second);
    assert_eq!(change(&mut changes, &ann).await, pair("online", "offline"));
    assert!(lost.elapsed() > Duration::from_secs(9));
}

#[tokio::test]
async fn presence_is_stored_hidden_and_not_for_clients_to_set() {
    let app = app().await;
    let (ann, root) = (app.user("ann"), app.superuser());
    let mut changes = root.stream(&topic("presence_changes")).await.placed().await;
    let before = root.view("users", &ann.id).await;
    assert_eq!(
        (&before["presence"], &before["lastSeen"]),
        (&json!(""), &json!(""))
    );
    let stream = ann.stream("/api/user/sse").await;
    change(&mut changes, &ann).await;
    let after = root.view("users", &ann.id).await;
    assert_eq!(after["presence"], json!("online"));
    assert_ne!(after["lastSeen"], json!(""));
    // It is no edit of the record.
    assert_eq!(after["updated"], before["updated"]);
    let own = ann.view("users", &ann.id).await;
    assert_eq!((own.get("presence"), own.get("lastSeen")), (None, None));
    let forged =
        json!({"presence": "busy", "lastSeen": "2000-01-01 00:00:00.000Z", "name": "Anna"});
    ann.patch(&record("users", &ann.id), forged)
        .await
        .expect(200);
    let kept = root.view("users", &ann.id).await;
    assert_eq!(
        (&kept["presence"], &kept["lastSeen"]),
        (&after["presence"], &after["lastSeen"])
    );
    assert_eq!(kept["name"], json!("Anna"));
    drop(stream);
}

#[tokio::test]
async fn what_the_user_sets_holds_and_orderly_goodbyes_are_immediate() {
    let app = app().await;
    let ann = app.user("ann");
    let mut changes = app
        .user("bob")
        .stream(&topic("presence_changes"))
        .await
        .placed()
        .await;
    let presence = app.live().presence().clone();
    presence.opened(&ann.id, Connection::Room);
    assert_eq!(change(&mut changes, &ann).await, pair("offline", "online"));
    presence.set(&ann.id, State::Busy);
    assert_eq!(change(&mut changes, &ann).await, pair("online", "busy"));
    presence.closed(&ann.id, Connection::Room, true);
    assert_eq!(change(&mut changes, &ann).await, pair("busy", "offline"));
    presence.opened(&ann.id, Connection::Room);
    assert_eq!(change(&mut changes, &ann).await, pair("offline", "busy"));
    presence.set(&ann.id, State::Online);
    assert_eq!(change(&mut changes, &ann).await, pair("busy", "online"));
}

#[tokio::test]
async fn statistics_count_the_users() {
    let app = app().await;
    app.guest().get(STATS).await.expect(401);
    let presence = app.live().presence();
    presence.opened(&app.user("ann").id, Connection::Channel);
    presence.opened(&app.user("bob").id, Connection::Room);
    presence.set(&app.user("bob").id, State::Busy);
    // A superuser's channel makes nobody present.
    let _channel = app.superuser().stream("/api/user/sse").await;
    let stats = app.user("ann").get(STATS).await.expect(200);
    assert_eq!(
        stats,
        json!({"online": 1, "away": 0, "busy": 1, "offline": 1})
    );
}

#[tokio::test]
async fn after_a_restart_those_who_do_not_come_back_are_offline() {
    let mut app = app().await;
    let (ann, bob, root) = (app.user("ann"), app.user("bob"), app.superuser());
    let mut changes = root.stream(&topic("presence_changes")).await.placed().await;
    for user in [&ann, &bob] {
        app.live().presence().opened(&user.id, Connection::Channel);
        change(&mut changes, user).await;
    }
    app.live().presence().set(&bob.id, State::Busy);
    assert_eq!(change(&mut changes, &bob).await, pair("online", "busy"));
    drop(changes);
    app.restart().await;
    let (ann, bob, root) = (app.user("ann"), app.user("bob"), app.superuser());
    let mut changes = root.stream(&topic("presence_changes")).await.placed().await;
    let _back = ann.stream("/api/user/sse").await;
    assert_eq!(change(&mut changes, &bob).await, pair("busy", "offline"));
    let stored = |user: Value| user["presence"].clone();
    assert_eq!(stored(root.view("users", &ann.id).await), json!("online"));
    assert_eq!(stored(root.view("users", &bob.id).await), json!("offline"));
}

#[tokio::test]
async fn without_the_fields_presence_lives_in_memory() {
    let app = TestApp::new().start().await;
    let ann = app.user("ann");
    let mut channel = ann.stream("/api/user/sse").await;
    channel.json().await;
    assert_eq!(channel.json().await["data"]["presence"], json!("online"));
    assert_eq!(app.live().presence().state(&ann.id), State::Online);
    let user = app.superuser().view("users", &ann.id).await;
    assert_eq!(user.get("presence"), None);
}

#[tokio::test]
async fn who_is_deleted_is_seen_to_go() {
    let app = TestApp::new().start().await;
    app.live().ensure_topics().await.unwrap();
    let (ann, root) = (app.user("ann"), app.superuser());
    let mut changes = root
        .stream("/api/events/presence_changes")
        .await
        .placed()
        .await;
    let _channel = ann.stream("/api/user/sse").await;
    let seen = changes.json().await;
    assert_eq!(
        (&seen["user_id"], &seen["presence"]),
        (&json!(ann.id), &json!("online"))
    );
    root.delete(&crate::support::record("users", &ann.id))
        .await
        .expect(204);
    let gone = changes.json().await;
    assert_eq!(
        (&gone["user_id"], &gone["presence"]),
        (&json!(ann.id), &json!("offline"))
    );
}
