//! Changes of collections against a data directory of their own.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use serde_json::{Map, Value as Json, json};
use tempfile::TempDir;

use super::{CollectionEvent, CollectionHook, CollectionNext, Import};
use crate::base::clock::Clock;
use crate::blob::Storage;
use crate::bus::{Bus, BusOptions};
use crate::engine::hooks::{Op, Stage};
use crate::engine::records::{Input, ListParams};
use crate::engine::{Engine, EngineOptions, Error, RequestInfo};
use crate::model::{Collection, Record, Value};
use crate::store::search::Condition;
use crate::store::{Store, StoreOptions, catalog, records};

struct Fixture {
    engine: Engine,
    dir: TempDir,
}

impl Fixture {
    async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engine = reopen(&dir).await;
        Self { engine, dir }
    }

    async fn create(&self, body: Json) -> Result<Arc<Collection>, Error> {
        self.engine.create_collection(object(body)).await
    }

    async fn update(&self, name: &str, body: Json) -> Result<Arc<Collection>, Error> {
        self.engine.update_collection(name, object(body)).await
    }

    async fn add(&self, name: &str, body: Json) -> String {
        let collection = self.engine.collection(name).unwrap();
        let request = self.superuser().await;
        let input = Input {
            body: object(body),
            ..Input::default()
        };
        let record = self
            .engine
            .create_record(&request, &collection, input)
            .await;
        record.unwrap().id().to_owned()
    }

    async fn superuser(&self) -> RequestInfo {
        let superusers = self.engine.collection("_superusers").unwrap();
        RequestInfo {
            auth: Some(Arc::new(Record::new(superusers))),
            ..RequestInfo::default()
        }
    }

    async fn rows(&self, name: &str) -> Vec<Record> {
        let collection = self.engine.collection(name).unwrap();
        let mut conn = self.engine.read().await.unwrap();
        let query = records::ListQuery {
            collection: &collection,
            condition: &Condition::Always,
            sort: &crate::store::search::Sort::default(),
            limit: 100,
            offset: 0,
        };
        records::list(&mut conn, &query).await.unwrap()
    }

    async fn has_table(&self, name: &str) -> bool {
        let mut conn = self.engine.read().await.unwrap();
        let catalog = catalog::read(&mut conn).await.unwrap();
        catalog.tables.iter().any(|table| table == name)
    }
}

async fn reopen(dir: &TempDir) -> Engine {
    let store = Store::open(StoreOptions::new(dir.path())).await.unwrap();
    Engine::open(EngineOptions {
        store,
        files: Storage::local(dir.path().join("storage")),
        bus: Bus::new(BusOptions::default()),
        mails: dir.path().join("mails"),
        clock: Clock::system(),
        encryption_key: None,
        rehash: true,
    })
    .await
    .unwrap()
}

fn object(body: Json) -> Map<String, Json> {
    match body {
        Json::Object(members) => members,
        other => panic!("{other}"),
    }
}

/// The codes of field errors by path, such as `fields.1.name`.
fn codes(error: &Error) -> Vec<(String, String)> {
    fn walk(path: &str, errors: &Map<String, Json>, found: &mut Vec<(String, String)>) {
        for (name, value) in errors {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            match (value["code"].as_str(), value.as_object()) {
                (Some(code), _) => found.push((path, code.to_owned())),
                (None, Some(nested)) => walk(&path, nested, found),
                _ => {}
            }
        }
    }
    let Error::Validation { fields, .. } = error else {
        panic!("{error:?}");
    };
    let mut found = Vec::new();
    walk("", &fields.to_json(), &mut found);
    found
}

fn assert_codes(error: &Error, expected: &[(&str, &str)]) {
    let found = codes(error);
    let found: Vec<(&str, &str)> = found
        .iter()
        .map(|(path, code)| (path.as_str(), code.as_str()))
        .collect();
    assert_eq!(found, expected);
}

fn text(name: &str) -> Json {
    json!({"name": name, "type": "text"})
}

