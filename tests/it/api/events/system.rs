//! Events of files, settings, collections, backups, batches and realtime.

use rotunda::engine::events::{EventKind, Slot};
use serde_json::{Value, json};

use crate::support::fields::{file, open, relation, text};
use crate::support::taps::{Act, Tap, Taps};
use crate::support::{Form, TestApp, is_peer, record, records};

#[tokio::test]
async fn files() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    app.collection(open("docs", [text("title"), file("f", json!({}))]))
        .await;
    let taps = Taps::of(&app);
    taps.note(EventKind::FileTokenRequest);
    app.user("ann").file_token().await;
    let lines = taps.lines();
    assert!(
        lines[0].starts_with("FileTokenRequest record=ann@example.com token="),
        "{lines:?}"
    );

    let form = Form::default()
        .text("title", "t")
        .file("f", "a.txt", b"text".to_vec());
    let guest = app.guest();
    let made = guest
        .form(reqwest::Method::POST, &records("docs"), form)
        .await
        .expect(200);
    let name = made["f"].as_str().unwrap();
    let path = format!("/api/files/docs/{}/{name}", made["id"].as_str().unwrap());
    taps.note(EventKind::FileDownloadRequest);
    assert_eq!(guest.get(&path).await.text(), "text");
    let line = &taps.lines()[0];
    assert!(
        line.contains("record=t") && line.contains(name) && line.contains("\"type\":\"file\""),
        "{line}"
    );
    let other = name.to_owned();
    taps.add(
        Tap::on(EventKind::FileDownloadRequest).before(move |event, _| {
            assert_eq!(event.json("served_name"), Some(&json!(other)));
            event.set("served_name", Slot::Json("b.txt".into()));
            event.response_headers.push(("x-seen".into(), "1".into()));
            Act::Next
        }),
    );
    let answer = guest.get(&path).await;
    assert!(
        answer.header("content-disposition").contains("b.txt"),
        "{answer:?}"
    );
    assert_eq!(answer.header("x-seen"), "1");
    taps.add(Tap::on(EventKind::FileDownloadRequest).before(|event, _| {
        event.set("served_path", Slot::Json("none/none/none".into()));
        Act::Next
    }));
    guest.get(&path).await.expect(404);
}

#[tokio::test]
async fn settings() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    let superuser = app.superuser();
    let taps = Taps::of(&app);
    let set = |member: &'static str, to: &'static str| {
        move |event: &mut rotunda::engine::events::Event, _| {
            if let Some(Slot::Json(settings)) = event.get_mut(member) {
                assert!(
                    settings["smtp"]["password"].is_string(),
                    "handlers see all of it"
                );
                settings["meta"]["appName"] = to.into();
            }
            Act::Next
        }
    };
    taps.add(Tap::on(EventKind::SettingsListRequest).before(set("settings", "shown")));
    let shown = superuser.get("/api/settings").await.expect(200);
    assert_eq!(shown["meta"]["appName"], "shown");
    assert!(shown["smtp"].get("password").is_none());
    taps.add(Tap::on(EventKind::SettingsUpdateRequest).before(set("new_settings", "changed")));
    taps.note(EventKind::SettingsReload);
    let patch = json!({"meta": {"appName": "mine", "senderName": "me"}});
    let changed = superuser.patch("/api/settings", patch).await.expect(200);
    assert_eq!(changed["meta"]["appName"], "changed");
    assert_eq!(changed["meta"]["senderName"], "me");
    assert_eq!(taps.lines(), ["SettingsReload ", "after SettingsReload "]);
    assert_eq!(app.engine().unwrap().settings().meta.app_name, "changed");
}

