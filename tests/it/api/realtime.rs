//! Live events: who gets which, when and in which order.
//!
//! That an event does not come is shown by a later one that does: events of one stream keep the order of the commits.

use serde_json::{Value, json};

use crate::support::fields::{closed, field, number, open, relation, text, with};
use crate::support::{Client, Events, PASSWORD, TestApp, all, is_peer, record, with_options};

/// A collection for everybody.
async fn posts(app: &TestApp) -> Client {
    app.collection(open(
        "posts",
        [
            text("title"),
            number("n"),
            field("text", "secret", json!({"hidden": true})),
        ],
    ))
    .await;
    app.guest()
}

fn said(action: &str, value: impl Into<Value>) -> (String, Value) {
    (action.to_owned(), value.into())
}

/// The titles of the next events up to the one titled `end`, which the caller has made last.
async fn heard_before_end(events: &mut Events) -> Vec<(String, Value)> {
    let mut heard = Vec::new();
    loop {
        let event = events.next().await.says("title");
        if event.1 == "end" {
            return heard;
        }
        heard.push(event);
    }
}

#[tokio::test]
async fn creates_updates_and_deletes_are_heard() {
    let app = TestApp::new().start().await;
    let guest = posts(&app).await;
    let mut all_of_it = guest.listen(&["posts/*"]).await;
    let mut by_name = guest.listen(&["posts"]).await;
    let id = guest.create_id("posts", json!({"title": "a"})).await;
    let mut one = guest.listen(&[&format!("posts/{id}")]).await;
    guest.update("posts", &id, json!({"title": "b"})).await;
    guest.create("posts", json!({"title": "other"})).await;
    guest.delete(&record("posts", &id)).await.expect(204);
    let whole = [
        said("create", "a"),
        said("update", "b"),
        said("create", "other"),
        said("delete", "b"),
    ];
    assert_eq!(all_of_it.next_say(4, "title").await, whole);
    assert_eq!(by_name.next_say(4, "title").await, whole);
    assert_eq!(
        one.next_say(2, "title").await,
        [said("update", "b"), said("delete", "b")]
    );
}

#[tokio::test]
async fn an_event_shows_the_record_as_its_subscriber_may_see_it() {
    let app = TestApp::new().start().await;
    let guest = posts(&app).await;
    let root = app.superuser();
    let mut open_ear = guest.listen(&["posts/*"]).await;
    let mut root_ear = root.listen(&["posts/*"]).await;
    let made = root
        .create("posts", json!({"title": "a", "n": 2, "secret": "s"}))
        .await;
    let event = open_ear.next().await;
    assert_eq!(event.name, "posts/*");
    let mut visible = made.clone();
    visible.as_object_mut().unwrap().remove("secret");
    assert_eq!(event.data, json!({"action": "create", "record": visible}));
    assert_eq!(root_ear.next().await.data["record"], made);
}

#[tokio::test]
async fn addresses_are_heard_by_those_concerned() {
    let app = TestApp::new().start().await;
    app.superuser()
        .patch(
            "/api/collections/users",
            json!({"viewRule": "", "listRule": ""}),
        )
        .await
        .expect(200);
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let mut ears = [
        ann.listen(&["users/*"]).await,
        bob.listen(&["users/*"]).await,
    ];
    ann.update("users", &ann.id, json!({"name": "Ann"})).await;
    let [own, other] = &mut ears;
    assert_eq!(own.next().await.data["record"]["email"], "ann@example.com");
    let shown = other.next().await.data["record"].clone();
    assert_eq!(
        (&shown["name"], shown.get("email"), shown.get("tokenKey")),
        (&json!("Ann"), None, None)
    );
}

