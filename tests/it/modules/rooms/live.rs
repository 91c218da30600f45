//! Live sessions over the wire: real peers on the real port.

use std::sync::{Arc, Mutex};

use rotunda_peer::{Payload, Peer, Plan, Publication, Source};

use super::*;
use crate::support::{Form, all, in_time};

/// Somebody who is in a room.
struct Seat {
    client: Client,
    room: String,
    id: String,
    peer: Peer,
    /// The answer to the join.
    joined: Value,
}

async fn try_join(client: &Client, room: &str) -> Answer {
    client
        .post(&format!("/api/rooms/{room}/join"), json!({}))
        .await
}

/// Joins, answers, and waits for the channels.
async fn come(client: &Client, room: &str) -> Seat {
    come_with(client, room, Plan::default()).await
}

async fn come_with(client: &Client, room: &str, plan: Plan) -> Seat {
    let joined = try_join(client, room).await.expect(200);
    let offer = joined["sdp"]["sdp"].as_str().expect("an offer");
    let (peer, answer) = Peer::answer(offer, plan).await.expect("an answer");
    let seat = Seat {
        client: client.clone(),
        room: room.to_owned(),
        id: joined["participant_id"].as_str().expect("an id").to_owned(),
        peer,
        joined,
    };
    let body = json!({"type": "answer", "sdp": answer});
    let answered = seat.post("/answer", body).await.expect(200);
    assert_eq!(answered, json!({"status": "ok"}));
    seat.peer.connected().await.expect("a connection");
    seat.peer.opened("events").await.expect("events");
    seat.peer.opened("fast").await.expect("fast");
    seat
}

impl Seat {
    fn path(&self, rest: &str) -> String {
        format!("/api/rooms/{}/participants/{}{rest}", self.room, self.id)
    }

    async fn post(&self, rest: &str, body: Value) -> Answer {
        self.client.post(&self.path(rest), body).await
    }

    async fn says(&self, kind: &str, data: Value) {
        self.says_on("events", kind, data).await;
    }

    async fn says_on(&self, label: &str, kind: &str, data: Value) {
        let message = json!({"type": kind, "room_id": self.room, "data": data}).to_string();
        let sent = self.peer.send(label, Payload::text(message)).await;
        sent.expect("an open channel");
    }

    async fn says_packed(&self, kind: &str, data: Value) {
        let message = json!({"type": kind, "data": data, "timestamp": 1_700_000_000_123_u64});
        let bytes = rmp_serde::to_vec(&message).unwrap();
        let sent = self.peer.send("events", Payload::Binary(bytes.into()));
        sent.await.expect("an open channel");
    }

    /// The next message.
    async fn next_on(&self, label: &str) -> (Value, bool) {
        let payload = self.peer.message(label).await.expect("a message");
        read(&payload)
    }

    /// The data of the next message of a type; others are dropped.
    async fn hears(&self, kind: &str) -> Value {
        loop {
            let (message, _) = self.next_on("events").await;
            assert_eq!(message["room_id"], self.room.as_str());
            if message["type"] == kind {
                return message["data"].clone();
            }
        }
    }
}

/// A message, and whether it came packed.
fn read(payload: &Payload) -> (Value, bool) {
    match payload {
        Payload::Text(text) => (serde_json::from_str(text).unwrap(), false),
        Payload::Binary(bytes) => (rmp_serde::from_slice(bytes).unwrap(), true),
    }
}

async fn participants(client: &Client, room: &str) -> Value {
    let path = format!("/api/rooms/{room}/participants");
    client.get(&path).await.expect(200)
}

async fn count(client: &Client, room: &str) -> u64 {
    participants(client, room).await["count"].as_u64().unwrap()
}

async fn history(client: &Client, room: &str, query: &str) -> Value {
    let path = format!("/api/rooms/{room}/messages{query}");
    client.get(&path).await.expect(200)
}

async fn data_room(owner: &Client) -> String {
    room(owner, json!({"room_type": "data"})).await
}