#[tokio::test]
async fn a_new_collection_has_a_table_and_survives_a_restart() {
    let fixture = Fixture::open().await;
    let posts = json!({"name": "posts", "fields": [text("title")], "indexes": ["create index a on x (title)"]});
    let created = fixture.create(posts).await.unwrap();
    assert_eq!(created.indexes, ["CREATE INDEX `a` ON `posts` (`title`)"]);
    assert!(fixture.has_table("posts").await);
    let id = fixture.add("posts", json!({"title": "one"})).await;
    assert_eq!(fixture.rows("posts").await[0].id(), id);
    fixture.engine.store().close().await;
    let engine = reopen(&fixture.dir).await;
    let stored = engine.collection("posts").unwrap();
    assert_eq!(stored.to_json(), created.to_json());
}

#[tokio::test]
async fn renamed_fields_keep_their_values() {
    let fixture = Fixture::open().await;
    let created = fixture
        .create(json!({"name": "posts", "fields": [text("a"), text("b")]}))
        .await
        .unwrap();
    fixture.add("posts", json!({"a": "1", "b": "2"})).await;
    let mut fields = created.fields_json();
    fields[1]["name"] = "b".into();
    fields[2]["name"] = "a".into();
    fixture
        .update("posts", json!({"name": "articles", "fields": fields}))
        .await
        .unwrap();
    let rows = fixture.rows("articles").await;
    assert_eq!((rows[0].text("b"), rows[0].text("a")), ("1", "2"));
    assert!(!fixture.has_table("posts").await);
}

#[tokio::test]
async fn a_refused_change_leaves_nothing_behind() {
    let fixture = Fixture::open().await;
    let wrong = json!({"name": "posts", "indexes": ["create index a on posts (missing)"]});
    let error = fixture.create(wrong).await.unwrap_err();
    let code = "validation_invalid_index_expression";
    assert_codes(&error, &[("indexes.0", code)]);
    assert_eq!(error.to_string(), "Failed to create collection.");
    assert!(!fixture.has_table("posts").await);
    assert!(fixture.engine.collection("posts").is_err());
    fixture.create(json!({"name": "posts"})).await.unwrap();
}

#[tokio::test]
async fn input_is_validated_against_the_database() {
    let fixture = Fixture::open().await;
    fixture
        .create(json!({"name": "posts", "indexes": ["create index taken on posts (id)"]}))
        .await
        .unwrap();
    let wrong = json!({
        "name": "Posts",
        "listRule": "missing = 1",
        "viewRule": "@request.auth.id != '' && id = @request.query.a",
        "indexes": ["create index TAKEN on x (id)"],
        "fields": [{"name": "r", "type": "relation", "collectionId": "none"}],
    });
    // The name is taken, so that its table counts as its own: the index is not refused for belonging to another.
    let error = fixture.create(wrong.clone()).await.unwrap_err();
    let relation = (
        "fields.1.collectionId",
        "validation_field_relation_missing_collection",
    );
    assert_codes(
        &error,
        &[
            relation,
            ("listRule", "validation_invalid_rule"),
            ("name", "validation_collection_name_exists"),
        ],
    );
    let mut other = object(wrong);
    other.insert("name".into(), "_params".into());
    let error = fixture.create(Json::Object(other)).await.unwrap_err();
    assert_codes(
        &error,
        &[
            relation,
            ("indexes.0", "validation_existing_index_name"),
            ("listRule", "validation_invalid_rule"),
            ("name", "validation_collection_name_invalid"),
        ],
    );
}