#[tokio::test]
async fn rules_are_asked_for_each_subscriber() {
    let app = TestApp::new().start().await;
    let users = app
        .superuser()
        .get("/api/collections/users")
        .await
        .expect(200);
    let rules = json!({"listRule": "owner = @request.auth.id || title = 'end'", "viewRule": "title = 'viewed' || title = 'end'"});
    let notes = closed(
        "notes",
        [text("title"), relation("owner", &users, json!({}))],
    );
    app.collection(with(notes, rules)).await;
    let (ann, bob, guest, root) = (
        app.user("ann"),
        app.user("bob"),
        app.guest(),
        app.superuser(),
    );
    let mut ears = Vec::new();
    for client in [&ann, &bob, &guest, &root] {
        ears.push(client.listen(&["notes/*"]).await);
    }
    let id = root
        .create_id("notes", json!({"title": "anns", "owner": ann.id}))
        .await;
    let mut viewer = guest.listen(&[&format!("notes/{id}")]).await;
    root.create("notes", json!({"title": "bobs", "owner": bob.id}))
        .await;
    root.update("notes", &id, json!({"title": "viewed"})).await;
    root.update("notes", &id, json!({"owner": bob.id})).await;
    root.update("notes", &id, json!({"title": "end"})).await;
    let expected = [
        vec![said("create", "anns"), said("update", "viewed")],
        vec![said("create", "bobs"), said("update", "viewed")],
        vec![],
        vec![
            said("create", "anns"),
            said("create", "bobs"),
            said("update", "viewed"),
            said("update", "viewed"),
        ],
    ];
    for (events, expected) in ears.iter_mut().zip(expected) {
        assert_eq!(heard_before_end(events).await, expected);
    }
    let expected = [said("update", "viewed"), said("update", "viewed")];
    assert_eq!(heard_before_end(&mut viewer).await, expected);

    root.patch("/api/collections/notes", json!({"listRule": null}))
        .await
        .expect(200);
    root.create("notes", json!({"title": "locked"})).await;
    root.patch("/api/collections/notes", json!({"listRule": ""}))
        .await
        .expect(200);
    root.create("notes", json!({"title": "end"})).await;
    assert_eq!(heard_before_end(&mut ears[2]).await, []);
    assert_eq!(
        heard_before_end(&mut ears[3]).await,
        [said("create", "locked")]
    );
}

#[tokio::test]
async fn writes_that_fail_are_not_heard() {
    let app = TestApp::new().start().await;
    let unique = json!({"indexes": ["CREATE UNIQUE INDEX `idx_title` ON `posts` (`title`)"]});
    let posts = app
        .collection(with(open("posts", [text("title")]), unique))
        .await;
    app.collection(open(
        "holders",
        [relation("post", &posts, json!({"required": true}))],
    ))
    .await;
    let guest = app.guest();
    let id = guest.create_id("posts", json!({"title": "a"})).await;
    guest.create("holders", json!({"post": id})).await;
    let mut events = guest.listen(&["posts/*", "holders/*"]).await;
    guest
        .try_create("posts", json!({"title": "a"}))
        .await
        .expect(400);
    let other = guest.create_id("posts", json!({"title": "b"})).await;
    guest
        .patch(&record("posts", &other), json!({"title": "a"}))
        .await
        .expect(400);
    guest.delete(&record("posts", &id)).await.expect(400);
    let creates =
        (0..20).map(|n| guest.try_create("posts", json!({"title": format!("t{}", n / 2)})));
    let made = all(creates)
        .await
        .iter()
        .filter(|answer| answer.status == 200)
        .count();
    assert_eq!(made, 10);
    guest.create("posts", json!({"title": "end"})).await;
    let heard = heard_before_end(&mut events).await;
    assert_eq!(heard[0], said("create", "b"));
    let mut titles: Vec<_> = heard[1..]
        .iter()
        .map(|(_, title)| title.as_str().unwrap())
        .collect();
    titles.sort_unstable();
    assert_eq!(
        titles,
        ["t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9"]
    );
}