#[tokio::test]
async fn two_meet_chat_and_part() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let room = data_room(&ann).await;
    let one = come(&ann, &room).await;
    assert_eq!(one.joined["sdp"]["type"], "offer");
    assert_eq!(one.joined["room"]["id"], room.as_str());
    assert_eq!(one.joined["ice_servers"], json!([]));
    let sdp = one.joined["sdp"]["sdp"].as_str().unwrap();
    assert!(sdp.contains("a=max-message-size:262144"), "{sdp}");
    assert!(
        !sdp.contains("m=audio") && !sdp.contains("m=video"),
        "{sdp}"
    );
    // A free public room makes the membership.
    let two = come(&bob, &room).await;
    assert_eq!(
        state(&app, &room, &bob).await,
        pair("active", "participant")
    );
    let present = two.joined["participants"].as_array().unwrap();
    assert_eq!(
        column(&json!(present), "participant_id"),
        json!([one.id, two.id])
    );
    let joined = one.hears("participant_joined").await;
    assert_eq!(
        (&joined["participant_id"], &joined["user_id"]),
        (&json!(two.id), &json!(bob.id))
    );
    let list = participants(&ann, &room).await;
    assert_eq!(list["count"], 2);
    let first = &list["participants"][0];
    for (name, expected) in [
        ("participant_id", json!(one.id)),
        ("user_id", json!(ann.id)),
        ("role", json!("owner")),
        ("audio_muted", json!(false)),
        ("video_off", json!(false)),
        ("screen_sharing", json!(false)),
        ("speaking", json!(false)),
        ("tracks", json!([])),
    ] {
        assert_eq!(first[name], expected, "{name}");
    }
    // Each in its own encoding, the sender included.
    one.says_packed(
        "chat",
        json!({"message": "hello", "from": "me", "participant_id": "x"}),
    )
    .await;
    let (chat, is_packed) = loop {
        let (message, is_packed) = one.next_on("events").await;
        if message["type"] == "chat" {
            break (message, is_packed);
        }
    };
    assert!(is_packed);
    let data = &chat["data"];
    assert_eq!(
        (&data["from"], &data["participant_id"], &data["message"]),
        (&json!(ann.id), &json!(one.id), &json!("hello"))
    );
    assert!(chat["timestamp"].as_i64().unwrap() > 1_700_000_000);
    let heard = two.hears("chat").await;
    assert_eq!(heard, *data);
    two.says("reaction", json!({"type": "wave"})).await;
    assert_eq!(one.hears("reaction").await["from"], bob.id.as_str());
    two.says("chat", json!({"message": "bye"})).await;
    let (message, is_packed) = loop {
        let (message, is_packed) = two.next_on("events").await;
        if message["type"] == "chat" {
            break (message, is_packed);
        }
    };
    assert_eq!(
        (&message["data"]["message"], is_packed),
        (&json!("bye"), false)
    );
    // The history has what was said, in order.
    let past = history(&ann, &room, "").await;
    assert_eq!(column(&past["messages"], "text"), json!(["hello", "bye"]));
    assert_eq!(past["messages"][0]["id"], data["id"]);
    assert_eq!(
        (&past["messages"][0]["user_id"], &past["has_more"]),
        (&json!(ann.id), &json!(false))
    );
    let id = two.id.clone();
    two.peer.close().await;
    let left = one.hears("participant_left").await;
    assert_eq!(
        left,
        json!({"participant_id": id, "user_id": bob.id, "reason": "left"})
    );
    becomes(1, async || count(&ann, &room).await).await;
}