#[tokio::test]
async fn collections() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    let superuser = app.superuser();
    let taps = Taps::of(&app);
    for kind in [
        EventKind::CollectionsListRequest,
        EventKind::CollectionViewRequest,
        EventKind::CollectionCreateRequest,
        EventKind::CollectionUpdateRequest,
        EventKind::CollectionDeleteRequest,
        EventKind::CollectionsImportRequest,
    ] {
        taps.note(kind);
    }
    let path = "/api/collections/posts";
    app.collection(open("posts", [text("title")])).await;
    assert_eq!(taps.lines()[0], "CollectionCreateRequest collection=posts");
    // Of the same name and therefore the same id: a second one, not a change of the first.
    superuser
        .post("/api/collections", open("posts", []))
        .await
        .expect(400);
    taps.lines();
    superuser.get(path).await.expect(200);
    assert_eq!(taps.lines()[0], "CollectionViewRequest collection=posts");
    superuser
        .patch(path, json!({"listRule": null}))
        .await
        .expect(200);
    assert_eq!(taps.lines()[0], "CollectionUpdateRequest collection=posts");
    superuser
        .get("/api/collections?perPage=2")
        .await
        .expect(200);
    assert!(taps.lines()[0].starts_with("CollectionsListRequest collections=2 result="));
    let import = json!({"collections": [{"name": "other", "type": "base", "fields": []}]});
    superuser
        .put("/api/collections/import", import)
        .await
        .expect(204);
    let line = &taps.lines()[0];
    assert!(
        line.starts_with("CollectionsImportRequest collections_data=["),
        "{line}"
    );
    assert!(line.ends_with("delete_missing=false"), "{line}");
    superuser.delete(path).await.expect(204);
    assert_eq!(taps.lines()[0], "CollectionDeleteRequest collection=posts");

    taps.add(
        Tap::on(EventKind::CollectionCreateRequest).before(|event, _| {
            if let Some(Slot::Collection(collection)) = event.get_mut("collection") {
                std::sync::Arc::make_mut(collection).view_rule = Some("id = 'x'".to_owned());
            }
            Act::Next
        }),
    );
    let made = app.collection(open("posts", [text("title")])).await;
    assert_eq!(made["viewRule"], "id = 'x'");
    taps.add(Tap::on(EventKind::CollectionDeleteRequest).before(|_, _| Act::Stop));
    superuser.delete(path).await.expect(200);
    superuser.get(path).await.expect(200);
}

#[tokio::test]
async fn backups_and_the_servers_end() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    let taps = Taps::of(&app);
    taps.note(EventKind::BackupCreate);
    taps.note(EventKind::Terminate);
    let superuser = app.superuser();
    superuser
        .post("/api/backups", json!({"name": "a.zip"}))
        .await
        .expect(204);
    let exclude = r#"exclude=["backups",".pb_temp_to_delete",".notify"]"#;
    assert_eq!(
        taps.lines()[0],
        format!("BackupCreate {exclude} filename=\"a.zip\"")
    );
    taps.add(Tap::on(EventKind::BackupCreate).before(|_, _| Act::Stop));
    superuser
        .post("/api/backups", json!({"name": "b.zip"}))
        .await
        .expect(204);
    taps.lines();
    let listed = superuser.get("/api/backups").await.expect(200);
    assert_eq!(listed.as_array().map(Vec::len), Some(1));

    taps.add(Tap::on(EventKind::BackupRestore).before(|event, _| {
        assert_eq!(event.json("filename"), Some(&json!("a.zip")));
        Act::Stop
    }));
    superuser
        .post("/api/backups/a.zip/restore", json!({}))
        .await
        .expect(204);
    let active = || app.engine().unwrap().backup_is_active();
    crate::support::becomes(&false, active).await;
    drop(app);
    assert_eq!(
        taps.lines(),
        [
            "Terminate is_restart=false",
            "after Terminate is_restart=false"
        ]
    );
}

#[tokio::test]
async fn batches_can_be_changed() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    app.collection(open("posts", [text("title")])).await;
    let enable = json!({"batch": {"enabled": true}});
    app.superuser()
        .patch("/api/settings", enable)
        .await
        .expect(200);
    let taps = Taps::of(&app);
    taps.add(Tap::on(EventKind::BatchRequest).before(|event, _| {
        if let Some(Slot::Json(Value::Array(batch))) = event.get_mut("batch") {
            assert_eq!(batch[0]["method"], "POST");
            batch[0]["body"]["title"] = "changed".into();
            let more = batch[0].clone();
            batch.push(more);
        }
        Act::Next
    }));
    let one = json!({"method": "POST", "url": records("posts"), "body": {"title": "mine"}});
    let answer = app
        .guest()
        .post("/api/batch", json!({"requests": [one]}))
        .await
        .expect(200);
    assert_eq!(answer.as_array().map(Vec::len), Some(2));
    assert_eq!(
        app.guest().column("posts", "title", &[]).await,
        json!(["changed", "changed"])
    );
}