#[tokio::test]
async fn a_cascade_is_heard_record_by_record() {
    let app = TestApp::new().start().await;
    let posts = app.collection(open("posts", [text("title")])).await;
    let parent = relation("post", &posts, json!({"cascadeDelete": true}));
    app.collection(open("comments", [parent, text("title")]))
        .await;
    let guest = app.guest();
    let id = guest.create_id("posts", json!({"title": "p"})).await;
    for title in ["c1", "c2"] {
        guest
            .create("comments", json!({"title": title, "post": id}))
            .await;
    }
    let mut events = guest.listen(&["posts/*", "comments/*"]).await;
    guest.delete(&record("posts", &id)).await.expect(204);
    let mut heard = events.next_say(3, "title").await;
    heard.sort_by_key(|(_, title)| title.to_string());
    assert_eq!(
        heard,
        [
            said("delete", "c1"),
            said("delete", "c2"),
            said("delete", "p")
        ]
    );
}

#[tokio::test]
async fn events_leave_in_the_order_of_the_commits() {
    if is_peer() {
        return; // it promises no order
    }
    let app = TestApp::new().start().await;
    let guest = posts(&app).await;
    app.superuser()
        .patch("/api/collections/posts", json!({"listRule": "n >= 0"}))
        .await
        .expect(200);
    let id = guest.create_id("posts", json!({"title": "counter"})).await;
    let mut ears = [
        guest.listen(&["posts/*"]).await,
        guest.listen(&["posts/*"]).await,
    ];
    let path = record("posts", &id);
    all((0..60).map(|_| guest.patch(&path, json!({"n+": 1})))).await;
    // Each update made a sum that tells its place among the commits.
    let expected: Vec<_> = (1..=60).map(|n| said("update", n)).collect();
    for events in &mut ears {
        assert_eq!(events.next_say(60, "n").await, expected);
    }
}

#[tokio::test]
async fn the_events_of_a_short_life_are_all_heard() {
    if is_peer() {
        return; // it promises no order
    }
    let app = TestApp::new().start().await;
    let guest = posts(&app).await;
    let rule = json!({"listRule": "title != '' && @collection.users.name ?= 'ann'"});
    app.superuser()
        .patch("/api/collections/posts", rule)
        .await
        .expect(200);
    let mut events = guest.listen(&["posts/*"]).await;
    let lives = (0..10).map(|n| {
        let guest = guest.clone();
        async move {
            let title = format!("t{n}");
            let id = guest.create_id("posts", json!({"title": title})).await;
            guest.update("posts", &id, json!({"n": 1})).await;
            guest.delete(&record("posts", &id)).await.expect(204);
        }
    });
    all(lives).await;
    let heard = events.next_say(30, "title").await;
    for n in 0..10 {
        let title = format!("t{n}");
        let life: Vec<_> = heard
            .iter()
            .filter(|(_, of)| *of == title)
            .map(|(action, _)| action.as_str())
            .collect();
        assert_eq!(life, ["create", "update", "delete"]);
    }
}

#[tokio::test]
async fn what_an_event_tells_can_be_read() {
    let app = TestApp::new().start().await;
    let guest = posts(&app).await;
    let mut events = guest.listen(&["posts/*"]).await;
    for n in 0..20 {
        let (made, event) = tokio::join!(guest.create("posts", json!({"n": n})), async {
            let event = events.next().await;
            // The event may come before the answer; the record must be there nonetheless.
            let id = event.data["record"]["id"].as_str().unwrap().to_owned();
            guest.view("posts", &id).await
        });
        assert_eq!(made, event);
    }
}