#[tokio::test]
async fn states_custom_messages_and_the_fast_channel() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let room = data_room(&ann).await;
    let (one, two, three) = (
        come(&ann, &room).await,
        come(&bob, &room).await,
        come(&carl, &room).await,
    );
    one.says("state", json!({"audio_muted": true, "hand_raised": true}))
        .await;
    let expected = json!({"participant_id": one.id, "user_id": ann.id, "audio_muted": true, "video_off": false,
        "screen_sharing": false, "hand_raised": true});
    assert_eq!(two.hears("participant_state").await, expected);
    one.post("/state", json!({"audio_muted": false}))
        .await
        .expect(200);
    assert_eq!(two.hears("participant_state").await["audio_muted"], false);
    let refused = one.post("/state", json!({"audio_muted": "no"})).await;
    refused.refuses(&[("audio_muted", "validation_invalid_value")]);
    two.post("/state", json!({"video_off": true}))
        .await
        .expect(200);
    one.says("custom", json!({"n": 1, "to": two.id})).await;
    one.says("custom", json!({"n": 2})).await;
    assert_eq!(three.hears("custom").await["n"], 2);
    let direct = two.hears("custom").await;
    assert_eq!((&direct["n"], &direct["from"]), (&json!(1), &json!(ann.id)));
    one.says_on("fast", "custom", json!({"x": 0.5})).await;
    let (cursor, _) = two.next_on("fast").await;
    assert_eq!(
        (
            &cursor["type"],
            &cursor["data"]["x"],
            &cursor["data"]["participant_id"]
        ),
        (&json!("custom"), &json!(0.5), &json!(one.id))
    );
    one.says(
        "location",
        json!({"location": {"point": {"lat": 1.5, "lng": 2}}}),
    )
    .await;
    let moved = two.hears("location_update").await;
    assert_eq!(
        (&moved["user_id"], &moved["location"]["point"]["lat"]),
        (&json!(ann.id), &json!(1.5))
    );
    // What makes no sense is answered, and the channel stays.
    one.says("dance", json!({})).await;
    one.peer
        .send("events", Payload::text("{no json"))
        .await
        .unwrap();
    one.peer
        .send("events", Payload::Binary(vec![0xc1, 1, 2].into()))
        .await
        .unwrap();
    one.says("custom", json!({"to": "elsewhere"})).await;
    let mut codes = Vec::new();
    for _ in 0..4 {
        codes.push(
            one.hears("error").await["code"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    assert_eq!(
        codes,
        ["unknown_type", "malformed", "malformed", "not_found"]
    );
    one.says("custom", json!({"still": "here"})).await;
    assert_eq!(two.hears("custom").await["still"], "here");
}

#[tokio::test]
async fn a_channel_of_the_clients_own_takes_the_place_of_the_servers() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let room = data_room(&ann).await;
    let plan = Plan {
        channels: vec!["events".to_owned()],
        ..Plan::default()
    };
    let one = come_with(&ann, &room, plan).await;
    let two = come(&bob, &room).await;
    one.says("custom", json!({"n": 0})).await;
    assert_eq!(two.hears("custom").await["n"], 0);
    for n in 1..=10 {
        two.says("custom", json!({"n": n})).await;
    }
    let mut heard = Vec::new();
    while heard.last() != Some(&json!(10)) {
        heard.push(one.hears("custom").await["n"].clone());
    }
    assert_eq!(json!(heard), json!([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]));
}

#[tokio::test]
async fn who_may_not_enter_is_told_why() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let open = data_room(&ann).await;
    app.guest()
        .post(&format!("/api/rooms/{open}/join"), json!({}))
        .await
        .expect(401);
    try_join(&ann, "nothing").await.expect(404);
    let secret = room(&ann, json!({"is_public": false})).await;
    for path in [
        "join",
        "leave-media",
        "messages",
        "lock",
        "end",
        "participants/x/answer",
        "participants/x/kick",
    ] {
        let path = format!("/api/rooms/{secret}/{path}");
        bob.post(&path, json!({"sdp": "x", "text": "x"}))
            .await
            .expect(404);
    }
    for path in ["participants", "messages", "stats", "waiting"] {
        bob.get(&format!("/api/rooms/{secret}/{path}"))
            .await
            .expect(404);
    }
    // Members of public rooms alone see who is in and what was said.
    for path in ["participants", "messages", "stats", "waiting"] {
        bob.get(&format!("/api/rooms/{open}/{path}"))
            .await
            .expect(403);
    }
    bob.post(&format!("/api/rooms/{open}/messages"), json!({"text": "x"}))
        .await
        .expect(403);
    change(&ann, &open, json!({"is_active": false}))
        .await
        .expect(200);
    try_join(&ann, &open).await.expect(403);
}

#[tokio::test]
async fn a_room_has_as_many_places_as_it_says() {
    let app = app().await;
    let ann = app.user("ann");
    let room = room(&ann, json!({"room_type": "data", "max_participants": 20})).await;
    let engine = app.engine().unwrap();
    let query =
        json!({"query": format!("UPDATE rooms SET maxParticipants = 10 WHERE id = '{room}'")});
    let crowd = crowd(&app, 19).await;
    for user in &crowd {
        joins(user, &room, "active").await;
    }
    app.superuser().post("/api/sql", query).await.expect(200);
    let mut tries = Vec::new();
    for user in &crowd {
        for _ in 0..10 {
            tries.push(try_join(user, &room));
        }
    }
    let answers = all(tries).await;
    let joined = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(joined, 10);
    for full in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(full.expect(403)["error"], "Room is full.");
    }
    assert_eq!(count(&ann, &room).await, 10);
}

