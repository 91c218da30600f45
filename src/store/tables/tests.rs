#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::{Map, Value as Json, json};

use super::*;
use crate::base::DateTime;
use crate::store::{Store, StoreOptions};

pub(in crate::store) async fn store() -> (Store, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(dir.path())).await.unwrap();
    (store, dir)
}

/// A collection from its JSON, completed as a saved one is.
pub(in crate::store) fn collection(body: Json) -> Collection {
    let Json::Object(body) = body else { panic!() };
    let body: Map<String, Json> = body;
    let mut collection = Collection::from_body(&body).unwrap();
    collection.prepare_save(true, DateTime::from_unix_ms(0), |_| false);
    collection
}

fn posts(fields: Json, indexes: Json) -> Collection {
    collection(json!({"name": "posts", "type": "base", "fields": fields, "indexes": indexes}))
}

async fn change(store: &Store, old: &Collection, new: &Collection) -> Result<(), Error> {
    let (old, new) = (old.clone(), new.clone());
    store
        .write_exclusive(move |tx| Box::pin(async move { sync(tx, &old, &new).await }))
        .await
}

async fn make(store: &Store, new: &Collection) -> Result<(), Error> {
    let new = new.clone();
    store
        .write_exclusive(move |tx| Box::pin(async move { create(tx, &new).await }))
        .await
}

async fn run_sql(store: &Store, sql: &'static str) {
    store
        .write_exclusive(move |tx| Box::pin(tx.run(sql)))
        .await
        .unwrap();
}

async fn strings(store: &Store, sql: &str) -> Vec<String> {
    let mut conn = store.read().await.unwrap();
    let rows = conn.fetch_all(&Sql::new(sql).uncached()).await.unwrap();
    rows.iter().map(|row| row.get_unchecked(0)).collect()
}

async fn definition(store: &Store, name: &str) -> Vec<String> {
    strings(
        store,
        &format!("SELECT sql FROM sqlite_schema WHERE tbl_name = '{name}' AND sql IS NOT NULL ORDER BY type DESC, name"),
    )
    .await
}

#[tokio::test]
async fn columns_have_pocketbases_types_in_alphabetical_order() {
    let (store, _dir) = store().await;
    let new = posts(
        json!([
            {"name": "title", "type": "text"}, {"name": "n", "type": "number"}, {"name": "b", "type": "bool"},
            {"name": "j", "type": "json"}, {"name": "g", "type": "geoPoint"}, {"name": "d", "type": "date"},
            {"name": "one", "type": "select", "values": ["a"], "maxSelect": 1},
            {"name": "many", "type": "select", "values": ["a"], "maxSelect": 2},
        ]),
        json!(["create unique index ix on whatever (title, lower(one)) where title != ''"]),
    );
    make(&store, &new).await.unwrap();
    assert_eq!(
        definition(&store, "posts").await,
        [
            "CREATE TABLE `posts` (`b` BOOLEAN DEFAULT FALSE NOT NULL, `d` TEXT DEFAULT '' NOT NULL, \
             `g` JSON DEFAULT '{\"lon\":0,\"lat\":0}' NOT NULL, \
             `id` TEXT PRIMARY KEY DEFAULT ('r'||lower(hex(randomblob(7)))) NOT NULL, `j` JSON DEFAULT NULL, \
             `many` JSON DEFAULT '[]' NOT NULL, `n` NUMERIC DEFAULT 0 NOT NULL, `one` TEXT DEFAULT '' NOT NULL, \
             `title` TEXT DEFAULT '' NOT NULL)",
            "CREATE UNIQUE INDEX `ix` ON `posts` (\n  `title`,\n  lower(one)\n) WHERE title != ''",
        ]
    );
}

