//! Who sees what.

use super::*;

async fn list(client: &Client, query: &str) -> Value {
    client.get(&format!("/api/rooms{query}")).await.expect(200)
}

fn names(list: &Value) -> Value {
    column(&list["rooms"], "name")
}

#[tokio::test]
async fn a_room_that_is_not_public_is_not_there_for_strangers() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    for access in ["private", "invitation", "cross_workspace", "event"] {
        let id = room(&ann, json!({"access_type": access})).await;
        let row = json!({"room": id, "user": bob.id, "status": "active"});
        let member = app.superuser().create_id(MEMBERS, row).await;
        for path in [
            record(ROOMS, &id),
            record(MEMBERS, &member),
            format!("/api/rooms/{id}"),
            format!("/api/rooms/{id}/members"),
        ] {
            bob.get(&path).await.expect(200);
            carl.get(&path).await.expect(404);
        }
        ask(&carl, &id).await.expect(404);
        leave(&carl, &id).await.expect(404);
        decide(&carl, &member, "ban").await.expect(404);
        change(&carl, &id, json!({})).await.expect(404);
        change(&bob, &id, json!({})).await.expect(403);
        transfer(&carl, &id, &carl.id).await.expect(404);
        carl.delete(&format!("/api/rooms/{id}")).await.expect(404);
        // Whoever leaves is a stranger again, who was rejected may ask.
        leave(&bob, &id).await.expect(200);
        bob.get(&format!("/api/rooms/{id}")).await.expect(404);
        ask(&bob, &id).await.expect(404);
        let row = json!({"room": id, "user": bob.id, "status": "rejected"});
        app.superuser().create_id(MEMBERS, row).await;
        bob.get(&format!("/api/rooms/{id}")).await.expect(404);
        joins(&bob, &id, "active").await;
        bob.get(&format!("/api/rooms/{id}")).await.expect(200);
        leave(&bob, &id).await.expect(200);
    }
    assert_eq!(list(&carl, "").await["totalItems"], 0);
    assert_eq!(list(&ann, "").await["totalItems"], 4);
    assert_eq!(list(&app.superuser(), "").await["totalItems"], 4);
}

#[tokio::test]
async fn lists_show_what_fits_and_whether_one_can_enter() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let free = room(&ann, json!({"name": "free"})).await;
    let asked = json!({"name": "asked", "join_type": "require_approval", "room_type": "audio"});
    let asked = room(&ann, asked).await;
    let full = room(&ann, json!({"name": "full", "max_participants": 2})).await;
    joins(&carl, &full, "active").await;
    let closed = room(&ann, json!({"name": "closed"})).await;
    change(&ann, &closed, json!({"is_active": false}))
        .await
        .expect(200);
    room(&ann, json!({"name": "secret", "is_public": false})).await;
    let seen = list(&bob, "").await;
    assert_eq!(names(&seen), json!(["closed", "full", "asked", "free"]));
    assert_eq!(
        column(&seen["rooms"], "reason"),
        json!(["inactive", "full", "approval_required", null])
    );
    assert_eq!(
        column(&seen["rooms"], "can_join"),
        json!([false, false, false, true])
    );
    assert_eq!(column(&seen["rooms"], "participants"), json!([0, 0, 0, 0]));
    for (member, expected) in [
        ("count", 4),
        ("page", 1),
        ("perPage", 30),
        ("totalItems", 4),
    ] {
        assert_eq!(seen[member], json!(expected), "{member}");
    }
    joins(&bob, &asked, "pending").await;
    let member = joins(&bob, &free, "active").await;
    decides(&ann, &member, "ban", "banned").await;
    let seen = list(&bob, "").await;
    assert_eq!(
        column(&seen["rooms"], "reason"),
        json!(["inactive", "full", "pending", "banned"])
    );
    let own = list(&ann, "?mine=true").await;
    assert_eq!(
        column(&own["rooms"], "reason"),
        json!([null, "inactive", null, null, null])
    );
    assert_eq!(names(&list(&carl, "?mine=true").await), json!(["full"]));
    assert_eq!(names(&list(&bob, "?mine=1").await), json!([]));
    assert_eq!(names(&list(&bob, "?type=audio").await), json!(["asked"]));
    assert_eq!(
        names(&list(&ann, "?access=private").await),
        json!(["secret"])
    );
    assert_eq!(names(&list(&bob, "?access=private").await), json!([]));
    assert_eq!(names(&list(&bob, "?live=true").await), json!([]));
    let page = list(&bob, "?page=2&perPage=3").await;
    assert_eq!(
        (names(&page), &page["totalItems"]),
        (json!(["free"]), &json!(4))
    );
    for query in ["?type=smell", "?access=all", "?mine=perhaps", "?live=2"] {
        bob.get(&format!("/api/rooms{query}")).await.expect(400);
    }
    app.guest().get("/api/rooms").await.expect(401);
    let one = bob.get(&format!("/api/rooms/{free}")).await.expect(200);
    assert_eq!(
        (&one["name"], &one["can_join"], &one["reason"]),
        (&json!("free"), &json!(false), &json!("banned"))
    );
    let one = app.superuser().get(&format!("/api/rooms/{free}")).await;
    assert_eq!(one.expect(200)["reason"], "members_only");
}

