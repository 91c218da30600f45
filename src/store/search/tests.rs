//! What filters mean, checked on a small database. `expected.json` holds the answers of PocketBase to the same questions over the same data.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::string_slice,
    clippy::indexing_slicing
)]

mod meaning;
mod property;
mod sql;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value as Json};

use super::{Compiler, Condition, Form, Part, Pieces, RequestValues, Scope, Sort};
use crate::filter::parse_sort;
use crate::model::{Collection, Record, Schema, Value};
use crate::store::tables::tests::{collection, store};
use crate::store::{Error, ReadGuard, Store, records, tables};

/// A database with the collections and rows of `data.json`.
struct World {
    store: Store,
    schema: Schema,
    compiler: Compiler,
    _dir: tempfile::TempDir,
}

/// One question to the world.
#[derive(Clone, Default)]
struct Ask<'a> {
    on: &'a str,
    rule: &'a str,
    filter: &'a str,
    sort: &'a str,
    /// The id of the signed-in member.
    user: Option<&'a str>,
    superuser: bool,
    body: Map<String, Json>,
}

fn data() -> Json {
    serde_json::from_str(include_str!("tests/data.json")).unwrap()
}

fn collections() -> Vec<Arc<Collection>> {
    let mut data = data();
    let bodies = data["collections"].as_array_mut().unwrap();
    bodies
        .iter_mut()
        .map(|body| Arc::new(collection(body.take())))
        .collect()
}

fn schema() -> Schema {
    Schema::new(1, collections())
}

/// Ids are written short in the tables: `p01` for `p01000000000000`.
fn id(short: &str) -> String {
    format!("{short:0<15}")
}

impl World {
    async fn new() -> Self {
        let (store, dir) = store().await;
        let all = collections();
        let made = all.clone();
        store
            .write_exclusive::<(), Error, _>(move |tx| {
                Box::pin(async move {
                    for collection in &made {
                        tables::create(tx, collection).await?;
                        let data = data();
                        for row in data["rows"][&collection.name].as_array().unwrap() {
                            records::insert(tx, &record(collection, row)).await?;
                        }
                    }
                    Ok(())
                })
            })
            .await
            .unwrap();
        Self {
            store,
            schema: Schema::new(1, all),
            compiler: Compiler::default(),
            _dir: dir,
        }
    }

    async fn conn(&self) -> ReadGuard {
        self.store.read().await.unwrap()
    }

    fn collection(&self, name: &str) -> &Arc<Collection> {
        self.schema.find(name).unwrap()
    }

    async fn user(&self, id: Option<&str>) -> Option<Record> {
        let members = self.collection("members");
        let mut conn = self.conn().await;
        let found = records::find(&mut conn, members, id?, &Condition::Always).await;
        found.unwrap()
    }

    async fn compile(&self, ask: &Ask<'_>) -> Result<(Condition, Sort), Error> {
        let user = self.user(ask.user).await;
        compile(&self.compiler, &self.schema, ask, user.as_ref())
    }

    /// The ids of the rows that satisfy a condition, asked for in every way there is; all must agree.
    async fn ids(&self, on: &str, condition: &Condition, sort: &Sort) -> Vec<String> {
        let collection = self.collection(on);
        let mut conn = self.conn().await;
        let mut query = records::ListQuery {
            collection,
            condition,
            sort,
            limit: 1000,
            offset: 0,
        };
        let list = records::list(&mut conn, &query).await.unwrap();
        let ids: Vec<String> = list.iter().map(|record| record.id().to_owned()).collect();
        let total = records::count(&mut conn, collection, condition).await;
        assert_eq!(total.unwrap(), ids.len() as u64, "count");

        (query.limit, query.offset) = (3, 2);
        let (page, total) = records::list_and_count(&mut conn, &query).await.unwrap();
        let page: Vec<&str> = page.iter().map(Record::id).collect();
        let wanted: Vec<&String> = ids.iter().skip(2).take(3).collect();
        assert_eq!(page, wanted, "a page");
        assert_eq!(total, ids.len() as u64, "the count with a page");

        let data = data();
        let rows = data["rows"][on].as_array().unwrap();
        let all: Vec<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
        let matching = records::matching_ids(&mut conn, collection, &all, condition).await;
        let matching = matching.unwrap();
        assert_eq!(matching.len(), ids.len(), "asked by id");
        assert!(ids.iter().all(|id| matching.contains(id)), "asked by id");
        for form in [Form::Many, Form::Whole] {
            let mut pieces = Pieces::default();
            condition.write(form, &mut pieces);
            assert_eq!(
                pieces.conditions.matches('?').count() + pieces.joins.matches('?').count(),
                pieces.condition_args.len() + pieces.join_args.len(),
                "placeholders"
            );
        }
        ids
    }
}

fn compile(
    compiler: &Compiler,
    schema: &Schema,
    ask: &Ask<'_>,
    user: Option<&Record>,
) -> Result<(Condition, Sort), Error> {
    let none = Map::new();
    let request = RequestValues {
        context: "default",
        method: "GET",
        query: &none,
        headers: &none,
        body: &ask.body,
        auth: user,
        now: "2024-06-15T12:00:00Z".parse::<DateTime<Utc>>().unwrap(),
    };
    let scope = Scope {
        schema,
        collection: schema.find(ask.on).unwrap(),
        request: Some(&request),
        allow_hidden: ask.superuser,
    };
    let mut parts = Vec::new();
    for (text, allow_hidden) in [(ask.rule, true), (ask.filter, ask.superuser)] {
        if !text.is_empty() {
            parts.push(Part { text, allow_hidden });
        }
    }
    let sort = if ask.sort.is_empty() {
        Vec::new()
    } else {
        parse_sort(ask.sort)
    };
    compiler.compile_list(&parts, &sort, &scope)
}

fn record(collection: &Arc<Collection>, row: &Json) -> Record {
    let mut record = Record::new(Arc::clone(collection));
    record.apply(row.as_object().unwrap());
    if collection.is_auth() {
        record.set("tokenKey", Value::Text(format!("key of {}", record.id())));
    }
    record
}
