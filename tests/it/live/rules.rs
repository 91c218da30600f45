//! Who may subscribe and publish, and what the rows of `_topics` may hold.

use rotunda::live::{Publication, ensure_presence};
use serde_json::{Value, json};

use super::{app_with_news, make_topic, publish, topic};
use crate::support::{TestApp, column};

#[tokio::test]
async fn topics_without_a_row_are_for_superusers() {
    let app = TestApp::new().start().await;
    for client in [app.guest(), app.user("ann")] {
        client.no_stream(&topic("secret"), 403).await;
        client.no_stream("/api/events?topics=secret", 403).await;
        client.post(&topic("secret"), json!(1)).await.expect(403);
    }
    let mut stream = app
        .superuser()
        .stream(&topic("secret"))
        .await
        .placed()
        .await;
    publish(&app.superuser(), "secret", json!({"n": 1})).await;
    assert_eq!(stream.json().await, json!({"n": 1}));
}

#[tokio::test]
async fn the_collections_appear_with_the_first_topic() {
    let app = TestApp::new().start().await;
    let root = app.superuser();
    let names = || async {
        let page = root.get("/api/collections?perPage=100").await.expect(200);
        let names = column(&page["items"], "name");
        let has = |name: &str| names.as_array().unwrap().contains(&json!(name));
        (has("_topics"), has("notifications"))
    };
    let users_before = root.get("/api/collections/users").await.expect(200);
    app.guest().no_stream(&topic("news"), 403).await;
    root.stream(&topic("news")).await;
    app.user("ann")
        .post(&topic("news"), json!(1))
        .await
        .expect(403);
    for client in [app.guest(), app.user("ann")] {
        let row = json!({"name": "news"});
        client.try_create("_topics", row).await.expect(404);
    }
    assert_eq!(names().await, (false, false));
    assert_eq!(
        root.get("/api/collections/users").await.expect(200),
        users_before
    );
    publish(&root, "news", json!(1)).await;
    assert_eq!(names().await, (true, true));
    let rows = root.list("_topics", &[("sort", "@rowid")]).await;
    assert_eq!(rows["totalItems"], json!(12));
    let rules: Vec<_> = rows["items"]
        .as_array()
        .unwrap()
        .iter()
        .take(2)
        .cloned()
        .collect();
    assert_eq!(rules[0]["subscribeRule"], json!(""));
    assert_eq!(rules[1]["subscribeRule"], json!("@request.auth.id != ''"));
    assert_eq!(rules[1]["publishRule"], Value::Null);
    app.user("ann").stream(&topic("sales")).await;
    app.guest().no_stream(&topic("sales"), 403).await;
}

#[tokio::test]
async fn a_directory_of_pocketbase_keeps_its_users() {
    let app = TestApp::new().start().await;
    let root = app.superuser();
    root.post(
        "/api/sql",
        json!({"query": "DELETE FROM _rotunda_migrations"}),
    )
    .await
    .expect(200);
    publish(&root, "news", json!(1)).await;
    root.get("/api/collections/_topics").await.expect(200);
    let fields = |users: Value| column(&users["fields"], "name").to_string();
    let users = root.get("/api/collections/users").await.expect(200);
    assert!(!fields(users).contains("presence"));
    // A module that is enabled there adds them.
    ensure_presence(app.engine().unwrap()).await.unwrap();
    ensure_presence(app.engine().unwrap()).await.unwrap();
    let users = root.get("/api/collections/users").await.expect(200);
    assert!(fields(users).contains("presence"));
}

#[tokio::test]
async fn the_first_topic_row_finds_its_collection() {
    let app = TestApp::new().start().await;
    let row = make_topic(&app, "news", json!(""), Value::Null).await;
    assert_eq!(row["name"], json!("news"));
    app.guest().stream(&topic("news")).await;
}

#[tokio::test]
async fn a_collection_of_another_kind_is_left_alone() {
    let app = TestApp::new().start().await;
    let other = json!({"name": "notifications", "type": "base", "fields": [{"name": "text", "type": "text"}]});
    let before = app.collection(other).await;
    publish(&app.superuser(), "news", json!(1)).await;
    let root = app.superuser();
    root.get("/api/collections/_topics").await.expect(200);
    assert_eq!(
        root.get("/api/collections/notifications").await.expect(200),
        before
    );
    let answer = app
        .user("ann")
        .get("/api/user/notifications")
        .await
        .expect(200);
    assert_eq!(answer["notifications"], json!([]));
}

