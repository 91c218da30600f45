//! Those who listen to events take part in requests.

mod accounts;
mod system;

use std::sync::Arc;

use rotunda::engine::Error;
use rotunda::engine::events::{Answer, EventKind, Slot};
use serde_json::{Value, json};

use crate::support::fields::{open, text};
use crate::support::taps::{Act, Tap, Taps};
use crate::support::{Client, TestApp, is_peer, record, records};

const RECORD_REQUESTS: [EventKind; 5] = [
    EventKind::RecordsListRequest,
    EventKind::RecordViewRequest,
    EventKind::RecordCreateRequest,
    EventKind::RecordUpdateRequest,
    EventKind::RecordDeleteRequest,
];

async fn posts() -> (TestApp, Client, Arc<Taps>) {
    let app = TestApp::new().start().await;
    let required = json!({"type": "text", "name": "title", "required": true});
    app.collection(open("posts", [required, text("body")]))
        .await;
    let taps = Taps::of(&app);
    let guest = app.guest();
    (app, guest, taps)
}

fn set_title(event: &mut rotunda::engine::events::Event, title: &str) {
    if let Some(Slot::Record(record)) = event.get_mut("record") {
        record.set("title", title.into());
    }
}

fn teapot() -> Error {
    let data = json!({"a": {"code": "x", "message": "No."}});
    Error::Custom {
        status: 418,
        message: "my words".to_owned(),
        data: data.as_object().cloned().unwrap_or_default(),
        cause: None,
    }
}

#[tokio::test]
async fn record_requests_fire_once_with_what_they_are_about() {
    if is_peer() {
        return;
    }
    let (_app, guest, taps) = posts().await;
    for kind in RECORD_REQUESTS {
        taps.note(kind);
    }
    let id = guest.create_id("posts", json!({"title": "one"})).await;
    assert_eq!(
        taps.lines(),
        [
            "RecordCreateRequest record=one",
            "after RecordCreateRequest record=one"
        ]
    );
    guest.update("posts", &id, json!({"title": "two"})).await;
    assert_eq!(
        taps.lines(),
        [
            "RecordUpdateRequest record=two",
            "after RecordUpdateRequest record=two"
        ]
    );
    guest.view("posts", &id).await;
    assert_eq!(
        taps.lines(),
        [
            "RecordViewRequest record=two",
            "after RecordViewRequest record=two"
        ]
    );
    guest.list("posts", &[]).await;
    let result = r#"result={"page":1,"perPage":30,"totalItems":1,"totalPages":1}"#;
    assert_eq!(
        taps.lines(),
        [
            format!("RecordsListRequest records=two {result}"),
            format!("after RecordsListRequest records=two {result}")
        ]
    );
    guest.delete(&record("posts", &id)).await.expect(204);
    assert_eq!(
        taps.lines(),
        [
            "RecordDeleteRequest record=two",
            "after RecordDeleteRequest record=two"
        ]
    );
}

#[tokio::test]
async fn a_handler_that_leaves_keeps_the_default_action_away() {
    if is_peer() {
        return;
    }
    let (_app, guest, taps) = posts().await;
    let id = guest.create_id("posts", json!({"title": "one"})).await;
    for kind in RECORD_REQUESTS {
        taps.add(Tap::on(kind).before(|_, _| Act::Stop));
    }
    let path = record("posts", &id);
    let changed = json!({"title": "two"});
    for answer in [
        guest.try_create("posts", changed.clone()).await,
        guest.patch(&path, changed).await,
        guest.get(&path).await,
        guest.get(&records("posts")).await,
        guest.delete(&path).await,
    ] {
        assert_eq!(
            (answer.status, answer.text()),
            (200, String::new()),
            "{answer:?}"
        );
        assert_eq!(answer.header("content-type"), "");
    }
    taps.clear();
    assert_eq!(
        guest.column("posts", "title", &[]).await,
        json!(["one"]),
        "nothing was written"
    );
}

