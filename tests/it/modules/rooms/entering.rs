//! Membership and live sessions: who gets in, and who goes out.

use super::*;

async fn enter(client: &Client, room: &str) -> Answer {
    client
        .post(&format!("/api/rooms/{room}/join"), json!({}))
        .await
}

/// The users who are in, as the owner sees them.
async fn present(owner: &Client, room: &str) -> Vec<String> {
    let path = format!("/api/rooms/{room}/participants");
    let seen = owner.get(&path).await.expect(200);
    let users = column(&seen["participants"], "user_id");
    let mut users: Vec<String> = serde_json::from_value(users).unwrap();
    users.sort_unstable();
    users
}

#[tokio::test]
async fn members_enter_and_a_free_public_room_makes_members() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let id = room(&ann, json!({"room_type": "data", "max_participants": 2})).await;
    enter(&bob, &id).await.expect(200);
    assert_eq!(state(&app, &id, &bob).await, pair("active", "participant"));
    assert_eq!(present(&ann, &id).await, std::slice::from_ref(&bob.id));
    assert_eq!(
        enter(&carl, &id).await.expect(403)["error"],
        "Room is full."
    );
    let live = carl.get("/api/rooms?live=true").await.expect(200);
    assert_eq!(
        (&live["count"], &live["rooms"][0]["participants"]),
        (&json!(1), &json!(1))
    );
    change(
        &ann,
        &id,
        json!({"join_type": "require_approval", "max_participants": 9}),
    )
    .await
    .expect(200);
    enter(&carl, &id).await.expect(403);
    joins(&carl, &id, "pending").await;
    enter(&carl, &id).await.expect(403);
    change(&ann, &id, json!({"is_public": false}))
        .await
        .expect(200);
    enter(&carl, &id).await.expect(404);
    enter(&app.guest(), &id).await.expect(401);
    enter(&app.superuser(), &id).await.expect(403);
}

#[tokio::test]
async fn who_is_no_member_any_more_is_out_at_once() {
    let (app, clock) = app_with_clock("rooms").await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let id = room(&ann, json!({"room_type": "data"})).await;
    for client in [&ann, &bob, &carl] {
        enter(client, &id).await.expect(200);
    }
    let member = row(&app, &id, &bob).await.unwrap().id().to_owned();
    decides(&ann, &member, "ban", "banned").await;
    let mut left = vec![ann.id.clone(), carl.id.clone()];
    left.sort_unstable();
    becomes(left, async || present(&ann, &id).await).await;
    enter(&bob, &id).await.expect(403);
    leave(&carl, &id).await.expect(200);
    becomes(vec![ann.id.clone()], async || present(&ann, &id).await).await;
    // The end of a period, when somebody looks at it.
    decides(&ann, &member, "unban", "active").await;
    enter(&bob, &id).await.expect(200);
    let until = clock.now().add_ms(60_000).to_string();
    root(&app)
        .await
        .update(MEMBERS, &member, json!({"expiresAt": until}))
        .await;
    assert_eq!(present(&ann, &id).await.len(), 2);
    clock.advance_ms(60_000);
    change(&ann, &id, json!({"join_type": "require_approval"}))
        .await
        .expect(200);
    enter(&bob, &id).await.expect(403);
    members(&ann, &id, "?status=expired").await.expect(200);
    becomes(vec![ann.id.clone()], async || present(&ann, &id).await).await;
    // The account is deleted, and with it the last admin's room: it closes.
    decides(
        &ann,
        &joins(&carl, &id, "pending").await,
        "approve",
        "active",
    )
    .await;
    enter(&carl, &id).await.expect(200);
    ann.delete(&record("users", &ann.id)).await.expect(204);
    assert_eq!(app.superuser().view(ROOMS, &id).await["isActive"], false);
    let seen = format!("/api/rooms/{id}");
    assert_eq!(carl.get(&seen).await.expect(200)["participants"], 0);
    enter(&carl, &id).await.expect(403);
}

