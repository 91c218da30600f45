//! Hooks wrap writes inside their transaction; what they refuse never happened.

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use reqwest::Method;
use rotunda::engine::{Committed, Engine, Error, Failed, Next, Op, RecordEvent, RecordHook, Stage};
use rotunda::model::{Collection, Record};
use serde_json::{Value, json};

use crate::support::fields::{file, open, text};
use crate::support::{Client, Form, TestApp, all, becomes, is_peer, record, records};

/// Notes each write of `posts` in `audit`, after the statements ran; refuses what is titled `undo` at the very end.
struct Audit;

impl RecordHook for Audit {
    fn wants(&self, collection: &Collection) -> bool {
        collection.name == "posts"
    }

    fn handle<'a>(
        &'a self,
        stage: Stage,
        event: &'a mut RecordEvent<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            next.run(event).await?;
            if stage != Stage::Execute {
                return Ok(());
            }
            let engine = event.engine.clone();
            let mut note = Record::new(engine.collection("audit")?);
            note.set("title", event.record.text("title").into());
            note.set("op", event.op.as_str().into());
            engine.save(event.tx, note).await?;
            match event.record.text("title") {
                "undo" => Err(Error::bad_request("Undone by a hook.")),
                _ => Ok(()),
            }
        })
    }
}

async fn audited(app: &TestApp) -> Client {
    app.collection(open("posts", [text("title"), file("paper", json!({}))]))
        .await;
    app.collection(open("audit", [text("title"), text("op")]))
        .await;
    app.engine().unwrap().register_hook(Arc::new(Audit));
    app.guest()
}

#[tokio::test]
async fn what_a_hook_writes_commits_or_rolls_back_with_the_record() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    let guest = audited(&app).await;
    let mut events = guest.listen(&["posts/*", "audit/*"]).await;
    let id = guest.create_id("posts", json!({"title": "kept"})).await;
    let refused = guest.try_create("posts", json!({"title": "undo"})).await;
    assert_eq!(refused.expect(400)["message"], "Undone by a hook.");
    let form = Form::default()
        .text("title", "undo")
        .file("paper", "a.txt", b"text".to_vec());
    guest
        .form(Method::POST, &records("posts"), form)
        .await
        .expect(400);
    guest
        .patch(&record("posts", &id), json!({"title": "undo"}))
        .await
        .expect(400);
    guest
        .update("posts", &id, json!({"title": "changed"}))
        .await;
    guest.delete(&record("posts", &id)).await.expect(204);

    let notes = guest
        .list("audit", &[("sort", "@rowid"), ("fields", "title,op")])
        .await;
    let expected = json!([{"title": "kept", "op": "create"}, {"title": "changed", "op": "update"}, {"title": "changed", "op": "delete"}]);
    assert_eq!(notes["items"], expected);
    assert_eq!(guest.count("posts").await, 0);
    becomes(&Vec::new(), || app.stored_files()).await;
    // Three writes of two records each, and nothing of what was undone.
    let mut heard = events.next_say(6, "title").await;
    guest.create("audit", json!({"title": "end"})).await;
    assert_eq!(events.next().await.says("title").1, "end");
    heard.retain(|(_, title)| title == "undo");
    assert_eq!(heard, []);
}

#[tokio::test]
async fn hooks_of_grouped_writes_stay_apart() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    let guest = audited(&app).await;
    let titles: Vec<_> = (0..48)
        .map(|n| {
            if n % 3 == 0 {
                "undo".to_owned()
            } else {
                format!("t{n}")
            }
        })
        .collect();
    let answers = all(titles
        .iter()
        .map(|title| guest.try_create("posts", json!({"title": title}))))
    .await;
    for (title, answer) in titles.iter().zip(&answers) {
        assert_eq!(answer.status, if title == "undo" { 400 } else { 200 });
    }
    let sorted = [("sort", "title")];
    let (posts, notes) = (
        guest.column("posts", "title", &sorted).await,
        guest.column("audit", "title", &sorted).await,
    );
    assert_eq!(posts.as_array().unwrap().len(), 32);
    assert_eq!(posts, notes);
}