#[tokio::test]
async fn what_handlers_change_counts() {
    if is_peer() {
        return;
    }
    let (_app, guest, taps) = posts().await;
    for kind in [
        EventKind::RecordCreateRequest,
        EventKind::RecordUpdateRequest,
    ] {
        taps.add(Tap::on(kind).before(|event, _| {
            set_title(event, "changed");
            Act::Next
        }));
    }
    let made = guest.create("posts", json!({"body": "b"})).await;
    assert_eq!(
        (&made["title"], &made["body"]),
        (&json!("changed"), &json!("b"))
    );
    let id = made["id"].as_str().unwrap_or_default();
    let updated = guest
        .update("posts", id, json!({"title": "mine", "body": "c"}))
        .await;
    assert_eq!(
        (&updated["title"], &updated["body"]),
        (&json!("changed"), &json!("c"))
    );
    assert_eq!(guest.view("posts", id).await["title"], "changed");

    taps.add(Tap::on(EventKind::RecordViewRequest).before(|event, _| {
        set_title(event, "shown");
        Act::Next
    }));
    assert_eq!(guest.view("posts", id).await["title"], "shown");
    taps.add(Tap::on(EventKind::RecordsListRequest).before(|event, _| {
        event.set("records", Slot::Records(Vec::new()));
        if let Some(Slot::Json(result)) = event.get_mut("result") {
            result["totalItems"] = json!(99);
        }
        Act::Next
    }));
    let page = guest.list("posts", &[]).await;
    assert_eq!(
        (&page["items"], &page["totalItems"]),
        (&json!([]), &json!(99))
    );
}

#[tokio::test]
async fn a_handlers_error_is_the_answer() {
    if is_peer() {
        return;
    }
    let (_app, guest, taps) = posts().await;
    let kind = EventKind::RecordCreateRequest;
    taps.add(Tap::on(kind).before(|event, _| {
        event.response_headers.push(("x-seen".into(), "yes".into()));
        Act::Fail(teapot())
    }));
    let refused = guest.try_create("posts", json!({"title": "one"})).await;
    assert_eq!(
        refused.expect(418),
        json!({"data": {"a": {"code": "x", "message": "No."}}, "message": "My words.", "status": 418})
    );
    assert_eq!(refused.header("x-seen"), "yes");
    taps.clear();
    assert_eq!(guest.count("posts").await, 0);

    // What the default action refuses passes through the handlers, which may answer something else.
    taps.note(kind);
    let invalid = guest.try_create("posts", json!({})).await;
    invalid.refuses(&[("title", "validation_required")]);
    assert_eq!(
        taps.lines(),
        [
            "RecordCreateRequest record=",
            "after RecordCreateRequest failed: Failed to create record."
        ]
    );
    taps.add(Tap::on(kind).after(|_, result| {
        assert!(result.is_err());
        Err(teapot())
    }));
    guest.try_create("posts", json!({})).await.expect(418);
}

#[tokio::test]
async fn the_first_answer_counts() {
    if is_peer() {
        return;
    }
    let (_app, guest, taps) = posts().await;
    let own = || Answer {
        status: 203,
        headers: vec![("content-type".into(), "application/json".into())],
        body: r#"{"own":true}"#.into(),
    };
    let kind = EventKind::RecordCreateRequest;
    taps.add(Tap::on(kind).before(move |event, _| {
        event.answer = Some(own());
        Act::Stop
    }));
    let answer = guest.try_create("posts", json!({"title": "one"})).await;
    assert_eq!(answer.expect(203), json!({"own": true}));
    assert_eq!(answer.header("content-type"), "application/json");
    taps.clear();
    assert_eq!(guest.count("posts").await, 0);

    taps.add(Tap::on(kind).after(move |event, _| {
        event.answer = Some(own());
        Err(Error::forbidden("late"))
    }));
    let answer = guest.try_create("posts", json!({"title": "one"})).await;
    assert_eq!(answer.expect(200)["title"], "one");
    assert_eq!(guest.count("posts").await, 1);
}

