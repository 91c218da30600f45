//! Who sees whom.

use super::*;

async fn list(client: &Client, user: &Client, side: &str, query: &str) -> Answer {
    client
        .get(&format!("/api/users/{}/{side}{query}", user.id))
        .await
}

#[tokio::test]
async fn strangers_see_user_role_and_date_of_active_rows() {
    let app = TestApp::new().modules("follows").start().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let row = json!({"follower": ann.id, "following": bob.id, "status": "active", "role": "admin",
        "paidAmount": 12.5, "paidAt": "2024-01-01 00:00:00.000Z", "approvedBy": bob.id,
        "expiresAt": "2099-01-01 00:00:00.000Z"});
    let id = app.superuser().create_id(PAIRS, row).await;
    for (side, user, other) in [("followers", &bob, &ann), ("following", &ann, &bob)] {
        for client in [&ann, &bob, &carl, &app.superuser()] {
            let page = list(client, user, side, "").await.expect(200);
            for (member, expected) in [
                ("count", 1),
                ("page", 1),
                ("perPage", 30),
                ("totalItems", 1),
            ] {
                assert_eq!(page[member], json!(expected), "{member}");
            }
            let row = &page[side][0];
            assert_eq!(row["id"], json!(id));
            assert_eq!(
                (&row["follower"], &row["following"]),
                (&json!(ann.id), &json!(bob.id))
            );
            assert_eq!(
                (&row["status"], &row["role"]),
                (&json!("active"), &json!("admin"))
            );
            assert_ne!(row["created"], "");
            let user = &row["expand"][side.trim_end_matches('s')];
            assert_eq!(user["id"], json!(other.id), "{row}");
            let is_side = client.id != carl.id;
            for field in [
                "expiresAt",
                "paidAmount",
                "paidAt",
                "approvedAt",
                "approvedBy",
                "updated",
            ] {
                assert_eq!(row.get(field).is_some(), is_side, "{field} {row}");
            }
        }
        list(&app.guest(), user, side, "").await.expect(401);
        list(&carl, user, side, "?status=unknown")
            .await
            .refuses(&[("status", "validation_invalid_value")]);
        carl.get(&format!("/api/users/nobody/{side}"))
            .await
            .expect(404);
    }
    // The records API shows rows to their two sides alone, also where they are expanded to.
    carl.get(&record(PAIRS, &id)).await.expect(404);
    assert_eq!(carl.count(PAIRS).await, 0);
    let query = [("expand", "follows_via_follower")];
    let users = carl.list("users", &query).await;
    assert!(!users.to_string().contains(&id), "{users}");
    let users = bob.list("users", &query).await;
    assert!(users.to_string().contains(&id));
}

#[tokio::test]
async fn requests_are_for_the_followed_user_and_admins() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let crowd = crowd(&app, 7).await;
    let admin = follows(&ann, &bob, "active").await;
    ask_first(&bob).await;
    for one in &crowd {
        follows(one, &bob, "pending").await;
    }
    follows(&crowd[0], &carl, "active").await;
    for status in ["pending", "rejected", "banned", "expired"] {
        let query = format!("?status={status}");
        list(&ann, &bob, "followers", &query).await.expect(403);
        list(&crowd[0], &bob, "followers", &query).await.expect(403);
        list(&bob, &crowd[0], "following", &query).await.expect(403);
    }
    decides(&bob, &admin, "promote", "active").await;
    let row = list(&ann, &bob, "followers", "?status=pending&perPage=3&page=3")
        .await
        .expect(200);
    assert_eq!((&row["count"], &row["totalItems"]), (&json!(1), &json!(7)));
    assert!(row["followers"][0].get("paidAmount").is_none());
    let own = list(&crowd[0], &crowd[0], "following", "?status=pending")
        .await
        .expect(200);
    assert_eq!(column(&own["following"], "following"), json!([bob.id]));
    let pending = list(&bob, &bob, "followers", "?status=pending")
        .await
        .expect(200);
    assert_eq!(pending["count"], 7);
    assert_eq!(
        list(&carl, &bob, "followers", "").await.expect(200)["count"],
        1
    );
    let first = pending["followers"][0]["id"].as_str().unwrap();
    decides(&bob, first, "reject", "rejected").await;
    for (status, count) in [
        ("pending", 6),
        ("rejected", 1),
        ("active", 1),
        ("banned", 0),
    ] {
        let query = format!("?status={status}");
        for client in [&bob, &ann, &app.superuser()] {
            let page = list(client, &bob, "followers", &query).await.expect(200);
            assert_eq!(page["totalItems"], count, "{status}");
        }
    }
    list(&bob, &bob, "followers", "?page=x").await.expect(400);
}

#[tokio::test]
async fn followers_hear_of_public_posts_and_of_presence() {
    let app = app().await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    // More than one batch.
    let crowd = crowd(&app, 250).await;
    let rows = format!(
        "INSERT INTO follows (id, follower, following, status, role, created, updated) \
         SELECT 'row' || substr(id, 4), id, '{}', 'active', 'follower', created, updated FROM users WHERE id LIKE 'crowd%'",
        bob.id
    );
    let rows = json!({"query": rows});
    app.superuser().post("/api/sql", rows).await.expect(200);
    follows(&ann, &bob, "active").await;
    ask_first(&bob).await;
    follows(&carl, &bob, "pending").await;
    let post = |is_public: bool| json!({"type": "html", "content": "x", "isPublic": is_public});
    bob.create_id("posts", post(false)).await;
    let id = bob.create_id("posts", post(true)).await;
    let data = json!({"post_id": id, "user_id": bob.id});
    for client in [&ann, &crowd[0], &crowd[249]] {
        becomes_told(&app, client, &[("post_created", data.clone())]).await;
    }
    let filter = [("filter", "type = 'post_created'")];
    let root = app.superuser();
    crate::support::becomes(&0, || 0).await;
    let mut total = root.list("notifications", &filter).await["totalItems"].clone();
    while total != 251 {
        total = root.list("notifications", &filter).await["totalItems"].clone();
    }
    assert!(told(&app, &carl).await.is_empty());
    // Presence goes to the channels of followers.
    let mut channel = ann.stream("/api/user/sse").await;
    let mut other = carl.stream("/api/user/sse").await;
    let here = bob.stream("/api/user/sse").await;
    loop {
        let event = channel.json().await;
        if event["type"] == "presence_change" && event["data"]["user_id"] == json!(bob.id) {
            assert_eq!(event["data"]["presence"], "online");
            break;
        }
    }
    app.live().push(&carl.id, "end", &json!({}));
    loop {
        let event = other.json().await;
        assert_ne!(event["data"]["user_id"], json!(bob.id));
        if event["type"] == "end" {
            break;
        }
    }
    drop(here);
}
