//! Joining, leaving, deciding, owning.

use super::*;

#[tokio::test]
async fn a_free_room_takes_everybody_until_it_is_full() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let id = room(&ann, json!({"max_participants": 2})).await;
    let other = room(&bob, json!({})).await;
    let member = joins(&bob, &id, "active").await;
    ask(&bob, &id).await.expect(400);
    ask(&ann, &id).await.expect(400);
    let full = ask(&carl, &id).await.expect(403);
    assert_eq!(full["error"], "Room is full.");
    ask(&app.guest(), &id).await.expect(401);
    ask(&app.superuser(), &id).await.expect(403);
    ask(&carl, "unknown").await.expect(404);
    leave(&ann, &id).await.expect(403);
    leave(&carl, &id).await.expect(403);
    leave(&bob, &id).await.expect(200);
    assert!(row(&app, &id, &bob).await.is_none());
    assert_ne!(joins(&carl, &id, "active").await, member);
    joins(&carl, &other, "active").await;
    // A room keeps a place for each of its members.
    change(&ann, &id, json!({"max_participants": 3}))
        .await
        .expect(200);
    joins(&bob, &id, "active").await;
    change(&ann, &id, json!({"max_participants": 2}))
        .await
        .expect(400);
    change(&bob, &id, json!({"max_participants": 9}))
        .await
        .expect(403);
    let changed = change(&ann, &id, json!({"maxParticipants": 4, "name": "Big"})).await;
    let changed = changed.expect(200);
    assert_eq!(
        (&changed["maxParticipants"], &changed["name"]),
        (&json!(4), &json!("Big"))
    );
    change(&ann, &id, json!({"name": ""}))
        .await
        .refuses(&[("name", "validation_required")]);
    change(&ann, &id, json!({"is_active": false}))
        .await
        .expect(200);
    leave(&bob, &id).await.expect(200);
    ask(&bob, &id).await.expect(403);
}

#[tokio::test]
async fn hosts_answer_requests() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let crowd = crowd(&app, 2).await;
    let (dora, eve) = (&crowd[0], &crowd[1]);
    let id = room(
        &ann,
        json!({"join_type": "require_approval", "max_participants": 4}),
    )
    .await;
    let of_room = json!({"room_id": id});
    let admin = joins(&bob, &id, "pending").await;
    ask(&bob, &id).await.expect(400);
    let request = json!({"user_id": bob.id, "room_id": id, "member_id": admin});
    assert_eq!(
        told(&app, &ann).await,
        [("join_request".to_owned(), request)]
    );
    decide(&bob, &admin, "approve").await.expect(403);
    decide(&carl, &admin, "approve").await.expect(404);
    decide(&app.guest(), &admin, "approve").await.expect(401);
    decide(&ann, &admin, "promote").await.expect(409);
    decides(&ann, &admin, "approve", "active").await;
    assert_eq!(
        row(&app, &id, &bob).await.unwrap().text("approvedBy"),
        ann.id
    );
    assert_ne!(row(&app, &id, &bob).await.unwrap().text("joinedAt"), "");
    decide(&ann, &admin, "approve").await.expect(409);
    let promoted = decides(&ann, &admin, "promote", "active").await;
    assert_eq!(promoted["role"], "admin");
    decide(&ann, &admin, "promote").await.expect(409);
    // Admins are asked, too, and answer.
    let member = joins(&carl, &id, "pending").await;
    assert_eq!(
        kinds(&told(&app, &bob).await),
        [
            "room_join_approved",
            "promoted_to_room_admin",
            "join_request"
        ]
    );
    decides(&bob, &member, "reject", "rejected").await;
    assert_eq!(joins(&carl, &id, "pending").await, member);
    decides(&bob, &member, "approve", "active").await;
    let told_of = told(&app, &carl).await;
    assert_eq!(
        told_of,
        ["room_join_rejected", "room_join_approved"].map(|kind| (kind.to_owned(), of_room.clone()))
    );
    // No more are let in than there are places.
    let third = joins(dora, &id, "pending").await;
    let fourth = joins(eve, &id, "pending").await;
    decides(&bob, &third, "approve", "active").await;
    decide(&bob, &fourth, "approve").await.expect(403);
    decides(&bob, &third, "ban", "banned").await;
    decides(&bob, &fourth, "approve", "active").await;
    decide(&bob, &third, "unban").await.expect(403);
    leave(eve, &id).await.expect(200);
    decides(&bob, &third, "unban", "active").await;
    assert_eq!(kinds(&told(&app, dora).await)[1..], ["room_banned"]);
    // A request is taken back.
    leave(dora, &id).await.expect(200);
    joins(dora, &id, "pending").await;
    leave(dora, &id).await.expect(200);
    assert!(row(&app, &id, dora).await.is_none());
}

