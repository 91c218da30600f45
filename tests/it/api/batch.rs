//! Several writes in one transaction: all of them count, or none, with their files and events.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::fields::{field, file, number, open, with};
use crate::support::{Client, DEADLINE, Form, TestApp, all, record, records};

const BATCH: &str = "/api/batch";

/// Batches of up to ten requests are allowed, and a collection with a unique title, a number and files is there.
async fn app() -> (TestApp, Client) {
    let app = TestApp::new().start().await;
    let settings = json!({"batch": {"enabled": true, "maxRequests": 10, "timeout": 5}});
    app.superuser()
        .patch("/api/settings", settings)
        .await
        .expect(200);
    let fields = [
        field("text", "title", json!({"required": true})),
        number("n"),
        file("files", json!({"maxSelect": 3})),
    ];
    let unique = json!({"indexes": ["CREATE UNIQUE INDEX `idx_title` ON `posts` (`title`)"]});
    app.collection(with(open("posts", fields), unique)).await;
    let guest = app.guest();
    (app, guest)
}

fn create(title: &str) -> Value {
    json!({"method": "POST", "url": records("posts"), "body": {"title": title}})
}

fn update(id: &str, body: Value) -> Value {
    json!({"method": "PATCH", "url": record("posts", id), "body": body})
}

fn batch(requests: impl IntoIterator<Item = Value>) -> Value {
    json!({"requests": requests.into_iter().collect::<Vec<_>>()})
}

#[tokio::test]
async fn batches_are_off_until_a_superuser_allows_them() {
    let app = TestApp::new().start().await;
    let refused = app.guest().post(BATCH, batch([create("a")])).await;
    assert_eq!(
        refused.expect(403)["message"],
        "Batch requests are not allowed."
    );
}

#[tokio::test]
async fn each_request_is_answered_as_alone_and_events_follow_in_order() {
    let (_app, guest) = app().await;
    let id = guest.create_id("posts", json!({"title": "old"})).await;
    let mut events = guest.listen(&["posts/*"]).await;
    let requests = [
        create("a"),
        json!({"method": "PUT", "url": format!("{}?fields=title,n", records("posts")), "body": {"id": id, "title": "b", "n+": 2}}),
        update(&id, json!({"n+": 3})),
        json!({"method": "DELETE", "url": record("posts", &id)}),
    ];
    let answers = guest.post(BATCH, batch(requests)).await.expect(200);
    assert_eq!(answers[0]["body"]["title"], "a");
    assert_eq!(answers[1]["body"], json!({"title": "b", "n": 2}));
    assert_eq!(answers[2]["body"]["n"], 5);
    assert_eq!(answers[3]["body"], Value::Null);
    let status: Vec<_> = (0..4)
        .map(|index| answers[index]["status"].clone())
        .collect();
    assert_eq!(json!(status), json!([200, 200, 200, 204]));
    let said = events.next_say(4, "title").await;
    let expected = [
        ("create", "a"),
        ("update", "b"),
        ("update", "b"),
        ("delete", "b"),
    ];
    assert_eq!(
        said,
        expected.map(|(action, title)| (action.to_owned(), json!(title)))
    );
}

#[tokio::test]
async fn a_refused_batch_leaves_no_row_no_file_and_no_event() {
    let (app, guest) = app().await;
    let id = guest.create_id("posts", json!({"title": "old"})).await;
    let mut events = guest.listen(&["posts/*"]).await;
    let requests = [
        create("a"),
        update(&id, json!({"title": "new"})),
        create("a"),
    ];
    let form = Form::default()
        .text("@jsonPayload", batch(requests).to_string())
        .file("requests.0.files", "a.txt", "a")
        .file("requests[1].files", "b.txt", "b");
    let refused = guest.form(Method::POST, BATCH, form).await;
    let data = refused.expect(400)["data"]["requests"].clone();
    assert_eq!(
        data["2"]["response"]["data"]["title"]["code"],
        "validation_not_unique"
    );
    assert_eq!(data.as_object().unwrap().len(), 1);
    assert_eq!(guest.column("posts", "title", &[]).await, json!(["old"]));
    let started = Instant::now();
    while !app.stored_files().is_empty() {
        assert!(started.elapsed() < DEADLINE, "files stay behind");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    guest.create("posts", json!({"title": "later"})).await;
    let said = events.next_say(1, "title").await;
    assert_eq!(said, [("create".to_owned(), json!("later"))]);
}

#[tokio::test]
async fn files_go_to_their_requests() {
    let (app, guest) = app().await;
    let requests = [create("a"), create("b")];
    let form = Form::default()
        .text("@jsonPayload", batch(requests).to_string())
        .file("requests.0.files", "one.txt", "1")
        .file("requests.0.files", "two.txt", "2")
        .file("requests[1].files", "three.txt", "3")
        .file("requests.7.files", "none.txt", "0");
    let answers = guest.form(Method::POST, BATCH, form).await.expect(200);
    let names = |index: usize| answers[index]["body"]["files"].as_array().unwrap().clone();
    assert_eq!((names(0).len(), names(1).len()), (2, 1));
    assert!(names(1)[0].as_str().unwrap().starts_with("three_"));
    assert_eq!(app.stored_files().len(), 3);
}

#[tokio::test]
async fn concurrent_batches_lose_no_update() {
    let (_app, guest) = app().await;
    let made = [
        guest.create_id("posts", json!({"title": "a"})).await,
        guest.create_id("posts", json!({"title": "b"})).await,
    ];
    // Half of them go wrong after the first update.
    let batches = (0..20).map(|index| {
        let last = if index % 2 == 0 { &made[1] } else { "missing" };
        let requests = [
            update(&made[0], json!({"n+": 1})),
            update(last, json!({"n+": 1})),
        ];
        guest.post(BATCH, batch(requests))
    });
    let answers: Vec<_> = batches.collect();
    let statuses: Vec<u16> = all(answers)
        .await
        .iter()
        .map(|answer| answer.status)
        .collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 10);
    let sorted = [("sort", "title")];
    assert_eq!(guest.column("posts", "n", &sorted).await, json!([10, 10]));
}

#[tokio::test]
async fn sizes_are_bounded() {
    let (app, guest) = app().await;
    let many = (0..11).map(|index| create(&index.to_string()));
    let refused = guest.post(BATCH, batch(many)).await;
    refused.refuses(&[("requests", "validation_length_too_long")]);
    let settings =
        json!({"batch": {"enabled": true, "maxRequests": 10, "timeout": 5, "maxBodySize": 100}});
    app.superuser()
        .patch("/api/settings", settings)
        .await
        .expect(200);
    guest
        .post(BATCH, batch([create(&"x".repeat(200))]))
        .await
        .expect(413);
}