#[tokio::test]
async fn signalling_is_exact_about_errors() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let room = data_room(&ann).await;
    // The body may be empty, with a type of JSON or without.
    let path = format!("/api/rooms/{room}/join");
    let empty = ann
        .request(reqwest::Method::POST, &path)
        .header("Content-Type", "application/json");
    let joined = ann.send(empty).await.expect(200);
    let id = joined["participant_id"].as_str().unwrap().to_owned();
    ann.send(ann.request(reqwest::Method::POST, &path))
        .await
        .expect(200);
    ann.post(&path, json!({"simulcast": "yes"}))
        .await
        .refuses(&[("simulcast", "validation_invalid_value")]);
    let (peer, answer) = Peer::answer(joined["sdp"]["sdp"].as_str().unwrap(), Plan::default())
        .await
        .unwrap();
    let seat = Seat {
        client: ann.clone(),
        room: room.clone(),
        id,
        peer,
        joined,
    };
    // Candidates come first.
    let candidate = "candidate:1 1 udp 2113937151 192.0.2.7 50000 typ host";
    let body = json!({"candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0});
    seat.post("/candidates", body).await.expect(200);
    seat.post("/candidates", json!({"candidate": ""}))
        .await
        .expect(200);
    seat.post("/candidates", json!({"candidate": "x"}))
        .await
        .refuses(&[("candidate", "validation_invalid_value")]);
    seat.post("/candidates", json!({}))
        .await
        .refuses(&[("candidate", "validation_invalid_value")]);
    seat.post("/candidates", json!({"candidate": 5}))
        .await
        .refuses(&[("candidate", "validation_invalid_value")]);
    let body = json!({"candidate": candidate, "sdpMLineIndex": -1});
    seat.post("/candidates", body).await.expect(400);
    seat.post("/answer", json!({}))
        .await
        .refuses(&[("sdp", "validation_required")]);
    seat.post("/answer", json!({"sdp": 5}))
        .await
        .refuses(&[("sdp", "validation_invalid_value")]);
    seat.post("/answer", json!({"sdp": "garbage"}))
        .await
        .refuses(&[("sdp", "validation_invalid_value")]);
    seat.post("/answer", json!({"type": "offer", "sdp": answer}))
        .await
        .refuses(&[("type", "validation_invalid_value")]);
    // Others may not answer for somebody, member or not.
    let body = json!({"type": "answer", "sdp": answer});
    bob.post(&seat.path("/answer"), body.clone())
        .await
        .expect(403);
    joins(&bob, &room, "active").await;
    for rest in ["/answer", "/offer", "/candidates", "/state"] {
        bob.post(&seat.path(rest), body.clone()).await.expect(403);
    }
    bob.delete(&seat.path("")).await.expect(403);
    let nobody = format!("/api/rooms/{room}/participants/nobody/answer");
    bob.post(&nobody, body.clone()).await.expect(404);
    seat.post("/answer", body.clone()).await.expect(200);
    seat.post("/answer", body).await.expect(409);
    seat.peer.opened("events").await.unwrap();
    seat.post("/offer", json!({"sdp": "garbage"}))
        .await
        .refuses(&[("sdp", "validation_invalid_value")]);
    ann.delete(&seat.path("")).await.expect(200);
    seat.peer.ended().await.unwrap();
    seat.post("/answer", json!({"sdp": "x"})).await.expect(404);
    // The second tab, which never answered.
    assert_eq!(count(&ann, &room).await, 1);
    ann.post(&format!("/api/rooms/{room}/leave-media"), json!({}))
        .await
        .expect(200);
    assert_eq!(count(&ann, &room).await, 0);
}

#[tokio::test]
async fn who_is_kicked_or_banned_is_out_at_once() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let room = data_room(&ann).await;
    let one = come(&ann, &room).await;
    let two = come(&bob, &room).await;
    two.client
        .post(&one.path("/kick"), json!({}))
        .await
        .expect(403);
    let success = json!({"success": true});
    assert_eq!(
        ann.post(&two.path("/kick"), json!({})).await.expect(200),
        success
    );
    two.peer.ended().await.unwrap();
    assert_eq!(one.hears("participant_left").await["reason"], "kicked");
    ann.post(&two.path("/kick"), json!({})).await.expect(404);
    let two = come(&bob, &room).await;
    let again = come(&bob, &room).await;
    let member = row(&app, &room, &bob).await.unwrap().id().to_owned();
    decide(&ann, &member, "ban").await.expect(200);
    two.peer.ended().await.unwrap();
    again.peer.ended().await.unwrap();
    assert_eq!(count(&ann, &room).await, 1);
    try_join(&bob, &room).await.expect(403);
    decide(&ann, &member, "unban").await.expect(200);
    let two = come(&bob, &room).await;
    leave(&bob, &room).await.expect(200);
    two.peer.ended().await.unwrap();
    assert_eq!(count(&ann, &room).await, 1);
}

#[tokio::test]
async fn a_deleted_or_ended_room_lets_everybody_go() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let room = data_room(&ann).await;
    let (one, two) = (come(&ann, &room).await, come(&bob, &room).await);
    bob.post(&format!("/api/rooms/{room}/end"), json!({}))
        .await
        .expect(403);
    ann.post(&format!("/api/rooms/{room}/end"), json!({}))
        .await
        .expect(200);
    for seat in [&one, &two] {
        assert_eq!(seat.hears("room_closed").await["reason"], "ended");
        seat.peer.ended().await.unwrap();
    }
    assert_eq!(count(&ann, &room).await, 0);
    let (one, two) = (come(&ann, &room).await, come(&bob, &room).await);
    ann.delete(&format!("/api/rooms/{room}")).await.expect(200);
    for seat in [&one, &two] {
        assert_eq!(seat.hears("room_closed").await["reason"], "deleted");
        seat.peer.ended().await.unwrap();
    }
    try_join(&ann, &room).await.expect(404);
}