#[tokio::test]
async fn members_see_each_other_and_hosts_see_more() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let id = room(&ann, json!({})).await;
    let row = json!({"room": id, "user": bob.id, "status": "active", "paidAmount": 5,
        "paidAt": "2024-01-01 00:00:00.000Z", "expiresAt": "2099-01-01 00:00:00.000Z", "approvedBy": ann.id});
    let member = app.superuser().create_id(MEMBERS, row).await;
    members(&carl, &id, "").await.expect(403);
    joins(&carl, &id, "active").await;
    let confidential = [
        "paidAmount",
        "paidAt",
        "expiresAt",
        "approvedBy",
        "permissions",
    ];
    for (client, sees) in [
        (&ann, true),
        (&bob, true),
        (&carl, false),
        (&app.superuser(), true),
    ] {
        let page = members(client, &id, "").await.expect(200);
        assert_eq!(
            (&page["count"], &page["totalItems"]),
            (&json!(3), &json!(3))
        );
        let rows = page["members"].as_array().unwrap();
        let row = rows.iter().find(|row| row["id"] == member).unwrap();
        assert_eq!(
            (&row["user"], &row["role"]),
            (&json!(bob.id), &json!("participant"))
        );
        assert_ne!(row["joinedAt"], "");
        assert_eq!(row["expand"]["user"]["name"], "bob");
        for field in confidential {
            assert_eq!(row.get(field).is_some(), sees, "{field} {row}");
        }
        for field in ["charge", "periodDays"] {
            assert!(row.get(field).is_none() || client.id == app.superuser().id);
        }
    }
    // So does the records API, and no filter tells what it hides.
    let own = bob.view(MEMBERS, &member).await;
    assert_eq!(own["paidAmount"], 5);
    let seen = carl.view(MEMBERS, &member).await;
    for field in confidential {
        assert!(seen.get(field).is_none(), "{field}");
        let filter = format!("{field} != ''");
        carl.get_with(&crate::support::records(MEMBERS), &[("filter", &filter)])
            .await
            .expect(400);
        bob.get_with(&crate::support::records(MEMBERS), &[("sort", field)])
            .await
            .expect(400);
    }
    assert_eq!(carl.count(MEMBERS).await, 3);
    // The other states are for hosts.
    decides(&ann, &member, "ban", "banned").await;
    assert_eq!(
        members(&ann, &id, "?status=banned").await.expect(200)["count"],
        1
    );
    members(&carl, &id, "?status=banned").await.expect(403);
    members(&ann, &id, "?status=unknown").await.expect(400);
    members(&app.guest(), &id, "").await.expect(401);
    members(&bob, &id, "").await.expect(403);
    assert_eq!(carl.count(MEMBERS).await, 2);
    assert_eq!(ann.count(MEMBERS).await, 3);
    assert_eq!(
        column(&bob.list(MEMBERS, &[]).await["items"], "id"),
        json!([member])
    );
}

#[tokio::test]
async fn users_list_their_own_memberships() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let open = room(&ann, json!({"name": "open"})).await;
    let closed = room(&ann, json!({"name": "closed", "is_public": false})).await;
    joins(&bob, &open, "active").await;
    let row = json!({"room": closed, "user": bob.id, "status": "rejected"});
    app.superuser().create(MEMBERS, row).await;
    let own = bob.get("/api/user/rooms").await.expect(200);
    assert_eq!((&own["count"], &own["totalItems"]), (&json!(1), &json!(1)));
    let one = &own["rooms"][0];
    assert_eq!(one["member"]["role"], "participant");
    assert!(one["member"].get("expiresAt").is_some());
    assert_eq!(one["room"]["name"], "open");
    let rejected = bob.get("/api/user/rooms?status=rejected").await.expect(200);
    assert_eq!(rejected["rooms"][0]["member"]["room"], json!(closed));
    assert_eq!(rejected["rooms"][0]["room"], json!(null));
    let owned = ann.get("/api/user/rooms").await.expect(200);
    assert_eq!(owned["count"], 2);
    assert_eq!(owned["rooms"][1]["room"]["name"], "closed");
    app.guest().get("/api/user/rooms").await.expect(401);
    bob.get("/api/user/rooms?status=x").await.expect(400);
}

#[tokio::test]
async fn guests_reach_nothing() {
    let app = app().await;
    let id = room(&app.user("ann"), json!({})).await;
    let description = app.superuser().get("/api/openapi").await.expect(200);
    let paths = description["paths"].as_object().unwrap();
    let mut seen = 0;
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            if operation["tags"] != json!(["rooms"]) || path.contains("/records") {
                continue;
            }
            let real = path.replace("{roomId}", &id);
            let method: reqwest::Method = method.to_uppercase().parse().unwrap();
            let guest = app.guest();
            let request = guest.request(method, &real.replace("{memberId}", "unknown"));
            guest.send(request).await.expect(401);
            seen += 1;
        }
    }
    assert!(seen >= 18, "{seen}");
}