/// Writes down when it is asked, and changes titles.
struct Scribe {
    name: &'static str,
    priority: i32,
    log: Arc<Mutex<Vec<String>>>,
}

impl Scribe {
    fn note(&self, what: &str) {
        self.log
            .lock()
            .unwrap()
            .push(format!("{} {what}", self.name));
    }
}

impl RecordHook for Scribe {
    fn priority(&self) -> i32 {
        self.priority
    }

    fn wants(&self, collection: &Collection) -> bool {
        collection.name == "posts"
    }

    fn handle<'a>(
        &'a self,
        stage: Stage,
        event: &'a mut RecordEvent<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            self.note(&format!("{stage:?}"));
            if stage == Stage::Write && event.op != Op::Delete {
                let title = format!("{}{}", event.record.text("title"), self.name);
                event.record.set("title", title.as_str().into());
            }
            next.run(event).await?;
            self.note(&format!("after {stage:?}"));
            Ok(())
        })
    }

    fn committed(&self, _: &Engine, event: &Committed) {
        self.note(&format!("committed {}", event.record.text("title")));
    }
}

#[tokio::test]
async fn hooks_nest_by_priority_and_hear_of_the_commit() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    app.collection(open(
        "posts",
        [json!({"type": "text", "name": "title", "max": 5})],
    ))
    .await;
    let log = Arc::new(Mutex::new(Vec::new()));
    for (name, priority) in [("b", 20), ("a", 10)] {
        let log = Arc::clone(&log);
        app.engine().unwrap().register_hook(Arc::new(Scribe {
            name,
            priority,
            log,
        }));
    }
    let guest = app.guest();
    let made = guest.create("posts", json!({"title": "x"})).await;
    assert_eq!(made["title"], "xab");
    let stages = ["Write", "Validate", "Execute"].map(|stage| format!("a {stage}"));
    let seen = std::mem::take(&mut *log.lock().unwrap());
    let of_a: Vec<_> = seen
        .iter()
        .filter(|line| stages.contains(line))
        .cloned()
        .collect();
    assert_eq!(of_a, stages);
    for stage in ["Write", "Validate", "Execute"] {
        let lines = ["a ", "b ", "b after ", "a after "].map(|start| format!("{start}{stage}"));
        let nested: Vec<_> = seen
            .iter()
            .filter(|line| lines.contains(line))
            .cloned()
            .collect();
        assert_eq!(nested, lines, "smaller numbers wrap larger ones");
    }
    let end: Vec<_> = seen[seen.len() - 2..].to_vec();
    assert_eq!(end, ["a committed xab", "b committed xab"]);

    // What hooks make of a record is validated too, and a refused write is not told of.
    let long = guest.try_create("posts", json!({"title": "long"})).await;
    long.refuses(&[("title", "validation_max_text_constraint")]);
    let seen = std::mem::take(&mut *log.lock().unwrap());
    assert!(
        !seen
            .iter()
            .any(|line| line.contains("committed") || line.contains("after Write")),
        "{seen:?}"
    );
}

#[tokio::test]
async fn commits_are_told_in_their_order() {
    if is_peer() {
        return;
    }
    let app = TestApp::new().start().await;
    app.collection(open("posts", [text("title")])).await;
    let log = Arc::new(Mutex::new(Vec::new()));
    let scribe = Scribe {
        name: "",
        priority: 0,
        log: Arc::clone(&log),
    };
    app.engine().unwrap().register_hook(Arc::new(scribe));
    let guest = app.guest();
    all((0..40).map(|n| guest.try_create("posts", json!({"title": format!("t{n}")})))).await;
    let rows = guest.column("posts", "title", &[("sort", "@rowid")]).await;
    let told: Vec<Value> = {
        let log = log.lock().unwrap();
        let told = log
            .iter()
            .filter_map(|line| line.strip_prefix(" committed "));
        told.map(Value::from).collect()
    };
    assert_eq!(Value::Array(told), rows);
}

/// Hears of writes afterwards, slowly.
struct Follower {
    log: Arc<Mutex<Vec<String>>>,
}