#[tokio::test]
async fn more_than_fifty_messages_a_second_are_refused() {
    let app = app().await;
    let ann = app.user("ann");
    let room = data_room(&ann).await;
    let one = come(&ann, &room).await;
    for n in 0..200 {
        one.says("custom", json!({"n": n})).await;
    }
    let error = one.hears("error").await;
    assert_eq!(
        (&error["code"], &error["in_reply_to"]),
        (&json!("rate_limited"), &json!("custom"))
    );
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_the_channel_and_not_the_room() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let room = data_room(&ann).await;
    let (one, two) = (come(&ann, &room).await, come(&bob, &room).await);
    one.says("custom", json!({"text": "x".repeat(200_000)}))
        .await;
    let long = two.hears("custom").await;
    assert_eq!(long["text"].as_str().unwrap().len(), 200_000);
    let sent = one.peer.send("events", Payload::text("x".repeat(300_000)));
    if sent.await.is_ok() {
        let closed = |stats: &rotunda_peer::Stats| {
            stats.ended.is_some() || !stats.open.iter().any(|open| open == "events")
        };
        one.peer.until("a closed channel", closed).await.unwrap();
    }
    two.says("custom", json!({"n": 1})).await;
    assert_eq!(two.hears("custom").await["n"], 1);
}

#[tokio::test]
async fn fifty_chat_and_nothing_is_lost() {
    const PEERS: usize = 50;
    const EACH: usize = 10;
    let app = app().await;
    let ann = app.user("ann");
    let room = room(&ann, json!({"room_type": "data", "max_participants": 60})).await;
    let crowd = crowd(&app, PEERS).await;
    let heard: Vec<Arc<Mutex<Vec<(String, String)>>>> =
        (0..PEERS).map(|_| Arc::default()).collect();
    let seats = crowd.iter().zip(&heard).map(|(user, heard)| {
        let heard = Arc::clone(heard);
        let plan = Plan {
            on_message: Some(Arc::new(move |label, payload| {
                let (message, _) = read(payload);
                if label == "events" && message["type"] == "chat" {
                    let text = |name: &str| message["data"][name].as_str().unwrap().to_owned();
                    heard.lock().unwrap().push((text("id"), text("message")));
                }
            })),
            ..Plan::default()
        };
        come_with(user, &room, plan)
    });
    let seats = all(seats).await;
    for n in 0..EACH {
        let said = seats
            .iter()
            .map(|seat| seat.says("chat", json!({"message": format!("{} {n}", seat.id)})));
        all(said).await;
    }
    for heard in &heard {
        becomes(PEERS * EACH, async || heard.lock().unwrap().len()).await;
    }
    // All have heard the same in the same order, and the history has it so.
    let first = heard[0].lock().unwrap().clone();
    for heard in &heard {
        assert_eq!(*heard.lock().unwrap(), first);
    }
    let mut past = Vec::new();
    let mut query = "?limit=200".to_owned();
    loop {
        let page = history(&seats[0].client, &room, &query).await;
        let messages = page["messages"].as_array().unwrap();
        let texts = messages
            .iter()
            .map(|message| message["text"].as_str().unwrap().to_owned());
        past.splice(0..0, texts);
        if page["has_more"] == false {
            break;
        }
        query = format!("?limit=200&before={}", messages[0]["id"].as_str().unwrap());
    }
    let texts: Vec<String> = first.into_iter().map(|(_, text)| text).collect();
    assert_eq!(past, texts);
}

#[tokio::test]
async fn who_vanishes_is_gone_within_ten_seconds() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let room = data_room(&ann).await;
    let (one, two) = (come(&ann, &room).await, come(&bob, &room).await);
    let started = Instant::now();
    two.peer.vanish().await;
    assert_eq!(
        one.hears("participant_left").await["reason"],
        "connection_lost"
    );
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(count(&ann, &room).await, 1);
}

