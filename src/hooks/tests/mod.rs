//! Support for tests of what scripts can do: script text runs against an engine over a directory of its own.

mod data;
mod losses;

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::call::{Outcome, plain_call};
use super::catalog::Wanted;
use super::world::World;
use super::{HookOptions, HookParts, Scripts};
use crate::api::realtime::Clients;
use crate::base::clock::Clock;
use crate::blob::Storage;
use crate::bus::{Bus, BusOptions};
use crate::engine::collections::Import;
use crate::engine::{Engine, EngineOptions};
use crate::js::error::ScriptError;
use crate::js::thread::Turn;
use crate::live::{Live, LiveOptions};
use crate::outbound;
use crate::store::{Store, StoreOptions};

/// An engine with scripts, and a few collections: `notes`, `comments` and the `users` that every directory has.
pub(super) struct House {
    #[expect(dead_code, reason = "for tests that look at what scripts did")]
    pub(super) engine: Engine,
    pub(super) scripts: Scripts,
    dir: tempfile::TempDir,
    stop: CancellationToken,
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.cancel();
        self.scripts.inner.host.stop();
    }
}

/// Runs the body of a function in a house of its own; gives what it returns. Panics when it throws.
pub(super) async fn run(code: &str) -> Json {
    House::open().await.run(code).await
}