#[tokio::test]
async fn a_room_that_is_not_active_or_deleted_has_no_session() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let id = room(&ann, json!({"room_type": "data"})).await;
    enter(&bob, &id).await.expect(200);
    change(&ann, &id, json!({"is_active": false}))
        .await
        .expect(200);
    assert_eq!(present(&ann, &id).await, [""; 0]);
    enter(&ann, &id).await.expect(403);
    change(&ann, &id, json!({"is_active": true}))
        .await
        .expect(200);
    enter(&bob, &id).await.expect(200);
    ann.delete(&format!("/api/rooms/{id}")).await.expect(200);
    enter(&bob, &id).await.expect(404);
    let live = bob.get("/api/rooms?live=true").await.expect(200);
    assert_eq!(live["count"], 0);
}

#[tokio::test]
async fn scripts_see_who_is_in_and_take_them_out() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let id = room(&ann, json!({"room_type": "data"})).await;
    let entered = enter(&bob, &id).await.expect(200);
    let participant = entered["participant_id"].as_str().unwrap();
    let execute = async |code: String| {
        let body = json!({"code": format!("return {code}")});
        let answer = app.superuser().post("/api/scripts/execute", body).await;
        answer.expect(200)["result"].clone()
    };
    assert_eq!(
        execute(format!("webrtc.getRoom('{id}')")).await,
        json!({"id": id, "type": "data", "participants": [participant], "count": 1})
    );
    assert_eq!(
        execute("webrtc.listRooms()".to_owned()).await,
        json!([{"id": id, "type": "data", "participants": 1}])
    );
    let done = json!({"success": true});
    let broadcast = format!("webrtc.broadcast('{id}', 'hello', {{a: 1}})");
    assert_eq!(execute(broadcast.clone()).await, done);
    assert_eq!(
        execute(format!("db.transaction(() => {broadcast})")).await,
        done
    );
    let kick = format!("webrtc.kickParticipant('{id}', '{participant}')");
    // What is undone takes nobody out.
    execute(format!(
        "(() => {{ try {{ db.transaction(() => {{ {kick}; throw new Error('no') }}) }} catch {{}} }})()"
    ))
    .await;
    assert_eq!(present(&ann, &id).await.len(), 1);
    assert_eq!(execute(kick).await, done);
    becomes(0, async || present(&ann, &id).await.len()).await;
}

#[tokio::test]
async fn a_room_can_be_created_by_the_users_channel() {
    let app = app().await;
    let ann = app.user("ann");
    let mut channel = ann.stream("/api/user/sse").await;
    let body = json!({"room_type": "audio", "name": "x"});
    let accepted = ann
        .post("/api/rooms?respond_to=sse", body)
        .await
        .expect(202);
    assert_eq!(accepted["status"], "response_sent_via_sse");
    let envelope = loop {
        let envelope = channel.json().await;
        if envelope["type"] == "room_created" {
            break envelope;
        }
    };
    assert_eq!(envelope["status_code"], 200);
    let id = envelope["data"]["room_id"].as_str().unwrap();
    assert_eq!(state(&app, id, &ann).await, pair("active", "owner"));
}

#[tokio::test]
async fn superusers_follow_what_happens_in_rooms() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    ann.no_stream("/api/events/room_events", 403).await;
    let mut topic = app.superuser().stream("/api/events/room_events").await;
    let id = room(&ann, json!({})).await;
    joins(&bob, &id, "active").await;
    leave(&bob, &id).await.expect(200);
    ann.delete(&format!("/api/rooms/{id}")).await.expect(200);
    for (kind, user) in [
        ("room_created", Some(&ann)),
        ("member_joined", Some(&ann)),
        ("member_joined", Some(&bob)),
        ("member_left", Some(&bob)),
        ("room_deleted", None),
    ] {
        let mut expected = json!({"type": kind, "room_id": id});
        if let Some(user) = user {
            expected["user_id"] = json!(user.id);
        }
        assert_eq!(topic.json().await, expected);
    }
}