impl Follower {
    fn later(&self, line: String) -> Option<BoxFuture<'static, ()>> {
        let log = Arc::clone(&self.log);
        Some(Box::pin(async move {
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            log.lock().unwrap().push(line);
        }))
    }
}

fn title(record: Option<&Arc<Record>>) -> &str {
    record.map_or("-", |record| record.text("title"))
}

impl RecordHook for Follower {
    fn wants(&self, collection: &Collection) -> bool {
        collection.name == "posts" || collection.name == "users"
    }

    fn follows(&self, _: &Collection) -> bool {
        true
    }

    fn handle<'a>(
        &'a self,
        stage: Stage,
        event: &'a mut RecordEvent<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        if stage == Stage::Execute && event.record.text("name") == "locksmith" {
            event.record.set_password("password", "from-a-hook");
        }
        next.run(event)
    }

    fn after_success(
        &self,
        _: &Engine,
        event: &Committed,
    ) -> Option<BoxFuture<'static, Result<(), Error>>> {
        let (before, after) = (title(event.original.as_ref()), title(Some(&event.record)));
        let work = self.later(format!("{} {before} {after}", event.op.as_str()))?;
        Some(Box::pin(async move {
            work.await;
            Ok(())
        }))
    }

    fn failed(&self, _: &Engine, event: &Failed) -> Option<BoxFuture<'static, ()>> {
        let (op, title) = (event.op.as_str(), title(Some(&event.record)));
        self.later(format!("failed {op} {title}: {}", event.error))
    }
}

async fn followed() -> (TestApp, Client, Arc<Mutex<Vec<String>>>) {
    let app = TestApp::new().start().await;
    let required = json!({"type": "text", "name": "title", "required": true});
    app.collection(open("posts", [required])).await;
    let log = Arc::default();
    let follower = Follower {
        log: Arc::clone(&log),
    };
    app.engine().unwrap().register_hook(Arc::new(follower));
    let guest = app.guest();
    (app, guest, log)
}

#[tokio::test]
async fn what_follows_a_write_is_over_before_the_answer() {
    if is_peer() {
        return;
    }
    let (_app, guest, log) = followed().await;
    let lines = || std::mem::take(&mut *log.lock().unwrap());
    let id = guest.create_id("posts", json!({"title": "a"})).await;
    assert_eq!(lines(), ["create - a"]);
    guest.update("posts", &id, json!({"title": "b"})).await;
    assert_eq!(lines(), ["update a b"]);
    guest
        .try_create("posts", json!({"id": "short"}))
        .await
        .expect(400);
    assert_eq!(lines(), [""; 0], "what is refused before the write is none");
    let taken = json!({"id": id, "title": "c"});
    guest.try_create("posts", taken).await.expect(400);
    let seen = lines();
    assert!(seen[0].starts_with("failed create c: "), "{seen:?}");
    guest.delete(&record("posts", &id)).await.expect(204);
    assert_eq!(lines(), ["delete - b"]);
}

#[tokio::test]
async fn writes_undone_with_their_batch_are_told_as_failed() {
    if is_peer() {
        return;
    }
    let (app, guest, log) = followed().await;
    let enable = json!({"batch": {"enabled": true}});
    app.superuser()
        .patch("/api/settings", enable)
        .await
        .expect(200);
    let create =
        |title: &str| json!({"method": "POST", "url": records("posts"), "body": {"title": title}});
    let batch = json!({"requests": [create("a"), create("b"), create("")]});
    guest.post("/api/batch", batch).await.expect(400);
    let rolled_back =
        |title: &str| format!("failed create {title}: The transaction was rolled back.");
    assert_eq!(*log.lock().unwrap(), [rolled_back("a"), rolled_back("b")]);
}

#[tokio::test]
async fn a_password_that_a_hook_sets_is_hashed() {
    if is_peer() {
        return;
    }
    let (app, guest, _log) = followed().await;
    let ann = app.user("ann");
    let path = record("users", &ann.id);
    app.superuser()
        .patch(&path, json!({"name": "locksmith"}))
        .await
        .expect(200);
    guest
        .sign_in("users", "ann@example.com", "from-a-hook")
        .await
        .expect(200);
}