#[tokio::test]
async fn names_swap_and_tables_are_renamed_with_their_rows() {
    let (store, _dir) = store().await;
    let old = posts(
        json!([{"id": "f1", "name": "a", "type": "text"}, {"id": "f2", "name": "b", "type": "text"},
               {"id": "f3", "name": "gone", "type": "text"}]),
        json!(["CREATE INDEX `ia` ON `posts` (`a`)"]),
    );
    make(&store, &old).await.unwrap();
    run_sql(
        &store,
        "INSERT INTO posts (id, a, b, gone) VALUES ('1', 'x', 'y', 'z')",
    )
    .await;
    let new = collection(json!({
        "name": "articles", "type": "base",
        "fields": [{"id": "f1", "name": "b", "type": "text"}, {"id": "f2", "name": "a", "type": "text"},
                   {"id": "f4", "name": "gone", "type": "number"}],
        "indexes": ["CREATE INDEX `ia` ON `posts` (`b`)"],
    }));
    change(&store, &old, &new).await.unwrap();
    assert_eq!(
        strings(&store, "SELECT id || a || b || gone FROM articles").await,
        ["1yx0"]
    );
    let definition = definition(&store, "articles").await;
    assert_eq!(definition[1], "CREATE INDEX `ia` ON `articles` (`b`)");
}

#[tokio::test]
async fn single_and_multiple_values_convert_under_a_view() {
    let (store, _dir) = store().await;
    let select = |max| {
        posts(
            json!([{"id": "s", "name": "s", "type": "select", "values": ["a", "b", "c"], "maxSelect": max}]),
            json!(["CREATE INDEX `is` ON `posts` (`s`)"]),
        )
    };
    make(&store, &select(1)).await.unwrap();
    run_sql(
        &store,
        "INSERT INTO posts (id, s) VALUES ('1', 'a'), ('2', ''), ('3', '[\"b\",\"c\"]'), ('4', '5');
         CREATE VIEW seen AS SELECT * FROM (SELECT id, s FROM posts)",
    )
    .await;
    change(&store, &select(1), &select(2)).await.unwrap();
    let values = "SELECT s FROM seen ORDER BY id";
    assert_eq!(
        strings(&store, values).await,
        ["[\"a\"]", "[]", "[\"b\",\"c\"]", "[\"5\"]"]
    );
    assert!(definition(&store, "posts").await[0].contains("`s` JSON DEFAULT '[]' NOT NULL"));
    change(&store, &select(2), &select(1)).await.unwrap();
    assert_eq!(strings(&store, values).await, ["a", "", "c", "5"]);
    assert_eq!(definition(&store, "posts").await.len(), 2);
}

#[tokio::test]
async fn bad_indexes_are_reported_together_and_nothing_remains() {
    let (store, _dir) = store().await;
    let new = posts(
        json!([{"name": "a", "type": "text"}]),
        json!([
            "CREATE INDEX good ON posts (a)",
            "CREATE INDEX bad ON posts (missing)",
            "no index",
            "CREATE INDEX two ON posts (a) WHERE 1; DROP TABLE users",
        ]),
    );
    let Err(Error::Indexes(failures)) = make(&store, &new).await else {
        panic!()
    };
    let positions: Vec<_> = failures.iter().map(|failure| failure.position).collect();
    assert_eq!(positions, [1, 2, 3]);
    assert_eq!(
        failures[0].message,
        "Failed to create index bad - no such column: missing."
    );
    assert_eq!(failures[1].message, "Invalid CREATE INDEX expression.");
    let mut conn = store.read().await.unwrap();
    assert!(!exists(&mut conn, "posts").await.unwrap());
    assert!(exists(&mut conn, "USERS").await.unwrap());
}

#[tokio::test]
async fn a_unique_index_over_equal_values_is_refused() {
    let (store, _dir) = store().await;
    let fields = json!([{"id": "a", "name": "a", "type": "text"}]);
    let old = posts(fields.clone(), json!([]));
    make(&store, &old).await.unwrap();
    run_sql(
        &store,
        "INSERT INTO posts (id, a) VALUES ('1', 'x'), ('2', 'x')",
    )
    .await;
    let new = posts(fields, json!(["CREATE UNIQUE INDEX u ON posts (a)"]));
    let refused = change(&store, &old, &new).await;
    assert!(matches!(refused, Err(Error::Indexes(_))), "{refused:?}");
}

