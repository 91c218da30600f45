//! The scripts in the repository.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{call, execute, script, until};
use crate::support::{Builder, TestApp};

const NAMES: [&str; 6] = [
    "greeting",
    "moderation",
    "nightly",
    "on-post-create",
    "rewards",
    "slugs",
];

/// A server with all of them.
fn shipped() -> Builder {
    let mut builder = TestApp::new();
    for folder in ["pb_hooks", "pb_modules"] {
        let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
        for entry in entries {
            let entry = entry.unwrap();
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            builder = builder.file(&path, &fs::read_to_string(entry.path()).unwrap());
        }
    }
    builder
}

async fn posts(app: &TestApp, rewards: bool) {
    let collection = |name: &str, fields: Value| {
        json!({"name": name, "type": "base", "listRule": "", "viewRule": "", "createRule": "", "updateRule": "",
            "deleteRule": "", "fields": fields})
    };
    let text = |name: &str| json!({"name": name, "type": "text"});
    app.collection(collection(
        "posts",
        json!([text("user"), text("title"), text("content"), text("slug"), {"name": "draft", "type": "bool"},
            {"name": "updated", "type": "autodate", "onCreate": true, "onUpdate": true}]),
    ))
    .await;
    if rewards {
        let fields = json!([text("user"), text("reason"), {"name": "points", "type": "number"}]);
        app.collection(collection("rewards", fields)).await;
    }
}

async fn no_errors(app: &TestApp) {
    for name in NAMES {
        let status = script(app, name).await;
        assert_eq!(
            (&status["is_running"], &status["errors"]),
            (&json!(true), &json!(0)),
            "{status}"
        );
    }
}

#[tokio::test]
async fn they_do_nothing_where_their_collections_are_missing() {
    let app = shipped().start().await;
    assert_eq!(
        call(&app, "nightly", "removeOldDrafts").await.expect(200)["result"],
        0
    );
    no_errors(&app).await;
}

#[tokio::test]
async fn posts_are_told_of_moderated_rewarded_and_named() {
    let app = shipped().start().await;
    posts(&app, true).await;
    let guest = app.guest();
    execute(&app, "storage.set('moderation.words', ['Rubbish'])").await;
    let refused = guest
        .try_create("posts", json!({"user": "ann", "title": "rubbish!"}))
        .await;
    let message = refused.expect(400)["message"].clone();
    assert!(
        message.as_str().unwrap().contains("not allowed"),
        "{message}"
    );
    let mut last = Value::Null;
    for n in 1..=10 {
        let title = format!("Été à la plage, n° {n}");
        last = guest
            .create("posts", json!({"user": "ann", "title": title}))
            .await;
    }
    let slug = last["slug"].as_str().unwrap();
    assert!(slug.starts_with("ete-a-la-plage-n-10-"), "{slug}");
    guest
        .create(
            "posts",
            json!({"user": "bob", "title": "first", "slug": "mine"}),
        )
        .await;
    let rewards = guest.list("rewards", &[]).await;
    assert_eq!(rewards["totalItems"], 1);
    assert_eq!(
        (&rewards["items"][0]["user"], &rewards["items"][0]["points"]),
        (&json!("ann"), &json!(100))
    );
    until("the count", async || {
        execute(&app, "return require('counter').get('posts')").await == 11
    })
    .await;
    let edit = guest
        .patch(
            &crate::support::record("posts", last["id"].as_str().unwrap()),
            json!({"content": "RUBBISH"}),
        )
        .await;
    edit.expect(400);
    no_errors(&app).await;
}

#[tokio::test]
async fn rewards_are_told_of_where_they_cannot_be_stored() {
    let app = shipped()
        .hook(
            "zz.js",
            "pubsub.subscribe('rewards', (reward) => storage.set('reward', reward))",
        )
        .start()
        .await;
    posts(&app, false).await;
    for _ in 0..10 {
        app.guest().create("posts", json!({"user": "ann"})).await;
    }
    until("the reward", async || {
        execute(&app, "return storage.get('reward')").await
            == json!({"user": "ann", "posts": 10, "points": 100})
    })
    .await;
    assert_eq!(app.guest().count("posts").await, 10);
    no_errors(&app).await;
}

#[tokio::test]
async fn the_route_greets_and_the_nightly_job_cleans() {
    let app = shipped().start().await;
    let hello = app.guest().get("/api/hello/ann").await.expect(200);
    assert_eq!(hello, json!({"message": "Hello, ann.", "greetings": 1}));
    posts(&app, false).await;
    for draft in [true, false, true] {
        app.guest()
            .create("posts", json!({"title": "x", "draft": draft}))
            .await;
    }
    assert_eq!(
        call(&app, "nightly", "removeOldDrafts").await.expect(200)["result"],
        0
    );
    let body = json!({"script_id": "nightly", "function": "removeOldDrafts", "args": [-1]});
    let removed = app.superuser().post("/api/scripts/function", body).await;
    assert_eq!(removed.expect(200)["result"], 2);
    assert_eq!(app.guest().count("posts").await, 1);
    let crons = app.superuser().get("/api/crons").await.expect(200);
    let mut crons = crons.as_array().unwrap().iter();
    assert!(
        crons.any(|cron| cron["id"] == "remove-old-drafts" && cron["expression"] == "0 3 * * *")
    );
    no_errors(&app).await;
}

#[tokio::test]
async fn the_modules_do_what_they_say() {
    let app = shipped().start().await;
    for (code, expected) in [
        (
            "const c = require('counter'); return [c.inc('a'), c.inc('a', 5), c.get('a'), c.get('b'), c.all(), c.reset('a'), c.get('a')]",
            json!([1, 6, 6, 0, {"a": 6}, true, 0]),
        ),
        (
            "const c = require('cache'); let made = 0; const make = () => ++made; return [c.remember('k', 60, make), c.remember('k', 60, make), c.set('s', 1, 0.02), c.get('s'), (sleep(40), c.get('s') === undefined), c.forget('k'), c.get('k') === undefined]",
            json!([1, 1, 1, 1, true, true, true]),
        ),
        (
            "const c = require('cache'); for (let i = 0; i < 1500; i++) c.set('n' + i, i); return [c.size(), c.get('n0') === undefined, c.get('n1499')]",
            json!([1000, true, 1499]),
        ),
        (
            "const l = require('logger')('t'); l.info('a', {b: 1}); l.level('error'); l.debug('no'); l.error('yes'); return Object.keys(l).length",
            json!(5),
        ),
    ] {
        assert_eq!(execute(&app, code).await, expected, "{code}");
    }
}