#[tokio::test]
async fn members_write_without_being_in_and_send_files() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let room = data_room(&ann).await;
    joins(&bob, &room, "active").await;
    let path = format!("/api/rooms/{room}/messages");
    bob.post(&path, json!({"text": "before"})).await.expect(200);
    let one = come(&ann, &room).await;
    let sent = bob.post(&path, json!({"text": "hello"})).await.expect(200);
    let heard = one.hears("chat").await;
    assert_eq!(
        (&heard["from"], &heard["message"], &heard["id"]),
        (&json!(bob.id), &json!("hello"), &sent["message_id"])
    );
    let form = Form::default()
        .text("text", "a plan")
        .file("file", "plan.txt", "secret plan");
    let sent = bob
        .form(reqwest::Method::POST, &path, form)
        .await
        .expect(200);
    let heard = one.hears("chat").await;
    assert_eq!(
        (&heard["kind"], &heard["message"]),
        (&json!("file"), &json!("a plan"))
    );
    let file = sent["message"]["file"].as_str().unwrap();
    assert_eq!(heard["file"], file);
    // The file is for members.
    let file = format!(
        "/api/files/roomMessages/{}/{file}",
        sent["message_id"].as_str().unwrap()
    );
    app.guest().get(&file).await.expect(404);
    let carl = app.user("carl");
    carl.get(&format!("{file}?token={}", carl.file_token().await))
        .await
        .expect(404);
    let got = ann
        .get(&format!("{file}?token={}", ann.file_token().await))
        .await;
    assert_eq!((got.status, got.text().as_str()), (200, "secret plan"));
    bob.post(&path, json!({}))
        .await
        .refuses(&[("text", "validation_required")]);
    bob.post(&path, json!({"text": 5}))
        .await
        .refuses(&[("text", "validation_invalid_value")]);
    let long = Form::default().file("file", "long.bin", vec![7; 21 << 20]);
    let refused = bob.form(reqwest::Method::POST, &path, long).await;
    assert!(matches!(refused.status, 400 | 413), "{refused:?}");
    let past = history(&bob, &room, "").await;
    assert_eq!(
        column(&past["messages"], "text"),
        json!(["before", "hello", "a plan"])
    );
    assert_eq!(
        column(&past["messages"], "kind"),
        json!(["chat", "chat", "file"])
    );
    let page = history(&bob, &room, "?limit=2").await;
    assert_eq!(
        (column(&page["messages"], "text"), &page["has_more"]),
        (json!(["hello", "a plan"]), &json!(true))
    );
    let before = page["messages"][0]["id"].as_str().unwrap();
    let page = history(&bob, &room, &format!("?limit=2&before={before}")).await;
    assert_eq!(
        (column(&page["messages"], "text"), &page["has_more"]),
        (json!(["before"]), &json!(false))
    );
    bob.get(&format!("{path}?before=never"))
        .await
        .refuses(&[("before", "validation_invalid_value")]);
    bob.get(&format!("{path}?limit=x"))
        .await
        .refuses(&[("limit", "validation_invalid_value")]);
    // Clients cannot write the records themselves.
    let body = json!({"room": room, "kind": "chat", "text": "forged", "user": ann.id});
    bob.try_create("roomMessages", body).await.expect(403);
}

#[tokio::test]
async fn who_may_not_write_is_silent() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let room = data_room(&ann).await;
    let member = joins(&bob, &room, "active").await;
    let (one, two) = (come(&ann, &room).await, come(&bob, &room).await);
    let path = format!("/api/room-members/{member}");
    ann.patch(&path, json!({"permissions": {"chat": false}}))
        .await
        .expect(200);
    two.says("chat", json!({"message": "x"})).await;
    let error = two.hears("error").await;
    assert_eq!(
        (&error["code"], &error["in_reply_to"]),
        (&json!("forbidden"), &json!("chat"))
    );
    let path = format!("/api/rooms/{room}/messages");
    bob.post(&path, json!({"text": "x"})).await.expect(403);
    two.says("reaction", json!({"type": "wave"})).await;
    assert_eq!(one.hears("reaction").await["type"], "wave");
    assert_eq!(history(&ann, &room, "").await["messages"], json!([]));
}

#[tokio::test]
async fn hosts_lock_admit_and_mute() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let room = room(&ann, json!({"room_type": "data", "waiting_room": true})).await;
    let host = come(&ann, &room).await;
    let at = |rest: &str| format!("/api/rooms/{room}/{rest}");
    let waiting = try_join(&bob, &room).await.expect(202);
    assert_eq!(waiting["status"], "waiting");
    let id = waiting["participant_id"].as_str().unwrap();
    let heard = host.hears("waiting").await;
    assert_eq!(
        (&heard["participant_id"], &heard["user_id"]),
        (&json!(id), &json!(bob.id))
    );
    assert_eq!(
        try_join(&bob, &room).await.expect(202)["participant_id"],
        id
    );
    bob.get(&at("waiting")).await.expect(403);
    let list = ann.get(&at("waiting")).await.expect(200);
    assert_eq!(
        (&list["count"], &list["waiting"][0]["participant_id"]),
        (&json!(1), &json!(id))
    );
    bob.post(&at(&format!("waiting/{id}/admit")), json!({}))
        .await
        .expect(403);
    ann.post(&at("waiting/nobody/admit"), json!({}))
        .await
        .expect(404);
    ann.post(&at(&format!("waiting/{id}/admit")), json!({}))
        .await
        .expect(200);
    assert_eq!(host.hears("admitted").await["user_id"], bob.id.as_str());
    let guest = come(&bob, &room).await;
    let asked = try_join(&carl, &room).await.expect(202);
    let id = asked["participant_id"].as_str().unwrap();
    ann.post(&at(&format!("waiting/{id}/deny")), json!({}))
        .await
        .expect(200);
    host.hears("denied").await;
    try_join(&carl, &room).await.expect(403);
    // Muted by a host, heard again by one's own word.
    ann.post(&at("mute-all"), json!({})).await.expect(200);
    assert_eq!(guest.hears("participant_state").await["audio_muted"], true);
    let list = participants(&ann, &room).await;
    assert_eq!(
        column(&list["participants"], "audio_muted"),
        json!([false, true])
    );
    guest.says("state", json!({"audio_muted": false})).await;
    assert_eq!(host.hears("participant_state").await["audio_muted"], true);
    assert_eq!(host.hears("participant_state").await["audio_muted"], false);
    bob.post(&host.path("/mute"), json!({})).await.expect(403);
    ann.post(&guest.path("/mute"), json!({})).await.expect(200);
    assert_eq!(
        host.hears("participant_state").await["user_id"],
        bob.id.as_str()
    );
    // A locked room keeps who is in.
    change(&ann, &room, json!({"waiting_room": false}))
        .await
        .expect(200);
    bob.post(&at("lock"), json!({})).await.expect(403);
    ann.post(&at("lock"), json!({})).await.expect(200);
    guest.hears("locked").await;
    assert_eq!(ann.view(ROOMS, &room).await["locked"], true);
    try_join(&carl, &room).await.expect(403);
    come(&bob, &room).await;
    ann.post(&at("unlock"), json!({})).await.expect(200);
    guest.hears("unlocked").await;
    let three = come(&carl, &room).await;
    // What is measured is for hosts.
    carl.get(&at("stats")).await.expect(403);
    let stats = ann.get(&at("stats")).await.expect(200);
    assert_eq!(stats["room_id"], room.as_str());
    assert!(stats["participants"].is_array());
    drop(three);
}

