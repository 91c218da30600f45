//! Backups: who may, what they hold, and that a restore brings all of it back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::fields::{file, number, open, text};
use crate::support::process::{self, Server, binary};
use crate::support::{
    Answer, Client, DEADLINE, Form, SUPERUSER, TestApp, column, id_of, in_time, record, records,
};

const BACKUPS: &str = "/api/backups";

async fn make(superuser: &Client, name: &str) {
    let made = superuser.post(BACKUPS, json!({"name": name})).await;
    made.expect(204);
}

async fn keys(superuser: &Client) -> Value {
    column(&superuser.get(BACKUPS).await.expect(200), "key")
}

fn named(key: &str) -> String {
    format!("{BACKUPS}/{key}")
}

/// The archive of a backup.
async fn load(superuser: &Client, key: &str) -> Vec<u8> {
    let token = superuser.file_token().await;
    let answer = superuser.get_with(&named(key), &[("token", &token)]).await;
    assert_eq!(answer.status, 200);
    answer.body
}

async fn upload(superuser: &Client, name: &str, content: impl Into<Vec<u8>>) -> Answer {
    let form = Form::default().file("file", name, content);
    superuser
        .form(Method::POST, "/api/backups/upload", form)
        .await
}

#[tokio::test]
async fn backups_are_for_superusers() {
    let app = TestApp::new().start().await;
    make(&app.superuser(), "a.zip").await;
    for (client, status) in [(app.guest(), 401), (app.user("ann"), 403)] {
        client.get(BACKUPS).await.expect(status);
        client.post(BACKUPS, json!({})).await.expect(status);
        upload(&client, "b.zip", "x").await.expect(status);
        client.delete(&named("a.zip")).await.expect(status);
        let restore = format!("{}/restore", named("a.zip"));
        client.post(&restore, json!({})).await.expect(status);
        client.get(&named("a.zip")).await.expect(403);
    }
    let token = app.user("ann").file_token().await;
    let query = [("token", token.as_str())];
    app.guest()
        .get_with(&named("a.zip"), &query)
        .await
        .expect(403);
}

#[tokio::test]
async fn names_are_checked_and_archives_can_move_to_another_server() {
    let app = TestApp::new().start().await;
    let superuser = app.superuser();
    make(&superuser, "a.zip").await;
    for (name, code) in [
        ("a.zip", "validation_backup_name_exists"),
        ("A.zip", "validation_match_invalid"),
        ("../b.zip", "validation_match_invalid"),
        (".zip", "validation_match_invalid"),
    ] {
        let refused = superuser.post(BACKUPS, json!({"name": name})).await;
        refused.refuses(&[("name", code)]);
    }
    make(&superuser, "").await;
    let all = keys(&superuser).await;
    assert_eq!(
        (all.as_array().unwrap().len(), &all[0]),
        (2, &json!("a.zip"))
    );
    assert!(all[1].as_str().unwrap().starts_with("pb_backup_"));

    let archive = load(&superuser, "a.zip").await;
    assert!(archive.starts_with(b"PK"));
    upload(&superuser, "moved.zip", archive).await.expect(204);
    let again = upload(&superuser, "moved.zip", load(&superuser, "a.zip").await).await;
    again.refuses(&[("file", "validation_backup_name_exists")]);
    let refused = upload(&superuser, "x.zip", "no archive").await;
    refused.refuses(&[("file", "validation_invalid_mime_type")]);
    superuser.delete(&named("a.zip")).await.expect(204);
    superuser.delete(&named("a.zip")).await.expect(400);
    for path in ["..%2Fdata.db", "%2e%2e%2fdata.db"] {
        superuser.delete(&named(path)).await.expect(400);
        let token = superuser.file_token().await;
        let query = [("token", token.as_str())];
        superuser.get_with(&named(path), &query).await.expect(404);
    }
    assert!(app.dir().join("data.db").exists());
    assert_eq!(keys(&superuser).await, json!(["moved.zip", all[1]]));
}

#[tokio::test]
async fn archives_without_a_database_are_not_restored() {
    let app = TestApp::new().start().await;
    let superuser = app.superuser();
    // The end record of an archive without files.
    let mut empty = b"PK\x05\x06".to_vec();
    empty.resize(22, 0);
    upload(&superuser, "empty.zip", empty).await.expect(204);
    for key in ["empty.zip", "missing.zip", "..%2Fbackups%2Fempty.zip"] {
        let restore = format!("{}/restore", named(key));
        superuser.post(&restore, json!({})).await.expect(400);
    }
    make(&superuser, "still_works.zip").await;
}

/// A server in a process of its own with a signed-in superuser, since a restore starts it anew.
struct Own {
    server: Server,
    superuser: Client,
    _root: TempDir,
}