#[tokio::test]
async fn handlers_nest_in_their_order() {
    if is_peer() {
        return;
    }
    let (_app, guest, taps) = posts().await;
    for name in ["a", "b"] {
        let (before, after) = (Arc::clone(&taps), Arc::clone(&taps));
        taps.add(
            Tap::on(EventKind::RecordCreateRequest)
                .before(move |event, _| {
                    let title = match event.get("record") {
                        Some(Slot::Record(record)) => format!("{}{name}", record.text("title")),
                        _ => String::new(),
                    };
                    set_title(event, &title);
                    before.say(name);
                    Act::Next
                })
                .after(move |_, result| {
                    after.say(format!("after {name}"));
                    result
                }),
        );
    }
    let made = guest.create("posts", json!({"title": "x"})).await;
    assert_eq!(made["title"], "xab");
    assert_eq!(taps.lines(), ["a", "b", "after b", "after a"]);
}

#[tokio::test]
async fn batches_fire_the_events_of_their_requests_inside_the_transaction() {
    if is_peer() {
        return;
    }
    let (app, guest, taps) = posts().await;
    let enable = json!({"batch": {"enabled": true}});
    app.superuser()
        .patch("/api/settings", enable)
        .await
        .expect(200);
    for kind in RECORD_REQUESTS {
        taps.note(kind);
    }
    taps.add(Tap::on(EventKind::RecordCreateRequest).before(
        |event, _| match event.get("record") {
            Some(Slot::Record(record)) if record.text("title") == "stop" => Act::Stop,
            Some(Slot::Record(record)) if record.text("title") == "fail" => Act::Fail(teapot()),
            _ => Act::Next,
        },
    ));
    let create =
        |title: &str| json!({"method": "POST", "url": records("posts"), "body": {"title": title}});
    let batch = |requests: Value| json!({"requests": requests});
    let answer = guest
        .post("/api/batch", batch(json!([create("one"), create("stop")])))
        .await
        .expect(200);
    assert_eq!(answer[0]["body"]["title"], "one");
    assert_eq!(answer[1], json!({"body": null, "status": 200}));
    assert_eq!(
        taps.lines(),
        [
            "RecordCreateRequest in tx record=one",
            "after RecordCreateRequest record=one",
            "RecordCreateRequest in tx record=stop",
            "after RecordCreateRequest record=stop",
        ]
    );
    let answer = guest
        .post("/api/batch", batch(json!([create("two"), create("fail")])))
        .await
        .expect(400);
    let response = &answer["data"]["requests"]["1"]["response"];
    assert_eq!(
        (&response["status"], &response["message"]),
        (&json!(418), &json!("My words."))
    );
    taps.clear();
    assert_eq!(guest.column("posts", "title", &[]).await, json!(["one"]));
}

#[tokio::test]
async fn nobody_listening_costs_one_question() {
    if is_peer() {
        return;
    }
    let (_app, guest, taps) = posts().await;
    taps.asked();
    let id = guest.create_id("posts", json!({"title": "one"})).await;
    let expected =
        |kind| std::collections::HashMap::from([(kind, 1), (EventKind::RecordEnrich, 1)]);
    assert_eq!(taps.asked(), expected(EventKind::RecordCreateRequest));
    guest.list("posts", &[]).await;
    assert_eq!(taps.asked(), expected(EventKind::RecordsListRequest));
    guest.update("posts", &id, json!({"title": "two"})).await;
    assert_eq!(taps.asked(), expected(EventKind::RecordUpdateRequest));
    guest.delete(&record("posts", &id)).await.expect(204);
    let expected = std::collections::HashMap::from([(EventKind::RecordDeleteRequest, 1)]);
    assert_eq!(taps.asked(), expected);
}