#[tokio::test]
async fn tracks_reach_those_who_are_in_and_those_who_come_later() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let room = room(&ann, json!({})).await;
    let plan = Plan::publishing([Publication::mic(), Publication::camera()]);
    let one = come_with(&ann, &room, plan).await;
    let two = come(&bob, &room).await;
    let listed = async || {
        let list = participants(&ann, &room).await;
        let tracks = list["participants"][0]["tracks"].as_array().unwrap().len();
        tracks
    };
    becomes(2, listed).await;
    // Whatever was not in the first offer comes with later ones.
    let answering = async {
        loop {
            let (message, _) = two.next_on("events").await;
            if message["type"] == "offer" {
                let sdp = two
                    .peer
                    .reoffer(message["data"]["sdp"].as_str().unwrap())
                    .await
                    .unwrap();
                two.says("answer", json!({"sdp": sdp, "seq": message["data"]["seq"]}))
                    .await;
            }
        }
    };
    let flowing = two.peer.until("media", |stats| {
        stats
            .tracks
            .iter()
            .filter(|track| track.packets > 20)
            .count()
            == 2
    });
    tokio::select! {
        () = answering => {}
        flowing = in_time("media", flowing) => {
            flowing.unwrap();
        }
    }
    let three = come(&carl, &room).await;
    let sdp = three.joined["sdp"]["sdp"].as_str().unwrap();
    assert!(sdp.contains(&format!("a=msid:{}", one.id)), "{sdp}");
    three
        .peer
        .until("media", |stats| {
            stats
                .tracks
                .iter()
                .filter(|track| track.packets > 20)
                .count()
                == 2
        })
        .await
        .unwrap();
    let member = row(&app, &room, &ann).await.unwrap();
    assert_eq!(member.text("role"), "owner");
    one.peer.unpublish(Source::Camera).await.unwrap();
    let offer = one.peer.renegotiate(vec![], vec![]).await.unwrap();
    let answer = one.post("/offer", json!({"sdp": offer})).await.expect(200);
    assert_eq!(answer["type"], "answer");
    one.peer
        .accept(answer["sdp"].as_str().unwrap())
        .await
        .unwrap();
    let gone = three.hears("track_unpublished").await;
    assert_eq!(gone["participant_id"], one.id.as_str());
    becomes(1, listed).await;
}