#[tokio::test]
async fn bans_and_offices_follow_ranks() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let crowd = crowd(&app, 2).await;
    let (dora, eve) = (&crowd[0], &crowd[1]);
    let id = room(&ann, json!({})).await;
    let owner = row(&app, &id, &ann).await.unwrap().id().to_owned();
    let first = joins(&bob, &id, "active").await;
    let second = joins(&carl, &id, "active").await;
    let third = joins(dora, &id, "active").await;
    decides(&ann, &first, "promote", "active").await;
    decides(&ann, &second, "promote", "active").await;
    for what in ["ban", "promote", "demote"] {
        decide(&bob, &second, what).await.expect(403);
        decide(&bob, &owner, what).await.expect(403);
        decide(dora, &first, what).await.expect(403);
        decide(eve, &third, what).await.expect(404);
    }
    decide(&ann, &owner, "ban").await.expect(403);
    decide(&ann, &owner, "demote").await.expect(409);
    decide(&ann, "unknown", "ban").await.expect(404);
    decides(&bob, &third, "ban", "banned").await;
    for _ in 0..2 {
        ask(dora, &id).await.expect(403);
        leave(dora, &id).await.expect(403);
    }
    decide(&bob, &third, "ban").await.expect(409);
    decide(&bob, &third, "approve").await.expect(409);
    decide(dora, &third, "unban").await.expect(403);
    decides(&carl, &third, "unban", "active").await;
    assert_eq!(
        decides(&ann, &second, "demote", "active").await["role"],
        "participant"
    );
    decide(&ann, &second, "demote").await.expect(409);
    decides(&bob, &second, "ban", "banned").await;
    // A banned admin is none any more.
    decides(&ann, &first, "ban", "banned").await;
    decide(&bob, &third, "ban").await.expect(404);
    let unbanned = decides(&ann, &first, "unban", "active").await;
    assert_eq!(unbanned["role"], "participant");
    assert_eq!(
        kinds(&told(&app, &carl).await),
        [
            "promoted_to_room_admin",
            "demoted_from_room_admin",
            "room_banned"
        ]
    );
}

#[tokio::test]
async fn hosts_say_what_members_may_do() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let id = room(&ann, json!({})).await;
    let owner = row(&app, &id, &ann).await.unwrap().id().to_owned();
    let admin = joins(&bob, &id, "active").await;
    let member = joins(&carl, &id, "active").await;
    decides(&ann, &admin, "promote", "active").await;
    let permit = async |client: &Client, member: &str, permissions: Value| {
        let path = format!("/api/room-members/{member}");
        client
            .patch(&path, json!({"permissions": permissions}))
            .await
    };
    let changed = permit(
        &bob,
        &member,
        json!({"speak": false, "chat": true, "fly": 7}),
    )
    .await;
    let expected =
        json!({"speak": false, "video": true, "screen": true, "chat": true, "invite": true});
    assert_eq!(changed.expect(200)["permissions"], expected);
    let changed = permit(&ann, &member, json!({"chat": false}))
        .await
        .expect(200);
    assert_eq!(changed["permissions"]["speak"], false);
    permit(&ann, &member, json!({"chat": "no"}))
        .await
        .refuses(&[("permissions", "validation_invalid_value")]);
    permit(&ann, &member, json!([])).await.expect(400);
    permit(&bob, &owner, json!({"chat": false}))
        .await
        .expect(403);
    permit(&bob, &admin, json!({"chat": false}))
        .await
        .expect(403);
    permit(&carl, &member, json!({"speak": true}))
        .await
        .expect(403);
    permit(&app.guest(), &member, json!({})).await.expect(401);
    // What was forbidden stays so for those who leave the room's books with it.
    decides(&ann, &member, "ban", "banned").await;
    decides(&ann, &member, "unban", "active").await;
    let rows = members(&ann, &id, "").await.expect(200);
    let rows = rows["members"].as_array().unwrap();
    let row = rows.iter().find(|row| row["id"] == member).unwrap();
    assert_eq!(row["permissions"], json!({"speak": false, "chat": false}));
}

#[tokio::test]
async fn rooms_change_hands() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let id = room(&ann, json!({})).await;
    let member = joins(&bob, &id, "active").await;
    transfer(&bob, &id, &bob.id).await.expect(403);
    transfer(&ann, &id, &carl.id).await.expect(400);
    transfer(&ann, &id, "nobody").await.expect(400);
    transfer(&ann, &id, &ann.id).await.expect(409);
    let moved = transfer(&ann, &id, &bob.id).await.expect(200);
    assert_eq!(moved["room"]["owner"], json!(bob.id));
    assert_eq!(moved["room"]["creator"], json!(ann.id));
    assert_eq!(state(&app, &id, &bob).await, pair("active", "owner"));
    assert_eq!(state(&app, &id, &ann).await, pair("active", "admin"));
    let data = json!({"room_id": id});
    assert_eq!(
        told(&app, &bob).await,
        [("room_ownership_transferred".to_owned(), data)]
    );
    assert!(told(&app, &ann).await.is_empty());
    leave(&bob, &id).await.expect(403);
    change(&ann, &id, json!({"name": "mine"})).await.expect(403);
    leave(&ann, &id).await.expect(200);
    // Superusers may do so as well, also by the records API; rooms and rows agree.
    let superuser = app.superuser();
    superuser
        .update(ROOMS, &id, json!({"owner": carl.id}))
        .await;
    assert_eq!(state(&app, &id, &carl).await, pair("active", "owner"));
    assert_eq!(state(&app, &id, &bob).await, pair("active", "admin"));
    let owner = row(&app, &id, &carl).await.unwrap().id().to_owned();
    for (row, changes) in [
        (&owner, json!({"role": "admin"})),
        (&owner, json!({"status": "banned"})),
        (&member, json!({"role": "owner"})),
    ] {
        superuser
            .patch(&record(MEMBERS, row), changes)
            .await
            .expect(409);
    }
    superuser
        .patch(&record(MEMBERS, &member), json!({"user": ann.id}))
        .await
        .expect(200);
    assert_eq!(state(&app, &id, &bob).await, pair("active", "admin"));
    bob.delete(&format!("/api/rooms/{id}")).await.expect(403);
    carl.delete(&format!("/api/rooms/{id}")).await.expect(200);
    assert_eq!(superuser.count(MEMBERS).await, 0);
    carl.delete(&format!("/api/rooms/{id}")).await.expect(404);
}