#[tokio::test]
async fn options_filter_expand_and_pick() {
    let app = TestApp::new().start().await;
    let users = app
        .superuser()
        .get("/api/collections/users")
        .await
        .expect(200);
    app.superuser()
        .patch(
            "/api/collections/users",
            json!({"viewRule": "name = 'ann'"}),
        )
        .await
        .expect(200);
    let owner = relation("owner", &users, json!({}));
    app.collection(open("posts", [text("title"), number("n"), owner]))
        .await;
    let (guest, ann, bob) = (app.guest(), app.user("ann"), app.user("bob"));
    let filtered = with_options(
        "posts/*",
        &json!({"query": {"filter": "n > 5 || title = 'end'"}}),
    );
    let picked = with_options(
        "posts/*",
        &json!({"query": {"expand": "owner", "fields": "title,expand.owner.name"}}),
    );
    let broken = with_options("posts/*", &json!({"query": {"filter": "none ="}}));
    let probing = with_options(
        "posts/*",
        &json!({"query": {"filter": "@collection.users.name ?= 'ann'"}}),
    );
    let mut filtered_ear = guest.listen(&[&filtered]).await;
    let mut picked_ear = guest.listen(&[&picked]).await;
    let mut refused_ear = guest.listen(&[&broken, &probing, "posts"]).await;
    guest
        .create("posts", json!({"title": "low", "n": 1, "owner": ann.id}))
        .await;
    guest
        .create("posts", json!({"title": "high", "n": 9, "owner": bob.id}))
        .await;
    guest.create("posts", json!({"title": "end"})).await;
    assert_eq!(
        heard_before_end(&mut filtered_ear).await,
        [said("create", "high")]
    );
    let mut seen = Vec::new();
    for _ in 0..3 {
        let event = picked_ear.next().await;
        assert_eq!(event.name, picked);
        seen.push(event.data["record"].clone());
    }
    assert_eq!(
        seen[0],
        json!({"title": "low", "expand": {"owner": {"name": "ann"}}})
    );
    assert_eq!(
        (&seen[1]["title"], &seen[2]["title"]),
        (&json!("high"), &json!("end"))
    );
    assert_eq!(
        seen[1]["expand"].get("owner"),
        None,
        "the view rule hides bob"
    );
    let names = [refused_ear.next().await.name, refused_ear.next().await.name];
    assert_eq!(
        names,
        ["posts", "posts"],
        "filters that are broken or pry hear nothing"
    );
}

#[tokio::test]
async fn options_are_seen_by_rules() {
    let app = TestApp::new().start().await;
    let rule = json!({"listRule": "@request.query.key = 'k' && @request.headers.x_door = 'open' && @request.context = 'realtime'"});
    app.collection(with(open("posts", [text("title")]), rule))
        .await;
    let guest = app.guest();
    let knock = |door: &str| {
        with_options(
            "posts/*",
            &json!({"query": {"key": "k"}, "headers": {"X-Door": door}}),
        )
    };
    let mut events = guest.listen(&[&knock("shut"), &knock("open")]).await;
    guest.create("posts", json!({"title": "a"})).await;
    guest.create("posts", json!({"title": "b"})).await;
    assert_eq!(events.next().await.name, knock("open"));
    assert_eq!(events.next().await.says("title"), said("create", "b"));
}

#[tokio::test]
async fn other_subscriptions_replace_the_first() {
    let app = TestApp::new().start().await;
    let guest = posts(&app).await;
    app.collection(open("others", [text("title")])).await;
    let mut events = guest.listen(&["posts/*", "others/*"]).await;
    guest.create("posts", json!({"title": "one"})).await;
    assert_eq!(events.next().await.says("title"), said("create", "one"));
    events.subscribe(&["others/*"]).await.expect(204);
    guest.create("posts", json!({"title": "unheard"})).await;
    guest.create("others", json!({"title": "end"})).await;
    assert_eq!(heard_before_end(&mut events).await, []);
    events.subscribe(&[]).await.expect(204);
    guest.create("others", json!({"title": "unheard"})).await;
    events
        .subscribe(&["others/*", "others/*"])
        .await
        .expect(204);
    guest.create("others", json!({"title": "end"})).await;
    assert_eq!(heard_before_end(&mut events).await, []);
}

