//! Notifications: stored, pushed, listed, read; each by and for its user alone.

use rotunda::engine::Error;
use rotunda::live::Notification;
use serde_json::{Value, json};

use super::{topic, write};
use crate::support::{Client, TestApp, column, record};

const LIST: &str = "/api/user/notifications";
const READ: &str = "/api/user/notifications/read";

async fn app() -> TestApp {
    let app = TestApp::new().start().await;
    app.live().ensure_topics().await.unwrap();
    app
}

/// Notifies a user; `fails` undoes the transaction.
pub(super) async fn notify(
    app: &TestApp,
    user: &Client,
    kind: &str,
    data: Value,
    fails: bool,
) -> Option<String> {
    let (live, user, kind) = (app.live().clone(), user.id.clone(), kind.to_owned());
    let done = write(app, move |tx| {
        Box::pin(async move {
            let notification = Notification {
                user: &user,
                kind: &kind,
                title: "A title",
                message: "A message",
                data: &data,
            };
            let id = live.notify(tx, notification).await;
            let id = id.map_err(|error| Error::bad_request(error.to_string()))?;
            if fails {
                return Err(Error::bad_request("undone"));
            }
            Ok(id)
        })
    })
    .await;
    done.unwrap_or_else(|error| {
        assert!(fails, "{error}");
        None
    })
}

#[tokio::test]
async fn a_notification_is_stored_and_pushed_once_it_counts() {
    let app = app().await;
    let (ann, root) = (app.user("ann"), app.superuser());
    let mut channel = ann.stream("/api/user/sse").await;
    let mut all = root.stream(&topic("notifications")).await.placed().await;
    notify(&app, &ann, "undone", json!({}), true).await;
    let data = json!({"post_id": "p1", "user_id": "u1"});
    let id = notify(&app, &ann, "post_liked", data.clone(), false).await;
    let id = id.expect("stored");
    let envelope = loop {
        let envelope = channel.json().await;
        assert_ne!(envelope["type"], json!("undone"));
        if envelope["type"] == json!("post_liked") {
            break envelope;
        }
    };
    assert_eq!(envelope["data"], data);
    assert_eq!(envelope["id"], json!(id));
    let told = all.json().await;
    assert_eq!(told["user_id"], json!(ann.id));
    assert_eq!(told["type"], json!("post_liked"));
    assert_eq!(told["data"], data);
    let stored = root.view("notifications", &id).await;
    for (member, expected) in [
        ("user", json!(ann.id)),
        ("type", json!("post_liked")),
        ("title", json!("A title")),
        ("message", json!("A message")),
        ("data", data),
        ("readAt", json!("")),
    ] {
        assert_eq!(stored[member], expected, "{member}");
    }
    app.user("bob")
        .no_stream(&topic("notifications"), 403)
        .await;
}

#[tokio::test]
async fn nobody_is_notified_who_does_not_exist() {
    let app = app().await;
    let live = app.live().clone();
    let refused = write(&app, move |tx| {
        Box::pin(async move {
            let notification = Notification {
                user: "nobody",
                kind: "x",
                title: "",
                message: "",
                data: &Value::Null,
            };
            let outcome = live.notify(tx, notification).await;
            assert!(outcome.is_err());
            Err::<(), _>(Error::bad_request("as expected"))
        })
    });
    assert!(refused.await.is_err());
}

#[tokio::test]
async fn users_list_and_read_their_own() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let mut ids = Vec::new();
    for n in 0..5 {
        let id = notify(&app, &ann, "hint", json!({"n": n}), false).await;
        ids.push(id.unwrap());
    }
    let foreign = notify(&app, &bob, "hint", json!({}), false).await.unwrap();
    let page = ann
        .get(&format!("{LIST}?page=2&perPage=2"))
        .await
        .expect(200);
    for (member, expected) in [
        ("count", 2),
        ("unread", 5),
        ("page", 2),
        ("perPage", 2),
        ("totalItems", 5),
    ] {
        assert_eq!(page[member], json!(expected), "{member}");
    }
    let newest = ann.get(LIST).await.expect(200);
    assert_eq!(
        column(&newest["notifications"], "user"),
        json!([ann.id, ann.id, ann.id, ann.id, ann.id])
    );
    // Unknown and foreign ids are passed over.
    let body = json!({"ids": [ids[0], ids[1], foreign, "unknown"]});
    let answer = ann.post(READ, body.clone()).await.expect(200);
    assert_eq!(answer, json!({"success": true, "unread": 3}));
    let read_at = ann.view("notifications", &ids[0]).await["readAt"].clone();
    assert!(read_at.as_str().is_some_and(|date| date.len() == 24));
    assert_eq!(ann.post(READ, body).await.expect(200)["unread"], json!(3));
    assert_eq!(ann.view("notifications", &ids[0]).await["readAt"], read_at);
    let unread = ann.get(&format!("{LIST}?unread=true")).await.expect(200);
    assert_eq!(
        (&unread["count"], &unread["totalItems"]),
        (&json!(3), &json!(3))
    );
    let answer = ann.post(READ, json!({"all": true})).await.expect(200);
    assert_eq!(answer, json!({"success": true, "unread": 0}));
    assert_eq!(bob.get(LIST).await.expect(200)["unread"], json!(1));
    // A superuser has none of their own, and sees no others' here.
    assert_eq!(
        app.superuser().get(LIST).await.expect(200)["notifications"],
        json!([])
    );
}