#[tokio::test]
async fn views_follow_what_they_read() {
    let fixture = Fixture::open().await;
    let posts = fixture
        .create(
            json!({"name": "posts", "fields": [{"name": "n", "type": "select", "values": ["a", "b", "c"]}]}),
        )
        .await
        .unwrap();
    for (name, from) in [("v1", "posts"), ("v2", "v1")] {
        let query = format!("select id, n from {from}");
        fixture
            .create(json!({"name": name, "type": "view", "viewQuery": query}))
            .await
            .unwrap();
    }
    fixture.add("posts", json!({"n": "a"})).await;
    let mut fields = posts.fields_json();
    fields[1]["maxSelect"] = 3.into();
    fixture
        .update("posts", json!({"fields": fields}))
        .await
        .unwrap();
    for name in ["posts", "v1", "v2"] {
        let value = fixture.rows(name).await[0].get("n").cloned();
        assert_eq!(value, Some(Value::List(vec!["a".into()])), "{name}");
    }
}

#[tokio::test]
async fn what_others_need_is_not_deleted() {
    let fixture = Fixture::open().await;
    let posts = fixture.create(json!({"name": "posts"})).await.unwrap();
    let relation = json!({"name": "post", "type": "relation", "collectionId": posts.id});
    fixture
        .create(json!({"name": "notes", "fields": [relation]}))
        .await
        .unwrap();
    fixture
        .create(json!({"name": "v", "type": "view", "viewQuery": "select id from notes"}))
        .await
        .unwrap();
    for (name, expected) in [
        (
            "posts",
            "Failed to delete collection probably due to existing reference in notes",
        ),
        ("notes", "Failed to delete collection"),
        ("_superusers", "Failed to delete collection"),
    ] {
        let error = fixture.engine.delete_collection(name).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(fixture.has_table(name).await);
    }
    for name in ["v", "notes", "posts"] {
        fixture.engine.delete_collection(name).await.unwrap();
        assert!(!fixture.has_table(name).await);
    }
    let error = fixture.engine.delete_collection("posts").await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)));
}

#[tokio::test]
async fn truncating_cascades_or_is_refused_as_a_whole() {
    let fixture = Fixture::open().await;
    let posts = fixture.create(json!({"name": "posts"})).await.unwrap();
    let relation = |required: bool, cascade: bool| json!({"name": "post", "type": "relation", "collectionId": posts.id, "required": required, "cascadeDelete": cascade});
    let notes = fixture
        .create(json!({"name": "notes", "fields": [relation(true, false)]}))
        .await
        .unwrap();
    for _ in 0..3 {
        let post = fixture.add("posts", json!({})).await;
        fixture.add("notes", json!({"post": post})).await;
    }
    let error = fixture
        .engine
        .truncate_collection("posts")
        .await
        .unwrap_err();
    assert!(error.to_string().starts_with("Failed to truncate"));
    assert_eq!(fixture.rows("posts").await.len(), 3);
    let mut fields = notes.fields_json();
    fields[1]["cascadeDelete"] = true.into();
    fixture
        .update("notes", json!({"fields": fields}))
        .await
        .unwrap();
    fixture.engine.truncate_collection("posts").await.unwrap();
    assert!(fixture.rows("posts").await.is_empty());
    assert!(fixture.rows("notes").await.is_empty());
}

#[tokio::test]
async fn an_import_is_done_as_a_whole_or_not_at_all() {
    let fixture = Fixture::open().await;
    fixture.create(json!({"name": "old"})).await.unwrap();
    let import = |collections: Json, delete_missing: bool| -> Import {
        serde_json::from_value(json!({"collections": collections, "deleteMissing": delete_missing}))
            .unwrap()
    };
    let relation = |id: &str| json!({"name": "r", "type": "relation", "collectionId": id});
    let all = json!([
        {"name": "v", "type": "view", "viewQuery": "select id, r from a"},
        {"name": "a", "id": "aaa", "fields": [relation("bbb")]},
        {"name": "b", "id": "bbb", "fields": [relation("aaa")]},
    ]);
    let mut wrong = all.clone();
    wrong[2]["fields"][0]["name"] = "expand".into();
    let error = fixture
        .engine
        .import_collections(import(wrong, true))
        .await
        .unwrap_err();
    let code = "validation_collections_import_failure";
    assert_codes(&error, &[("collections", code)]);
    assert!(fixture.has_table("old").await && !fixture.has_table("a").await);
    fixture
        .engine
        .import_collections(import(all, true))
        .await
        .unwrap();
    assert!(!fixture.has_table("old").await && fixture.has_table("v").await);
    let error = fixture
        .engine
        .import_collections(Import::default())
        .await
        .unwrap_err();
    assert_codes(&error, &[("collections", "validation_required")]);
}