impl House {
    pub(super) async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(EngineOptions {
            store: Store::open(StoreOptions::new(dir.path().join("pb_data")))
                .await
                .unwrap(),
            files: Storage::local(dir.path().join("pb_data/storage")),
            bus: Bus::new(BusOptions::default()),
            mails: dir.path().join("mails"),
            clock: Clock::system(),
            encryption_key: None,
            rehash: false,
        })
        .await
        .unwrap();
        let import = Import {
            collections: collections(),
            delete_missing: false,
        };
        engine.import_collections(import).await.unwrap();
        let stop = CancellationToken::new();
        let options = HookOptions {
            hooks_dir: dir.path().join("pb_hooks"),
            modules_dir: dir.path().join("pb_modules"),
            migrations_dir: dir.path().join("pb_migrations"),
            budget: Duration::from_secs(20),
            growth_bytes_max: 1 << 30,
            top_level_only: false,
            allow_os: false,
            outbound: outbound::Client::new(outbound::Allowlist::default()),
            automigrate: false,
            watch: false,
            dev: false,
            encryption_env: String::new(),
        };
        for folder in [&options.hooks_dir, &options.modules_dir] {
            std::fs::create_dir_all(folder).unwrap();
        }
        let parts = HookParts {
            engine: engine.clone(),
            live: Live::start(&engine, LiveOptions::default()),
            clients: Clients::default(),
            apis: Vec::new(),
            operations: Vec::new(),
        };
        let scripts = Scripts::open(parts, options, stop.clone()).unwrap();
        scripts.load().await;
        Self {
            engine,
            scripts,
            dir,
            stop,
        }
    }

    /// Adds a script, or replaces it, and loads it. Panics when it does not load.
    pub(super) async fn script(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join("pb_hooks").join(name), text).unwrap();
        self.scripts.refresh(Wanted::Changed).await;
        for script in self.scripts.list() {
            let error = script.state(|state| state.last_error.clone());
            assert!(error.is_none(), "{error:?}");
        }
    }

    /// Runs the body of a function; gives what it returns. Panics when it throws.
    pub(super) async fn run(&self, code: &str) -> Json {
        match self.attempt(code).await {
            Ok(value) => value,
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs the body of a function; gives what it returns or throws.
    pub(super) async fn attempt(&self, code: &str) -> Outcome {
        let text = format!("(function () {{\n{code}\n}})");
        let (answer, answered) = oneshot::channel();
        let begun = self
            .scripts
            .on_thread(move |turn| begin(turn, &text, answer));
        begun.await.expect("the script thread runs")?;
        answered.await.expect("the function ends")
    }
}

fn begin(
    turn: &mut Turn<'_>,
    text: &str,
    answer: oneshot::Sender<Outcome>,
) -> Result<(), ScriptError> {
    let world = World::of(turn).expect("a world");
    let scope = world.bare_scope(&turn.thread, "test.js").unwrap();
    let owner = Rc::clone(&scope);
    let function = turn.enter(&scope, None, false, |context| {
        world.furnish(context).unwrap();
        let function = owner.evaluate(Path::new("test.js"), text, context)?;
        Ok(function.as_function().expect("a function"))
    })?;
    let arguments = Box::new(|_: &mut _| Ok(Vec::new()));
    plain_call(turn, &scope, &function, arguments, None, |outcome| {
        let _ = answer.send(outcome);
    });
    Ok(())
}

/// The collections of the house: each member is open to everybody.
fn collections() -> Vec<Map<String, Json>> {
    let date = |name: &str, on_update: bool| json!({"name": name, "type": "autodate", "onCreate": true, "onUpdate": on_update});
    let notes = json!({
        "id": "housenotes00001", "name": "notes", "type": "base",
        "fields": [
            {"name": "title", "type": "text", "required": true, "max": 20},
            {"name": "body", "type": "text"},
            {"name": "slug", "type": "text", "autogeneratePattern": "[a-z]{5}"},
            {"name": "n", "type": "number"},
            {"name": "done", "type": "bool"},
            {"name": "tags", "type": "select", "values": ["red", "green", "blue"], "maxSelect": 3},
            {"name": "level", "type": "select", "values": ["low", "high"], "maxSelect": 1},
            {"name": "meta", "type": "json"},
            {"name": "due", "type": "date"},
            {"name": "place", "type": "geoPoint"},
            {"name": "pics", "type": "file", "maxSelect": 3},
            {"name": "owner", "type": "relation", "collectionId": "_pb_users_auth_", "maxSelect": 1},
            {"name": "links", "type": "relation", "collectionId": "housenotes00001", "maxSelect": 5},
            {"name": "secret", "type": "text", "hidden": true},
            date("created", false),
            date("updated", true),
        ],
    });
    let comments = json!({
        "id": "housecomments01", "name": "comments", "type": "base",
        "fields": [
            {"name": "text", "type": "text"},
            {"name": "note", "type": "relation", "collectionId": "housenotes00001", "maxSelect": 1, "cascadeDelete": true},
        ],
    });
    let mut bodies = Vec::new();
    for mut body in [notes, comments] {
        for rule in [
            "listRule",
            "viewRule",
            "createRule",
            "updateRule",
            "deleteRule",
        ] {
            body[rule] = "".into();
        }
        bodies.extend(body.as_object().cloned());
    }
    bodies
}

/// That a test of this room can fail at all.
#[tokio::test(flavor = "multi_thread")]
async fn code_that_throws_fails() {
    let house = House::open().await;
    let error = house.attempt("throw new Error('no')").await.unwrap_err();
    assert!(error.to_string().contains("no"), "{error}");
    assert_eq!(house.run("return [1, 'a']").await, json!([1, "a"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_here_says_so() {
    let house = House::open().await;
    let got = house
        .run(
            r#"
            const note = new Record($app.findCollectionByNameOrId("notes"), { title: "a" });
            const calls = {
                clearBootstrap: () => $app.clearBootstrap(), resetBootstrapState: () => $app.resetBootstrapState(),
                start: () => $app.start(), execute: () => $app.execute(), s3: () => $filesystem.s3(),
                auxSave: () => $app.auxSave(note), auxSaveNoValidate: () => $app.auxSaveNoValidate(note),
                auxSaveWithContext: () => $app.auxSaveWithContext(null, note), auxDelete: () => $app.auxDelete(note),
                auxSaveNoValidateWithContext: () => $app.auxSaveNoValidateWithContext(null, note),
                auxDeleteWithContext: () => $app.auxDeleteWithContext(null, note),
                bare: () => $app.unsafeWithoutHooks().save($app.findCollectionByNameOrId("notes")),
            };
            return Object.keys(calls).filter((name) => {
                try {
                    calls[name]();
                    return true;
                } catch (error) {
                    return error.name !== "GoError" || error.message.length < 30;
                }
            });
            "#,
        )
        .await;
    assert_eq!(got, serde_json::json!([]), "these did not");
}