#[tokio::test]
async fn a_column_that_a_view_selects_stays() {
    let (store, _dir) = store().await;
    let old = posts(json!([{"id": "a", "name": "a", "type": "text"}]), json!([]));
    make(&store, &old).await.unwrap();
    run_sql(
        &store,
        "INSERT INTO posts (id, a) VALUES ('1', 'x'); CREATE VIEW seen AS SELECT * FROM (SELECT id, a FROM posts)",
    )
    .await;
    let refused = change(&store, &old, &posts(json!([]), json!([]))).await;
    assert!(matches!(refused, Err(Error::Statement(_))), "{refused:?}");
    assert_eq!(strings(&store, "SELECT a FROM seen").await, ["x"]);
}

mod random_changes {
    use proptest::prelude::*;

    use super::*;

    /// What a generated step does to the definition.
    #[derive(Clone, Debug)]
    enum Step {
        Add { multiple: bool },
        Remove(usize),
        Rename(usize, usize),
        Toggle(usize),
        RenameTable,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            any::<bool>().prop_map(|multiple| Step::Add { multiple }),
            (0_usize..8).prop_map(Step::Remove),
            (0_usize..8, 0_usize..8).prop_map(|(one, two)| Step::Rename(one, two)),
            (0_usize..8).prop_map(Step::Toggle),
            Just(Step::RenameTable),
        ]
    }

    #[derive(Clone, Debug)]
    struct Shape {
        table: usize,
        /// Id, name, multiple.
        fields: Vec<(usize, String, bool)>,
        made: usize,
    }

    impl Shape {
        fn apply(&mut self, step: &Step) {
            let count = self.fields.len();
            match step {
                Step::Add { multiple } => {
                    self.made += 1;
                    self.fields
                        .push((self.made, format!("c{}", self.made), *multiple));
                }
                Step::Remove(at) if count > 1 => drop(self.fields.remove(at % count)),
                Step::Rename(one, two) if count > 1 => {
                    let (one, two) = (one % count, two % count);
                    let name = self.fields[one].1.clone();
                    self.fields[one].1 = std::mem::replace(&mut self.fields[two].1, name);
                }
                Step::Toggle(at) => {
                    let at = at % count;
                    self.fields[at].2 = !self.fields[at].2;
                }
                Step::RenameTable => self.table += 1,
                Step::Remove(_) | Step::Rename(..) => {}
            }
        }

        fn collection(&self) -> Collection {
            let fields: Vec<Json> = self
                .fields
                .iter()
                .map(|(id, name, multiple)| {
                    json!({"id": format!("f{id}"), "name": name, "type": "select", "values": ["v"],
                           "maxSelect": if *multiple { 2 } else { 1 }})
                })
                .collect();
            let first = &self.fields[0].1;
            collection(json!({
                "name": format!("t{}", self.table), "type": "base", "fields": fields,
                "indexes": [format!("CREATE INDEX `ix` ON `t` (`{first}`)")],
            }))
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn keep_the_values_of_fields_that_stay(steps in proptest::collection::vec(step(), 1..12)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (store, _dir) = store().await;
                let mut shape = Shape {
                    table: 0,
                    fields: vec![(0, "c0".to_owned(), false)],
                    made: 0,
                };
                let mut current = shape.collection();
                make(&store, &current).await.unwrap();
                run_sql(&store, "INSERT INTO t0 (id, c0) VALUES ('r1', 'v0')").await;
                for step in &steps {
                    let before = shape.clone();
                    shape.apply(step);
                    let next = shape.collection();
                    change(&store, &current, &next).await.unwrap();
                    // Each field that is new gets a value that names it.
                    for (id, name, multiple) in &shape.fields {
                        if !before.fields.iter().any(|(known, ..)| known == id) {
                            let value = if *multiple { format!("[\"v{id}\"]") } else { format!("v{id}") };
                            let sql = format!("UPDATE t{} SET {name} = '{value}'", shape.table);
                            store.write_exclusive(move |tx| Box::pin(tx.run(sql))).await.unwrap();
                        }
                    }
                    for (id, name, multiple) in &shape.fields {
                        let expected = if *multiple { format!("[\"v{id}\"]") } else { format!("v{id}") };
                        let found = strings(&store, &format!("SELECT {name} FROM t{}", shape.table)).await;
                        assert_eq!(found, [expected], "{steps:?}");
                    }
                    current = next;
                }
            });
        }
    }
}