#[tokio::test]
async fn an_ended_token_ends_what_it_heard() {
    let app = TestApp::new().start().await;
    let rule = json!({"listRule": "@request.auth.id != '' || title = 'end'"});
    app.collection(with(open("posts", [text("title")]), rule))
        .await;
    let (ann, bob, root) = (app.user("ann"), app.user("bob"), app.superuser());
    let mut ears = [
        ann.listen(&["posts/*"]).await,
        bob.listen(&["posts/*"]).await,
    ];
    root.create("posts", json!({"title": "both"})).await;
    let change =
        json!({"oldPassword": PASSWORD, "password": "another-1", "passwordConfirm": "another-1"});
    ann.patch(&record("users", &ann.id), change)
        .await
        .expect(200);
    root.create("posts", json!({"title": "bob alone"})).await;
    root.delete(&record("users", &bob.id)).await.expect(204);
    root.create("posts", json!({"title": "nobody"})).await;
    root.create("posts", json!({"title": "end"})).await;
    let expected = [
        vec![said("create", "both")],
        vec![said("create", "both"), said("create", "bob alone")],
    ];
    for (events, expected) in ears.iter_mut().zip(expected) {
        assert_eq!(heard_before_end(events).await, expected);
    }
}

#[tokio::test]
async fn subscriptions_are_guarded() {
    let app = TestApp::new().start().await;
    let guest = posts(&app).await;
    let (ann, bob) = (app.user("ann"), app.user("bob"));
    let events = ann.listen(&["posts/*"]).await;
    events.subscribe_as(&bob, &["posts/*"]).await.expect(403);
    events.subscribe_as(&guest, &["posts/*"]).await.expect(403);
    events.subscribe_as(&ann, &["posts"]).await.expect(204);
    let path = "/api/realtime";
    guest
        .post(
            path,
            json!({"clientId": "none", "subscriptions": ["posts/*"]}),
        )
        .await
        .expect(404);
    let blank = guest
        .post(path, json!({"subscriptions": ["posts/*"]}))
        .await;
    blank.refuses(&[("clientId", "validation_required")]);
    let own = |subscriptions: Value| json!({"clientId": events.client_id, "subscriptions": subscriptions});
    let long = ann.post(path, own(json!(["x".repeat(2501)]))).await;
    long.refuses(&[("subscriptions.0", "validation_length_too_long")]);
    let many: Vec<_> = (0..1001).map(|n| n.to_string()).collect();
    let many = ann.post(path, own(json!(many))).await;
    many.refuses(&[("subscriptions", "validation_length_too_long")]);
    for odd in [json!([1]), json!({"a": 1}), json!(5)] {
        ann.post(path, own(odd)).await.expect(400);
    }
    for nothing in [
        "none/*",
        "",
        "*",
        "posts/none",
        "posts/*/x",
        "a\nevent:forged",
    ] {
        ann.post(path, own(json!([nothing]))).await.expect(204);
    }
}

#[tokio::test]
async fn a_client_that_went_away_is_forgotten() {
    let app = TestApp::new().start().await;
    let guest = posts(&app).await;
    let events = guest.listen(&["posts/*"]).await;
    let id = events.client_id.clone();
    drop(events);
    let body = json!({"clientId": id, "subscriptions": ["posts/*"]});
    crate::support::in_time("it to be forgotten", async {
        // The server sees the closed connection at the latest when it writes to it.
        while guest.post("/api/realtime", body.clone()).await.status != 404 {
            guest.create("posts", json!({"title": "knock"})).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_nobody_up() {
    let app = TestApp::new().start().await;
    let guest = app.guest();
    app.collection(open(
        "big",
        [field("text", "title", json!({"max": 200_000}))],
    ))
    .await;
    let lazy = guest.listen(&["big/*"]).await;
    let mut busy = guest.listen(&["big/*"]).await;
    // More than the buffers of a connection take, so that the lazy one's queue is full.
    let title = "x".repeat(100_000);
    let id = guest.create_id("big", json!({"title": title})).await;
    for n in 0..150 {
        guest
            .update("big", &id, json!({"title": format!("{n} {title}")}))
            .await;
        let heard = busy.next().await;
        assert_eq!(heard.data["record"]["id"], json!(id));
    }
    drop(lazy);
    guest.get("/api/health").await.expect(200);
}