#[tokio::test]
async fn rules_decide_by_who_asks() {
    let app = TestApp::new().start().await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    make_topic(&app, "all", json!(""), json!("@request.auth.id != ''")).await;
    let own = json!(format!("@request.auth.id = '{}'", ann.id));
    make_topic(&app, "own", own.clone(), own).await;
    make_topic(
        &app,
        "named",
        json!("@request.auth.name = 'bob'"),
        Value::Null,
    )
    .await;
    let by_row = json!("name = 'row' && @request.auth.id != ''");
    make_topic(&app, "row", by_row, Value::Null).await;
    for (client, may) in [
        (app.guest(), [true, false, false, false]),
        (ann.clone(), [true, true, false, true]),
        (bob.clone(), [true, false, true, true]),
        (app.superuser(), [true; 4]),
    ] {
        for (name, may) in ["all", "own", "named", "row"].iter().zip(may) {
            if may {
                client.stream(&topic(name)).await;
            } else {
                client.no_stream(&topic(name), 403).await;
            }
        }
    }
    for (client, name, status) in [
        (&app.guest(), "all", 403),
        (&ann, "all", 200),
        (&ann, "own", 200),
        (&bob, "own", 403),
        (&bob, "named", 403),
        (&app.superuser(), "named", 200),
    ] {
        client.post(&topic(name), json!(1)).await.expect(status);
    }
}

#[tokio::test]
async fn a_forbidden_topic_among_several_is_forbidden() {
    let app = app_with_news().await;
    make_topic(&app, "closed", Value::Null, Value::Null).await;
    app.guest()
        .no_stream("/api/events?topics=news,closed", 403)
        .await;
    app.guest()
        .no_stream("/api/events?topics=news,unknown", 403)
        .await;
    app.guest().stream("/api/events?topics=news").await;
}

#[tokio::test]
async fn changed_rules_hold_at_once_for_open_streams_too() {
    let app = app_with_news().await;
    let root = app.superuser();
    let row = root.list("_topics", &[("filter", "name = 'news'")]).await["items"][0].clone();
    let id = row["id"].as_str().unwrap();
    let mut one = app.guest().stream(&topic("news")).await.placed().await;
    make_topic(&app, "other", json!(""), Value::Null).await;
    let mut several = app.guest().stream("/api/events?topics=other,news").await;
    // Of no concern to subscribers.
    root.update("_topics", id, json!({"publishRule": null}))
        .await;
    app.guest().post(&topic("news"), json!(1)).await.expect(403);
    publish(&root, "news", json!(1)).await;
    assert_eq!(one.json().await, json!(1));
    root.update(
        "_topics",
        id,
        json!({"subscribeRule": "@request.auth.id != ''"}),
    )
    .await;
    assert_eq!(one.rest().await, []);
    several.rest().await;
    app.guest().no_stream(&topic("news"), 403).await;
    let mut ann = app.user("ann").stream(&topic("news")).await.placed().await;
    root.delete(&format!("/api/collections/_topics/records/{id}"))
        .await
        .expect(204);
    assert_eq!(ann.rest().await, []);
    app.user("ann").no_stream(&topic("news"), 403).await;
}

#[tokio::test]
async fn rows_are_checked() {
    let app = app_with_news().await;
    let root = app.superuser();
    for (row, error) in [
        (json!({}), "name: validation_required"),
        (json!({"name": "@user/x"}), "name: validation_invalid_topic"),
        (json!({"name": "a\nb"}), "name: validation_invalid_topic"),
        (
            json!({"name": "x".repeat(300)}),
            "name: validation_max_text_constraint",
        ),
        (
            json!({"name": "a", "subscribeRule": "nonsense ="}),
            "subscribeRule: validation_invalid_rule",
        ),
        (
            json!({"name": "a", "publishRule": "missing_field = 1"}),
            "publishRule: validation_invalid_rule",
        ),
        (
            json!({"name": "a", "publishRule": 7}),
            "publishRule: validation_invalid_rule",
        ),
        (
            json!({"name": "a", "publishRule": {"a": 1}}),
            "publishRule: validation_invalid_rule",
        ),
        (json!({"name": "news"}), "name: validation_not_unique"),
    ] {
        let answer = root.try_create("_topics", row.clone()).await;
        answer.expect(400);
        assert!(
            answer.errors().contains(&error.to_owned()),
            "{row}: {answer:?}"
        );
    }
    for client in [app.guest(), app.user("ann")] {
        client
            .try_create("_topics", json!({"name": "mine"}))
            .await
            .expect(403);
        client
            .get("/api/collections/_topics/records")
            .await
            .expect(403);
    }
}