#[tokio::test]
async fn realtime() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    app.collection(open("posts", [text("title")])).await;
    let taps = Taps::of(&app);
    let guest = app.guest();
    taps.note(EventKind::RealtimeConnectRequest);
    taps.note(EventKind::RealtimeSubscribeRequest);
    taps.note(EventKind::RealtimeMessageSend);
    let mut events = guest.sse().await;
    let client = format!("client=\"{}\"", events.client_id);
    let lines = taps.lines();
    assert_eq!(
        lines[0],
        format!("RealtimeConnectRequest {client} idle_timeout_s=300")
    );
    assert!(
        lines[1].starts_with(&format!("RealtimeMessageSend {client} message=")),
        "{lines:?}"
    );
    assert!(lines[1].contains("PB_CONNECT"), "{lines:?}");
    taps.add(
        Tap::on(EventKind::RealtimeSubscribeRequest).before(|event, _| {
            assert_eq!(event.json("subscriptions"), Some(&json!(["nothing"])));
            event.set("subscriptions", Slot::Json(json!(["posts/*"])));
            Act::Next
        }),
    );
    events.subscribe(&["nothing"]).await.expect(204);
    taps.add(Tap::on(EventKind::RealtimeMessageSend).before(|event, _| {
        let Some(Slot::Json(message)) = event.get_mut("message") else {
            return Act::Next;
        };
        let data: Value = serde_json::from_str(message["data"].as_str().unwrap()).unwrap();
        if data["record"]["title"] == "dropped" {
            return Act::Stop;
        }
        message["data"] = json!({"action": "mine", "record": {"title": "changed"}})
            .to_string()
            .into();
        Act::Next
    }));
    guest.create("posts", json!({"title": "dropped"})).await;
    guest.create("posts", json!({"title": "sent"})).await;
    assert_eq!(
        events.next().await.says("title"),
        ("mine".to_owned(), json!("changed"))
    );
}

#[tokio::test]
async fn records_are_enriched_wherever_they_show() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    let hidden = json!({"type": "text", "name": "secret", "hidden": true});
    let posts = app.collection(open("posts", [text("title"), hidden])).await;
    app.collection(open(
        "notes",
        [text("title"), relation("post", &posts, json!({}))],
    ))
    .await;
    let taps = Taps::of(&app);
    taps.add(
        Tap::on(EventKind::RecordEnrich)
            .of("posts")
            .before(|event, _| {
                let context = event
                    .request
                    .as_ref()
                    .map_or("", |request| request.info.context);
                if let Some(Slot::Record(record)) = event.get_mut("record") {
                    record.export_custom(true);
                    record.set_custom(
                        "computed",
                        json!(format!("{} {context}", record.text("title"))),
                    );
                    record.hide(["title"]);
                    record.unhide(["secret"]);
                }
                Act::Next
            }),
    );
    let guest = app.guest();
    let mut events = guest.listen(&["posts/*"]).await;
    let made = guest.create("posts", json!({"title": "one"})).await;
    assert_eq!(made["computed"], "one default");
    assert_eq!((made.get("title"), &made["secret"]), (None, &json!("")));
    assert_eq!(
        events.next().await.data["record"]["computed"],
        "one realtime"
    );
    let page = guest.list("posts", &[]).await;
    assert_eq!(page["items"][0]["computed"], "one default");
    let note = guest
        .create_id("notes", json!({"title": "n", "post": made["id"]}))
        .await;
    let path = format!("{}?expand=post", record("notes", &note));
    let note = guest.get(&path).await.expect(200);
    assert_eq!(note["expand"]["post"]["computed"], "one expand");
    // Superusers see all fields, unless they are hidden after the default action.
    let seen = app
        .superuser()
        .view("posts", made["id"].as_str().unwrap())
        .await;
    assert_eq!(seen["title"], "one");
    taps.add(
        Tap::on(EventKind::RecordEnrich)
            .of("posts")
            .after(|event, result| {
                if let Some(Slot::Record(record)) = event.get_mut("record") {
                    record.hide(["title"]);
                }
                result
            }),
    );
    let seen = app
        .superuser()
        .view("posts", made["id"].as_str().unwrap())
        .await;
    assert_eq!(seen.get("title"), None);
}