#[tokio::test]
async fn the_oldest_admin_inherits_the_room_of_a_deleted_account() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let (id, alone) = (room(&ann, json!({})).await, room(&ann, json!({})).await);
    for client in [&bob, &carl] {
        let member = joins(client, &id, "active").await;
        decides(&ann, &member, "promote", "active").await;
    }
    joins(&bob, &alone, "active").await;
    ann.delete(&record("users", &ann.id)).await.expect(204);
    assert_eq!(state(&app, &id, &bob).await, pair("active", "owner"));
    assert_eq!(state(&app, &id, &carl).await, pair("active", "admin"));
    let found = carl.view(ROOMS, &id).await;
    assert_eq!(
        (&found["owner"], &found["creator"]),
        (&json!(bob.id), &json!(""))
    );
    assert_eq!(found["isActive"], true);
    assert_eq!(
        kinds(&told(&app, &bob).await)[1..],
        ["room_ownership_transferred"]
    );
    // Nobody is there to inherit the other.
    let closed = bob.view(ROOMS, &alone).await;
    assert_eq!(
        (&closed["owner"], &closed["isActive"]),
        (&json!(""), &json!(false))
    );
    ask(&carl, &alone).await.expect(403);
    assert_eq!(
        state(&app, &alone, &bob).await,
        pair("active", "participant")
    );
    // So does a row that a superuser takes away.
    let owner = row(&app, &id, &bob).await.unwrap().id().to_owned();
    app.superuser()
        .delete(&record(MEMBERS, &owner))
        .await
        .expect(204);
    assert_eq!(state(&app, &id, &carl).await, pair("active", "owner"));
    carl.delete(&record("users", &carl.id)).await.expect(204);
    let found = app.superuser().view(ROOMS, &id).await;
    assert_eq!(
        (&found["owner"], &found["isActive"]),
        (&json!(""), &json!(false))
    );
    assert_eq!(app.superuser().count(MEMBERS).await, 1);
}

#[tokio::test]
async fn rows_of_superusers_and_scripts_keep_the_rules_of_rooms() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let id = room(
        &ann,
        json!({"max_participants": 2, "access_type": "private"}),
    )
    .await;
    let superuser = app.superuser();
    // Without a status a row asks.
    let asked = superuser
        .create(MEMBERS, json!({"room": id, "user": bob.id}))
        .await;
    assert_eq!(asked["status"], "active");
    let row = json!({"room": id, "user": carl.id, "status": "active"});
    superuser.try_create(MEMBERS, row.clone()).await.expect(403);
    let mut banned = row.clone();
    banned["status"] = "banned".into();
    let banned = superuser.create_id(MEMBERS, banned).await;
    superuser
        .patch(&record(MEMBERS, &banned), json!({"status": "active"}))
        .await
        .expect(403);
    let mut again = row;
    again["status"] = "rejected".into();
    superuser.try_create(MEMBERS, again).await.expect(400);
    superuser
        .try_create(MEMBERS, json!({"room": "unknown", "user": carl.id}))
        .await
        .expect(400);
    // Members write nothing themselves.
    for client in [&ann, &bob] {
        client
            .try_create(MEMBERS, json!({"room": id, "user": client.id}))
            .await
            .expect(403);
        client
            .patch(&record(ROOMS, &id), json!({"name": "x"}))
            .await
            .expect(403);
    }
    // A room that a superuser makes has its owner's row.
    let made = json!({"roomType": "audio", "name": "x", "owner": carl.id, "isPublic": false});
    let made = superuser.create(ROOMS, made).await;
    assert_eq!(made["accessType"], "private");
    assert_eq!(
        state(&app, &id_of(&made), &carl).await,
        pair("active", "owner")
    );
    let made = id_of(&made);
    let opened = superuser.update(ROOMS, &made, json!({"isPublic": true}));
    assert_eq!(opened.await["accessType"], "public");
    let closed = superuser.update(ROOMS, &made, json!({"accessType": "event"}));
    assert_eq!(closed.await["isPublic"], false);
}