async fn own() -> Own {
    let root = tempfile::tempdir().expect("a temporary directory");
    let dir = root.path().join("pb_data");
    let (email, password) = SUPERUSER;
    process::run(&binary(), &dir, &["superuser", "upsert", email, password]).succeeds();
    let server = Server::start(&binary(), &dir).await;
    let guest = Client::new(server.base(), None);
    let token = guest
        .sign_in("_superusers", email, password)
        .await
        .expect(200)["token"]
        .clone();
    let superuser = guest.with_token(token.as_str().expect("a token"));
    Own {
        server,
        superuser,
        _root: root,
    }
}

impl Own {
    /// Restores a backup and waits until the titles of the posts tell that it is done.
    async fn restore(&self, key: &str, is_over: impl Fn(&Value) -> bool) {
        let path = format!("{}/restore", named(key));
        self.superuser.post(&path, json!({})).await.expect(204);
        let started = Instant::now();
        loop {
            let posts = self.read(&format!("{}?sort=title", records("posts"))).await;
            if posts.is_some_and(|posts| is_over(&column(&posts["items"], "title"))) {
                return;
            }
            assert!(started.elapsed() < DEADLINE, "{key} is not restored");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A 200 with its body. While the server starts anew, a connection that is open may be cut off, but none is refused.
    async fn read(&self, path: &str) -> Option<Value> {
        let request = self.superuser.request(Method::GET, path);
        let answer = in_time(path, request.send()).await;
        let refused = answer.as_ref().is_err_and(reqwest::Error::is_connect);
        assert!(!refused, "{answer:?}");
        let answer = answer.ok()?;
        assert_eq!(answer.status(), 200);
        answer.json().await.ok()
    }
}

#[tokio::test]
async fn a_restore_brings_back_rows_and_files() {
    let own = own().await;
    let superuser = &own.superuser;
    let posts = open("posts", [text("title"), file("paper", json!({}))]);
    superuser.post("/api/collections", posts).await.expect(200);
    let form = Form::default()
        .text("title", "kept")
        .file("paper", "p.txt", "paper");
    let kept = superuser
        .form(Method::POST, &records("posts"), form)
        .await
        .expect(200);
    make(superuser, "then.zip").await;

    superuser
        .delete(&record("posts", &id_of(&kept)))
        .await
        .expect(204);
    superuser.create("posts", json!({"title": "new"})).await;
    let fields = json!({"fields": [text("title"), number("added")]});
    superuser
        .patch("/api/collections/posts", fields)
        .await
        .expect(200);
    make(superuser, "now.zip").await;

    own.restore("then.zip", |titles| *titles == json!(["kept"]))
        .await;
    let paper = kept["paper"].as_str().unwrap();
    let path = format!("/api/files/posts/{}/{paper}", id_of(&kept));
    assert_eq!(superuser.get(&path).await.text(), "paper");
    assert_eq!(keys(superuser).await, json!(["now.zip", "then.zip"]));
    let health = superuser.get("/api/health").await.expect(200);
    assert_eq!(health["data"]["canBackup"], true);

    own.restore("now.zip", |titles| *titles == json!(["new"]))
        .await;
    superuser
        .create("posts", json!({"title": "more", "added": 1}))
        .await;
    assert!(own.server.terminate().success());
}

#[tokio::test]
async fn a_backup_taken_under_writes_has_every_file_its_rows_name() {
    let own = own().await;
    let superuser = own.superuser.clone();
    let posts = open("posts", [text("title"), file("paper", json!({}))]);
    superuser.post("/api/collections", posts).await.expect(200);
    let writer = superuser.clone();
    let done = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&done);
    let writes = tokio::spawn(async move {
        let mut made: Vec<String> = Vec::new();
        let mut count = 0;
        while !ended.load(Ordering::Relaxed) {
            let form = Form::default().text("title", count.to_string()).file(
                "paper",
                "p.txt",
                count.to_string(),
            );
            let post = writer.form(Method::POST, &records("posts"), form).await;
            made.push(id_of(&post.expect(200)));
            count += 1;
            if made.len() > 5 {
                let id = made.remove(0);
                writer.delete(&record("posts", &id)).await.expect(204);
            }
        }
    });
    for round in 0..5 {
        make(&superuser, &format!("b{round}.zip")).await;
    }
    done.store(true, Ordering::Relaxed);
    writes.await.unwrap();
    for post in superuser.list("posts", &[]).await["items"]
        .as_array()
        .unwrap()
    {
        superuser
            .delete(&record("posts", &id_of(post)))
            .await
            .expect(204);
    }
    superuser.create("posts", json!({"title": "end"})).await;
    make(&superuser, "end.zip").await;
    for round in 0..5 {
        let end = json!(["end"]);
        own.restore(&format!("b{round}.zip"), |titles| *titles != end)
            .await;
        for post in superuser.list("posts", &[]).await["items"]
            .as_array()
            .unwrap()
        {
            let path = format!(
                "/api/files/posts/{}/{}",
                id_of(post),
                post["paper"].as_str().unwrap()
            );
            let paper = superuser.get(&path).await;
            assert_eq!(
                (paper.status, paper.text()),
                (200, post["title"].as_str().unwrap().to_owned())
            );
        }
        own.restore("end.zip", |titles| *titles == end).await;
    }
}