#[tokio::test]
async fn bad_input_is_refused_by_name() {
    let app = app().await;
    let ann = app.user("ann");
    app.guest().get(LIST).await.expect(401);
    app.guest()
        .post(READ, json!({"all": true}))
        .await
        .expect(401);
    ann.get(&format!("{LIST}?unread=perhaps"))
        .await
        .refuses(&[("unread", "validation_invalid_value")]);
    ann.get(&format!("{LIST}?page=x")).await.expect(400);
    for (body, field) in [
        (json!({}), "ids"),
        (json!({"ids": "x"}), "ids"),
        (json!({"ids": [1]}), "ids"),
        (json!({"ids": {}}), "ids"),
        (json!({"all": "yes"}), "all"),
        (json!({"all": false}), "ids"),
        (json!({"ids": vec!["x"; 1_001]}), "ids"),
    ] {
        ann.post(READ, body)
            .await
            .refuses(&[(field, "validation_invalid_value")]);
    }
    ann.post(READ, json!([1])).await.expect(400);
    ann.post(READ, json!({"ids": [], "padding": "x".repeat(70_000)}))
        .await
        .expect(413);
    assert_eq!(
        ann.post(READ, json!({"ids": []})).await.expect(200)["success"],
        json!(true)
    );
}

#[tokio::test]
async fn records_are_the_users_own_and_only_read_at_is_theirs_to_change() {
    let app = app().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let id = notify(&app, &ann, "hint", json!({"n": 1}), false)
        .await
        .unwrap();
    let path = record("notifications", &id);
    for client in [&bob, &app.guest()] {
        client.get(&path).await.expect(404);
        client
            .patch(&path, json!({"readAt": "2024-01-01 00:00:00.000Z"}))
            .await
            .expect(404);
        client.delete(&path).await.expect(404);
        assert_eq!(client.count("notifications").await, 0);
        client
            .try_create("notifications", json!({"user": bob.id, "type": "x"}))
            .await
            .expect(403);
    }
    let forged = json!({
        "user": bob.id, "type": "", "title": "forged", "message": "forged", "data": {"forged": true},
        "title+": "x", "readAt": "2024-01-01 00:00:00.000Z",
    });
    let after = ann.update("notifications", &id, forged).await;
    assert_eq!(after["readAt"], json!("2024-01-01 00:00:00.000Z"));
    assert_eq!(after["user"], json!(ann.id));
    assert_eq!(
        (&after["type"], &after["title"]),
        (&json!("hint"), &json!("A title"))
    );
    assert_eq!(after["data"], json!({"n": 1}));
    ann.delete(&path).await.expect(204);
    // They go with their user.
    let id = notify(&app, &bob, "hint", json!({}), false).await.unwrap();
    let root = app.superuser();
    root.delete(&record("users", &bob.id)).await.expect(204);
    root.get(&record("notifications", &id)).await.expect(404);
}

#[tokio::test]
async fn what_others_store_is_pushed_as_well() {
    let app = app().await;
    let (ann, root) = (app.user("ann"), app.superuser());
    let mut channel = ann.stream("/api/user/sse").await;
    let mut all = root.stream(&topic("notifications")).await.placed().await;
    assert_eq!(channel.json().await["type"], "connected");
    let row = json!({"user": ann.id, "type": "hello", "title": "t", "data": {"a": 1}});
    let stored = root.create("notifications", row).await;
    let told = all.json().await;
    let expected = json!({"id": stored["id"], "user_id": ann.id, "type": "hello", "title": "t", "message": "", "data": {"a": 1}});
    assert_eq!(told, expected);
    loop {
        let event = channel.json().await;
        if event["type"] == "hello" {
            assert_eq!(
                (&event["id"], &event["data"]),
                (&stored["id"], &json!({"a": 1}))
            );
            break;
        }
    }
}