#[tokio::test]
async fn superusers_and_whoever_has_the_token_read_the_metrics() {
    let app = app().await;
    let ann = app.user("ann");
    let room = data_room(&ann).await;
    let _seat = come(&ann, &room).await;
    app.guest().get("/api/metrics").await.expect(401);
    ann.get("/api/metrics").await.expect(403);
    let shown = app.superuser().get("/api/metrics").await;
    assert!(
        shown
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    let text = shown.text();
    for line in [
        "rotunda_rooms 1",
        "rotunda_room_participants 1",
        "rotunda_room_joins_total 1",
        "rotunda_sfu_sessions 1",
        "rotunda_sfu_peers 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    let settings = json!({"metrics": {"token": "a token for the prometheus"}});
    app.superuser()
        .patch("/api/settings/rotunda", settings)
        .await
        .expect(200);
    assert_eq!(
        app.client_with("a token for the prometheus")
            .get("/api/metrics")
            .await
            .status,
        200
    );
    app.client_with("another token for prometheus")
        .get("/api/metrics")
        .await
        .expect(401);
}

#[tokio::test]
async fn a_room_token_opens_one_room_and_nothing_else() {
    let app = app().await;
    let ann = app.user("ann");
    let (room, other) = (data_room(&ann).await, data_room(&ann).await);
    let engine = app.engine().unwrap();
    let key = engine.kept_secret("rotundaRoomTokens").await.unwrap();
    let token = |claims: Value, key: &str| {
        let claims = claims.as_object().unwrap().clone();
        rotunda::base::token::sign(claims, key, engine.now(), 600).unwrap()
    };
    let claims = json!({"type": "room", "room_id": room, "guest_id": "guest1", "name": "Gina"});
    let guest = app.client_with(&token(claims.clone(), &key));
    let seat = come(&guest, &room).await;
    let host = come(&ann, &room).await;
    let listed = participants(&guest, &room).await;
    let first = &listed["participants"][0];
    assert_eq!(
        (&first["user_id"], &first["name"], &first["role"]),
        (&json!("guest1"), &json!("Gina"), &json!("participant"))
    );
    seat.says("chat", json!({"message": "hi"})).await;
    let heard = host.hears("chat").await;
    assert_eq!(
        (&heard["from"], &heard["name"]),
        (&json!("guest1"), &json!("Gina"))
    );
    guest
        .post(
            &format!("/api/rooms/{room}/messages"),
            json!({"text": "more"}),
        )
        .await
        .expect(200);
    let past = history(&guest, &room, "").await;
    assert_eq!(column(&past["messages"], "text"), json!(["hi", "more"]));
    assert_eq!(
        column(&past["messages"], "user_id"),
        json!(["guest1", "guest1"])
    );
    // Nothing else, and no other room.
    try_join(&guest, &other).await.expect(401);
    for path in [
        "/api/user/notifications",
        "/api/rooms",
        "/api/user/rooms",
        "/api/metrics",
    ] {
        guest.get(path).await.expect(401);
    }
    guest.post(&seat.path("/kick"), json!({})).await.expect(403);
    guest
        .post(&format!("/api/rooms/{room}/end"), json!({}))
        .await
        .expect(403);
    // The wrong key, type or time.
    let wrong = token(claims.clone(), "another key");
    let mut of_account = claims.clone();
    of_account["type"] = "auth".into();
    let of_account = token(of_account, &key);
    let mut late = claims;
    late["exp"] = (engine.now().unix() - 1).into();
    let late = token(late, &key);
    for token in [wrong, of_account, late, ann.token().replace('.', "")] {
        try_join(&app.client_with(&token), &room).await.expect(401);
    }
    seat.client.delete(&seat.path("")).await.expect(200);
    guest
        .get(&format!("/api/rooms/{room}/messages"))
        .await
        .expect(403);
}

#[tokio::test]
async fn topics_hear_of_rooms() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let mut events = app.live().subscribe(&["room_events", "reactions"]).unwrap();
    let open = data_room(&ann).await;
    let secret = room(&ann, json!({"room_type": "data", "is_public": false})).await;
    for room in [&secret, &open] {
        let seat = come(&ann, room).await;
        seat.says("reaction", json!({"type": "wave"})).await;
        seat.hears("reaction").await;
        seat.says("chat", json!({"message": "hi"})).await;
        seat.hears("chat").await;
        seat.peer.close().await;
    }
    joins(&bob, &open, "active").await;
    bob.post(
        &format!("/api/rooms/{open}/messages"),
        json!({"text": "late"}),
    )
    .await
    .expect(200);
    let mut heard: Vec<(String, Value)> = Vec::new();
    while !heard.iter().any(|(_, event)| event["message"] == "late") {
        let item = in_time("an event", events.recv()).await;
        if let Some(rotunda::bus::Item::Event(event)) = item {
            let payload: Value = serde_json::from_slice(event.data()).unwrap();
            heard.push((event.topic().as_str().to_owned(), payload));
        }
    }
    let of = |room: &str, topic: &str, kind: &str| {
        let events = heard.iter();
        let fits = |(name, event): &&(String, Value)| {
            name == topic && event["room_id"] == room && event["type"] == kind
        };
        events.filter(fits).count()
    };
    for (kind, in_secret, in_open) in [("participant_joined", 1, 1), ("chat", 0, 2)] {
        assert_eq!(of(&secret, "room_events", kind), in_secret, "{kind}");
        assert_eq!(of(&open, "room_events", kind), in_open, "{kind}");
    }
    assert_eq!(
        (
            of(&secret, "reactions", "wave"),
            of(&open, "reactions", "wave")
        ),
        (0, 1)
    );
    let (_, reaction) = heard
        .iter()
        .find(|(topic, _)| topic == "reactions")
        .unwrap();
    assert_eq!(
        *reaction,
        json!({"room_id": open, "user_id": ann.id, "type": "wave"})
    );
}
