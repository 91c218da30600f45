//! Rooms and their members.

mod access;
mod crowded;
mod entering;
mod live;
mod members;
mod model;
mod paid;
mod scripts;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rotunda::base::{Clock, DateTime};
use serde_json::{Value, json};

use super::crowd;
use crate::support::{Answer, Client, DEADLINE, TestApp, column, id_of, record};

const ROOMS: &str = "rooms";
const MEMBERS: &str = "roomMembers";
const DAY_MS: i64 = 86_400_000;

async fn app() -> TestApp {
    TestApp::new().modules("rooms").start().await
}

/// An app whose clock the test moves.
async fn app_with_clock(modules: &'static str) -> (TestApp, Clock) {
    let clock = Clock::fixed(DateTime::now());
    let own = clock.clone();
    let app = TestApp::new().modules(modules);
    let app = app.with(move |config| config.clock = own).start().await;
    (app, clock)
}

/// A superuser who has just signed in, by the test's clock.
async fn root(app: &TestApp) -> Client {
    let engine = app.engine().unwrap();
    let superusers = engine.collection("_superusers").unwrap();
    let query = rotunda::engine::records::RecordQuery::default();
    let mut link = rotunda::engine::Link::Pool(engine);
    let found = engine.find_by_filter(&mut link, &superusers, &query).await;
    let token = engine.sign_auth_token(&found.unwrap()[0]).unwrap();
    app.client_with(&token)
}

/// Makes a room with these fields beside the required ones; gives its id.
async fn room(owner: &Client, fields: Value) -> String {
    let mut body = json!({"room_type": "video", "name": "Salon"});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    let made = owner.post("/api/rooms", body).await.expect(200);
    made["room_id"].as_str().unwrap().to_owned()
}

async fn ask(client: &Client, room: &str) -> Answer {
    client
        .post(&format!("/api/rooms/{room}/join-request"), json!({}))
        .await
}

/// Asks to join, which must lead to this status; gives the member's id.
async fn joins(client: &Client, room: &str, status: &str) -> String {
    let answer = ask(client, room).await.expect(200);
    assert_eq!(
        (&answer["success"], &answer["status"]),
        (&json!(true), &json!(status))
    );
    answer["member_id"].as_str().unwrap().to_owned()
}

async fn leave(client: &Client, room: &str) -> Answer {
    client
        .post(&format!("/api/rooms/{room}/leave"), json!({}))
        .await
}

async fn decide(client: &Client, member: &str, what: &str) -> Answer {
    client
        .post(&format!("/api/room-members/{member}/{what}"), json!({}))
        .await
}

/// Decides, which must lead to this status.
async fn decides(client: &Client, member: &str, what: &str, status: &str) -> Value {
    let answer = decide(client, member, what).await.expect(200);
    assert_eq!(answer["member_id"], member);
    assert_eq!(answer["status"], status, "{what}");
    answer
}

async fn transfer(client: &Client, room: &str, to: &str) -> Answer {
    let path = format!("/api/rooms/{room}/transfer-ownership");
    client.post(&path, json!({"new_owner_id": to})).await
}

async fn change(client: &Client, room: &str, changes: Value) -> Answer {
    client
        .patch(&format!("/api/rooms/{room}/settings"), changes)
        .await
}

async fn members(client: &Client, room: &str, query: &str) -> Answer {
    client
        .get(&format!("/api/rooms/{room}/members{query}"))
        .await
}

/// A user's row of a room, as it is stored.
async fn row(app: &TestApp, room: &str, user: &Client) -> Option<rotunda::model::Record> {
    let engine = app.engine().unwrap();
    let members = engine.collection(MEMBERS).unwrap();
    let filter = format!("room = '{room}' && user = '{}'", user.id);
    let mut link = rotunda::engine::Link::Pool(engine);
    let found = engine.find_first_by_filter(&mut link, &members, &filter, Default::default());
    found.await.unwrap()
}

/// Status and role of a user's row.
async fn state(app: &TestApp, room: &str, user: &Client) -> (String, String) {
    let row = row(app, room, user).await.expect("a row");
    (row.text("status").to_owned(), row.text("role").to_owned())
}

fn pair(status: &str, role: &str) -> (String, String) {
    (status.to_owned(), role.to_owned())
}

/// Types and data of what a user was told, oldest first.
async fn told(app: &TestApp, user: &Client) -> Vec<(String, Value)> {
    let filter = format!("user = '{}'", user.id);
    let query = [
        ("filter", filter.as_str()),
        ("sort", "@rowid"),
        ("perPage", "500"),
    ];
    let page = root(app).await.list("notifications", &query).await;
    let items = page["items"].as_array().unwrap();
    let pair = |item: &Value| {
        (
            item["type"].as_str().unwrap().to_owned(),
            item["data"].clone(),
        )
    };
    items.iter().map(pair).collect()
}

fn kinds(told: &[(String, Value)]) -> Vec<&str> {
    told.iter().map(|(kind, _)| kind.as_str()).collect()
}