#[tokio::test]
async fn events_for_some_are_seen_by_those_now_and_later() {
    let app = TestApp::new().start().await;
    make_topic(&app, "orders", json!("@request.auth.id != ''"), Value::Null).await;
    let (ann, bob, carl) = (app.user("ann"), app.user("bob"), app.user("carl"));
    let mut open = Vec::new();
    for client in [&ann, &bob, &carl, &app.superuser()] {
        open.push(client.stream(&topic("orders")).await.placed().await);
    }
    let starts: Vec<String> = open.iter().map(|stream| stream.last_id.clone()).collect();
    let order = |n: i64| Publication::new("orders", &json!({"n": n})).unwrap();
    app.live()
        .send(order(1).for_users([ann.id.as_str(), bob.id.as_str()]))
        .unwrap();
    app.live()
        .send(order(2).for_users([bob.id.as_str()]))
        .unwrap();
    app.live().send(order(3)).unwrap();
    let expected = [vec![1, 3], vec![1, 2, 3], vec![3], vec![1, 2, 3]];
    for (stream, expected) in open.iter_mut().zip(&expected) {
        for n in expected {
            assert_eq!(stream.json().await, json!({"n": n}));
        }
    }
    drop(open);
    for ((client, start), expected) in [&ann, &bob, &carl, &app.superuser()]
        .iter()
        .zip(&starts)
        .zip(&expected)
    {
        let mut stream = client.resume(&topic("orders"), start).await;
        for n in expected {
            let message = stream.next().await;
            assert_eq!(
                (message.name.as_str(), message.json()),
                ("message", json!({"n": n}))
            );
        }
    }
}

#[tokio::test]
async fn what_is_taken_back_is_not_replayed() {
    let app = app_with_news().await;
    let mut stream = app.guest().stream(&topic("news")).await.placed().await;
    let start = stream.last_id.clone();
    for (n, key) in [(1, "post/a"), (2, "post/b"), (3, "post/a")] {
        let event = Publication::new("news", &json!(n)).unwrap().keyed(key);
        app.live().send(event).unwrap();
    }
    assert_eq!(stream.many(3).await, [json!(1), json!(2), json!(3)]);
    app.live().retract("news", "post/a");
    publish(&app.guest(), "news", json!(4)).await;
    let mut again = app.guest().resume(&topic("news"), &start).await;
    assert_eq!(again.many(2).await, [json!(2), json!(4)]);
}

#[tokio::test]
async fn a_stream_ends_when_the_record_that_its_rule_read_changes() {
    let app = TestApp::new().start().await;
    make_topic(
        &app,
        "verified",
        json!("@request.auth.verified = true"),
        Value::Null,
    )
    .await;
    let (ann, root) = (app.user("ann"), app.superuser());
    root.update("users", &ann.id, json!({"verified": true}))
        .await;
    let mut stream = ann.stream(&topic("verified")).await.placed().await;
    root.update("users", &ann.id, json!({"verified": false}))
        .await;
    assert!(stream.rest().await.is_empty());
    ann.no_stream(&topic("verified"), 403).await;
}

#[tokio::test]
async fn topics_are_refused_that_nobody_could_use() {
    let app = app_with_news().await;
    let root = app.superuser();
    for (row, field) in [
        (json!({"name": " "}), "name"),
        (json!({"name": "a,b"}), "name"),
        (
            json!({"name": "a", "subscribeRule": "@request.headers.x_a = '1'"}),
            "subscribeRule",
        ),
        (
            json!({"name": "a", "publishRule": "@request.body.x = 1"}),
            "publishRule",
        ),
    ] {
        let refused = root.try_create("_topics", row.clone()).await.expect(400);
        assert!(refused["data"].get(field).is_some(), "{row}: {refused}");
    }
}
