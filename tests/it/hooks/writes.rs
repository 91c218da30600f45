//! Scripts in the write chain: transactions, rollbacks, and waits that depend on each other.

use futures_util::future::join_all;
use serde_json::json;

use super::open_collection;
use crate::support::TestApp;

#[tokio::test]
async fn a_handler_changes_the_record_and_sees_what_was_saved() {
    let app = TestApp::new()
        .hook(
            "a.js",
            r#"
            onRecordCreate((e) => {
                e.record.set("name", e.record.get("name") + "!");
                e.next();
                e.record.set("count", e.record.id.length);
                $app.save(e.record);
            }, "things");
            "#,
        )
        .start()
        .await;
    open_collection(&app, "things").await;
    let thing = app.guest().create("things", json!({"name": "a"})).await;
    let id = thing["id"].as_str().unwrap();
    let stored = app.guest().view("things", id).await;
    assert_eq!(
        (&stored["name"], &stored["count"]),
        (&json!("a!"), &json!(15))
    );
}

#[tokio::test]
async fn a_throw_at_any_point_of_the_chain_leaves_nothing() {
    for (before, after) in [
        ("throw new BadRequestError('no')", ""),
        ("", "throw new Error('no')"),
    ] {
        let script = format!(
            r#"
            onRecordCreate((e) => {{
                const other = $app.findRecordById("things", "other0000000000");
                other.set("count+", 1);
                $app.save(other);
                {before}
                e.next();
                {after}
            }}, "posts");
            "#
        );
        let app = TestApp::new().hook("a.js", &script).start().await;
        open_collection(&app, "things").await;
        open_collection(&app, "posts").await;
        let other = json!({"id": "other0000000000", "count": 1});
        app.guest().create("things", other).await;
        let answer = app
            .guest()
            .post("/api/collections/posts/records", json!({"name": "x"}))
            .await;
        answer.expect(400);
        assert_eq!(app.guest().list("posts", &[]).await["totalItems"], json!(0));
        let other = app.guest().view("things", "other0000000000").await;
        assert_eq!(other["count"], json!(1));
    }
}

/// A request hook that saves blocks the script thread on the writer, while the writer waits for hooks of other requests
/// on that thread.
#[tokio::test]
async fn scripts_that_wait_for_the_writer_serve_the_hooks_of_the_writer() {
    let app = TestApp::new()
        .hook(
            "a.js",
            r#"
            function bump(field) {
                $app.runInTransaction((txApp) => {
                    const stats = txApp.findRecordById("stats", "stats0000000000");
                    stats.set(field + "+", 1);
                    txApp.save(stats);
                });
            }
            onRecordCreateRequest((e) => { bump("requests"); e.next(); }, "things");
            onRecordCreate((e) => { bump("before"); e.next(); bump("after"); }, "things");
            onRecordAfterCreateSuccess((e) => { bump("successes"); e.next(); }, "things");
            onRecordUpdate((e) => { e.record.set("nested+", 1); e.next(); }, "stats");
            "#,
        )
        .start()
        .await;
    open_collection(&app, "things").await;
    let numbers = ["requests", "before", "after", "successes", "nested"];
    let fields: Vec<_> = numbers
        .iter()
        .map(|name| json!({"name": name, "type": "number"}))
        .collect();
    app.collection(json!({"name": "stats", "type": "base", "viewRule": "", "fields": fields}))
        .await;
    let stats = json!({"id": "stats0000000000"});
    app.superuser().create("stats", stats).await;
    let creates = (0..40).map(|n| {
        let client = app.guest();
        async move {
            client
                .create("things", json!({"name": n.to_string()}))
                .await
        }
    });
    join_all(creates).await;
    let stats = app.guest().view("stats", "stats0000000000").await;
    for (name, expected) in numbers.into_iter().zip([40, 40, 40, 40, 160]) {
        assert_eq!(stats[name], json!(expected), "{name} of {stats}");
    }
}

#[tokio::test]
async fn a_script_that_loops_is_stopped_and_harms_no_other_write() {
    let app = TestApp::new()
        .with(|config| config.hooks.timeout = std::time::Duration::from_millis(300))
        .hook(
            "loop.js",
            "onRecordCreate((e) => { for (;;) {} }, 'posts');",
        )
        .hook("fine.js", "onRecordCreate((e) => e.next(), 'things');")
        .start()
        .await;
    open_collection(&app, "things").await;
    open_collection(&app, "posts").await;
    let stuck = app.guest();
    let stuck = async {
        stuck
            .post("/api/collections/posts/records", json!({}))
            .await
    };
    let things = (0..20).map(|_| {
        let client = app.guest();
        async move { client.create("things", json!({"name": "x"})).await }
    });
    let (answer, things) = futures_util::join!(stuck, join_all(things));
    answer.expect(400);
    assert_eq!(things.len(), 20);
    assert_eq!(app.guest().list("posts", &[]).await["totalItems"], json!(0));
}

#[tokio::test]
async fn hooks_that_call_each_other_without_end_are_an_error() {
    let app = TestApp::new()
        .hook(
            "a.js",
            r#"
            onRecordUpdate((e) => {
                e.next();
                const again = $app.findRecordById("things", e.record.id);
                again.set("count+", 1);
                $app.save(again);
            }, "things");
            "#,
        )
        .start()
        .await;
    open_collection(&app, "things").await;
    let thing = app.guest().create("things", json!({"name": "x"})).await;
    let path = format!(
        "/api/collections/things/records/{}",
        thing["id"].as_str().unwrap()
    );
    app.guest()
        .patch(&path, json!({"name": "y"}))
        .await
        .expect(400);
    assert_eq!(
        app.guest()
            .view("things", thing["id"].as_str().unwrap())
            .await["name"],
        json!("x")
    );
}