#[tokio::test]
async fn settings_follow_a_renamed_collection_and_stay() {
    let fixture = Fixture::open().await;
    fixture.create(json!({"name": "posts"})).await.unwrap();
    let rule = json!({"label": "posts:create", "maxRequests": 1, "duration": 1});
    let patch = json!({"rateLimits": {"rules": [rule]}, "meta": {"appName": "mine"}});
    fixture.engine.update_settings(object(patch)).await.unwrap();
    fixture
        .update("posts", json!({"name": "articles"}))
        .await
        .unwrap();
    let error = fixture
        .engine
        .update_settings(object(json!({"meta": {"appName": ""}})))
        .await
        .unwrap_err();
    assert_codes(&error, &[("meta.appName", "validation_required")]);
    for engine in [fixture.engine.clone(), {
        fixture.engine.store().close().await;
        reopen(&fixture.dir).await
    }] {
        let settings = engine.settings();
        assert_eq!(settings.rate_limits.rules[0].label, "articles:create");
        assert_eq!(settings.meta.app_name, "mine");
    }
}

#[tokio::test]
async fn lists_are_filtered_and_sorted() {
    let fixture = Fixture::open().await;
    for name in ["b", "a"] {
        fixture.create(json!({"name": name})).await.unwrap();
    }
    let params = ListParams {
        page: 1,
        per_page: 1,
        filter: "system = false && type = 'base'".into(),
        sort: "-name".into(),
        ..ListParams::default()
    };
    let page = fixture.engine.list_collections(&params).await.unwrap();
    assert_eq!((page.total_items, page.total_pages), (2, 2));
    assert_eq!(page.items[0].name, "b");
    for filter in ["listRule = ''", "@collection.a.id = id", "id ="] {
        let params = ListParams {
            filter: filter.into(),
            ..params.clone()
        };
        let refused = fixture.engine.list_collections(&params).await;
        assert!(matches!(refused, Err(Error::BadRequest(_))), "{filter}");
    }
}

/// Refuses one name and remembers what was committed.
#[derive(Default)]
struct Watch {
    committed: Mutex<Vec<(Op, String)>>,
    stages: AtomicUsize,
}

impl CollectionHook for Watch {
    fn handle<'a>(
        &'a self,
        stage: Stage,
        event: &'a mut CollectionEvent<'_>,
        next: CollectionNext<'a>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.stages.fetch_add(1, Ordering::Relaxed);
        if stage == Stage::Execute && event.collection.name == "forbidden" {
            return Box::pin(async { Err(Error::bad_request("not this name")) });
        }
        next.run(event)
    }

    fn committed(&self, _: &Engine, op: Op, collection: &Arc<Collection>) {
        let mut committed = self.committed.lock().unwrap();
        committed.push((op, collection.name.clone()));
    }
}

#[tokio::test]
async fn hooks_can_refuse_and_learn_of_commits_only() {
    let fixture = Fixture::open().await;
    let watch = Arc::new(Watch::default());
    fixture.engine.register_collection_hook(watch.clone());
    let error = fixture.create(json!({"name": "forbidden"})).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "Failed to create collection. Raw error: \nnot this name"
    );
    assert_eq!(watch.stages.load(Ordering::Relaxed), 3);
    fixture.create(json!({"name": "fine"})).await.unwrap();
    fixture.engine.delete_collection("fine").await.unwrap();
    let committed = watch.committed.lock().unwrap();
    let expected = [(Op::Create, "fine"), (Op::Delete, "fine")];
    assert_eq!(
        *committed,
        expected.map(|(op, name)| (op, name.to_owned())).to_vec()
    );
}