/// Looks until it is so.
async fn becomes<T: PartialEq + std::fmt::Debug>(expected: T, look: impl AsyncFn() -> T) {
    let started = Instant::now();
    loop {
        let seen = look().await;
        if seen == expected {
            return;
        }
        assert!(started.elapsed() < DEADLINE, "{seen:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn who_creates_a_room_owns_it() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let body = json!({"room_type": "audio", "name": "Salon", "description": "Blue"});
    let made = ann.post("/api/rooms", body).await.expect(200);
    let id = made["room_id"].as_str().unwrap();
    assert_eq!(
        made,
        json!({"room_id": id, "room_type": "audio", "name": "Salon"})
    );
    assert_eq!(state(&app, id, &ann).await, pair("active", "owner"));
    let room = bob.view(ROOMS, id).await;
    for (field, expected) in [
        ("roomType", json!("audio")),
        ("description", json!("Blue")),
        ("owner", json!(ann.id)),
        ("creator", json!(ann.id)),
        ("isPublic", json!(true)),
        ("accessType", json!("public")),
        ("joinType", json!("free")),
        ("maxParticipants", json!(50)),
        ("isActive", json!(true)),
    ] {
        assert_eq!(room[field], expected, "{field}");
    }
    assert_eq!(room["publicId"].as_str().unwrap().len(), 36);
    assert!(room.get("linkToken").is_none());
    // The other form answers with all of it.
    let body = json!({"roomType": "data", "name": "x", "isPublic": false, "maxParticipants": 2,
        "metadata": {"a": [1]}, "starts_at": "2030-01-01 10:00:00Z", "waiting_room": true});
    let made = ann.post("/api/rooms/create", body).await.expect(201);
    assert_eq!(made["success"], true);
    assert_eq!(made["room"]["id"], made["room_id"]);
    let room = &made["room"];
    assert_eq!(room["accessType"], "private");
    assert_eq!(room["isPublic"], false);
    assert_eq!(room["metadata"], json!({"a": [1]}));
    assert_eq!(room["startsAt"], "2030-01-01 10:00:00.000Z");
    assert_eq!(room["waitingRoom"], true);
    assert!(room.get("can_join").is_none());
}

#[tokio::test]
async fn rooms_that_make_no_sense_are_refused() {
    let app = app().await;
    let ann = app.user("ann");
    for (fields, field) in [
        (json!({"room_type": "smell"}), "room_type"),
        (json!({"room_type": null}), "room_type"),
        (json!({"name": ""}), "name"),
        (json!({"name": 7}), "name"),
        (json!({"join_type": "maybe"}), "join_type"),
        (
            json!({"join_type": "paid_lifetime", "price": 3}),
            "join_type",
        ),
        (json!({"access_type": "open"}), "access_type"),
        (json!({"max_participants": 1}), "max_participants"),
        (json!({"max_participants": 1001}), "max_participants"),
        (json!({"max_participants": "9"}), "max_participants"),
        (json!({"is_public": "yes"}), "is_public"),
        (json!({"price": -1}), "price"),
        (json!({"price": 0.001}), "price"),
        (json!({"period_days": 0.5}), "period_days"),
        (json!({"metadata": []}), "metadata"),
        (json!({"ends_at": "soon"}), "ends_at"),
    ] {
        let mut body = json!({"room_type": "video", "name": "x"});
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        for path in ["/api/rooms", "/api/rooms/create"] {
            let refused = ann.post(path, body.clone()).await.expect(400);
            assert!(refused["data"].get(field).is_some(), "{fields} {refused}");
        }
    }
    assert_eq!(app.superuser().count(ROOMS).await, 0);
    app.superuser()
        .post("/api/rooms", json!({"room_type": "video", "name": "x"}))
        .await
        .expect(403);
}

#[tokio::test]
async fn guests_create_rooms_where_that_is_allowed() {
    let app = app().await;
    let guest = app.guest();
    let body = json!({"room_type": "video", "name": "x"});
    guest.post("/api/rooms", body.clone()).await.expect(401);
    let settings = json!({"rooms": {"allowAnonymousCreate": true}});
    app.superuser()
        .patch("/api/settings/rotunda", settings)
        .await
        .expect(200);
    guest
        .post("/api/rooms/create", body.clone())
        .await
        .expect(401);
    let id = room(&guest, json!({})).await;
    let found = app.superuser().view(ROOMS, &id).await;
    assert_eq!(
        (&found["owner"], &found["creator"]),
        (&json!(""), &json!(""))
    );
    assert_eq!(app.superuser().count(MEMBERS).await, 0);
    joins(&app.user("ann"), &id, "active").await;
    change(&app.user("ann"), &id, json!({"name": "mine"}))
        .await
        .expect(403);
}

#[tokio::test]
async fn users_own_as_many_rooms_as_the_settings_say() {
    let app = app().await;
    let settings = json!({"rooms": {"perUser": 2, "maxParticipants": 10}});
    app.superuser()
        .patch("/api/settings/rotunda", settings)
        .await
        .expect(200);
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let id = room(&ann, json!({})).await;
    assert_eq!(ann.view(ROOMS, &id).await["maxParticipants"], 10);
    room(&ann, json!({})).await;
    let body = json!({"room_type": "video", "name": "x"});
    ann.post("/api/rooms", body.clone()).await.expect(403);
    room(&bob, json!({})).await;
    ann.delete(&format!("/api/rooms/{id}")).await.expect(200);
    room(&ann, json!({})).await;
}
