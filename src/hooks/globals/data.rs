//! `db`: records as plain objects. Nothing here throws: what fails gives `{"error": message}`.

use std::sync::Arc;

use boa_engine::{Context, JsArgs, JsResult, JsValue, js_string};
use serde_json::{Map, Value as Json, json};

use super::Natives;
use super::plain::{members, or_error, to_script};
use super::registration::text;
use crate::engine::{Engine, Error, Link};
use crate::filter::{self, Limits, Param, Params};
use crate::hooks::operate::{look_up, operate};
use crate::hooks::session::App;
use crate::model::{Collection, ExportView, Record};
use crate::store::search::Condition;
use crate::store::statement::{self, Rows, Statement};
use crate::store::{Tx, records};

pub(super) const NATIVES: Natives = &[
    ("findById", 2, find_by_id),
    ("findOne", 3, find_one),
    ("findAll", 6, find_all),
    ("create", 2, create),
    ("update", 3, update),
    ("delete", 2, delete),
    ("count", 3, count),
    ("failure", 1, failure),
    ("query", 2, query),
];

/// The most records of one list.
const LIST_MAX: u64 = 10_000;
/// How many records a list has when nothing is said.
const LIST_DEFAULT: u64 = 100;

/// A record with all its fields, but for what is secret.
pub(super) fn plain(record: &Record) -> Json {
    let view = ExportView {
        with_hidden: true,
        show_email: true,
        expand: None,
    };
    Json::Object(record.to_json(&view))
}

fn collection(app: &App<'_>, name: &str) -> Result<Arc<Collection>, Error> {
    app.collection(name)
        .map_err(|_| Error::NotFound(format!("There is no collection {name}.")))
}

fn missing() -> Error {
    Error::not_found()
}

fn link<'a>(app: App<'a>) -> Link<'a> {
    match app.tx {
        Some(tx) => Link::Tx(tx),
        None => Link::Pool(app.engine),
    }
}

/// Which records are meant.
#[derive(Default)]
struct Wanted {
    filter: String,
    sort: Option<String>,
    limit: u64,
    offset: u64,
}

/// A filter with values for its `{:name}` placeholders.
fn filter_of(
    filter: &JsValue,
    params: Map<String, Json>,
    context: &mut Context,
) -> JsResult<Result<String, Error>> {
    if filter.is_null_or_undefined() {
        return Ok(Ok(String::new()));
    }
    let filter = text(filter, context)?;
    if params.is_empty() {
        return Ok(Ok(filter));
    }
    let params: Params = params
        .into_iter()
        .map(|(name, value)| (name, Param::from(value)))
        .collect();
    let substituted = filter::substitute(&filter, &params, &Limits::REQUEST);
    Ok(substituted
        .map(|tree| tree.to_string())
        .map_err(|error| Error::bad_request(error.to_string())))
}

fn number(value: &JsValue, default: u64, context: &mut Context) -> JsResult<u64> {
    if value.is_null_or_undefined() {
        return Ok(default);
    }
    value.to_length(context)
}

/// `findById(collection, id)`.
fn find_by_id(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    or_error(context, |context| {
        let name = text(args.get_or_undefined(0), context)?;
        let id = text(args.get_or_undefined(1), context)?;
        caught(context, move |app| {
            Box::pin(async move {
                let collection = collection(&app, &name)?;
                let mut link = link(app);
                let found = records::find(
                    &mut *link.conn().await?,
                    &collection,
                    &id,
                    &Condition::Always,
                )
                .await?;
                Ok(plain(&found.ok_or_else(missing)?))
            })
        })
    })
}

/// `findOne(collection, filter, params?)`.
fn find_one(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    or_error(context, |context| {
        let name = text(args.get_or_undefined(0), context)?;
        let params = members(args, 2, context)?;
        let filter = match filter_of(args.get_or_undefined(1), params, context)? {
            Ok(filter) => filter,
            Err(error) => return Ok(Err(error)),
        };
        let wanted = Wanted {
            filter,
            sort: Some(String::new()),
            limit: 1,
            offset: 0,
        };
        let found = list(context, name, wanted)?;
        Ok(found.and_then(|found| found.into_iter().next().ok_or_else(missing)))
    })
}

/// `findAll(collection, filter?, sort="-created", limit=100, offset=0, params?)`.
fn find_all(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    or_error(context, |context| {
        let name = text(args.get_or_undefined(0), context)?;
        let params = members(args, 5, context)?;
        let filter = match filter_of(args.get_or_undefined(1), params, context)? {
            Ok(filter) => filter,
            Err(error) => return Ok(Err(error)),
        };
        let sort = match args.get_or_undefined(2) {
            sort if sort.is_null_or_undefined() => None,
            sort => Some(text(sort, context)?),
        };
        let wanted = Wanted {
            filter,
            sort,
            limit: number(args.get_or_undefined(3), LIST_DEFAULT, context)?.min(LIST_MAX),
            offset: number(args.get_or_undefined(4), 0, context)?,
        };
        Ok(list(context, name, wanted)?.map(Json::Array))
    })
}

fn list(context: &mut Context, name: String, wanted: Wanted) -> JsResult<Result<Vec<Json>, Error>> {
    caught(context, move |app| {
        Box::pin(async move {
            let collection = collection(&app, &name)?;
            let engine = app.engine.clone();
            // The newest first, where records know when they were made.
            let sort = wanted.sort.unwrap_or_else(|| {
                let dated = collection.field("created").is_some();
                if dated { "-created" } else { "" }.to_owned()
            });
            let mut link = link(app);
            let found = engine
                .select_unruled(
                    &mut link,
                    &collection,
                    (&wanted.filter, &sort),
                    (wanted.limit, wanted.offset),
                )
                .await?;
            Ok(found.iter().map(plain).collect())
        })
    })
}

/// `count(collection, filter?, params?)`.
fn count(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    or_error(context, |context| {
        let name = text(args.get_or_undefined(0), context)?;
        let params = members(args, 2, context)?;
        let filter = match filter_of(args.get_or_undefined(1), params, context)? {
            Ok(filter) => filter,
            Err(error) => return Ok(Err(error)),
        };
        caught(context, move |app| {
            Box::pin(async move {
                let collection = collection(&app, &name)?;
                let engine = app.engine.clone();
                let mut link = link(app);
                let schema = link.schema(&engine);
                let condition = match filter.as_str() {
                    "" => Condition::Always,
                    filter => engine.condition(&schema, &collection, filter, None, true)?,
                };
                let mut conn = link.conn().await?;
                Ok(json!(
                    records::count(&mut conn, &collection, &condition).await?
                ))
            })
        })
    })
}

/// `create(collection, data)`.
fn create(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    or_error(context, |context| {
        let name = text(args.get_or_undefined(0), context)?;
        let data = members(args, 1, context)?;
        write(context, move |engine, tx| {
            Box::pin(async move {
                let mut record = Record::new(find_collection(tx, &name)?);
                record.apply(&data);
                Ok(plain(&engine.save(tx, record).await?))
            })
        })
    })
}

/// `update(collection, id, data)`.
fn update(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    or_error(context, |context| {
        let name = text(args.get_or_undefined(0), context)?;
        let id = text(args.get_or_undefined(1), context)?;
        let data = members(args, 2, context)?;
        write(context, move |engine, tx| {
            Box::pin(async move {
                let mut record = find(tx, &name, &id).await?;
                record.apply(&data);
                Ok(plain(&engine.save(tx, record).await?))
            })
        })
    })
}

/// `delete(collection, id)`: `{success, id}`.
fn delete(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    or_error(context, |context| {
        let name = text(args.get_or_undefined(0), context)?;
        let id = text(args.get_or_undefined(1), context)?;
        write(context, move |engine, tx| {
            Box::pin(async move {
                let record = find(tx, &name, &id).await?;
                engine.delete_in(tx, record, None).await?;
                Ok(json!({"success": true, "id": id}))
            })
        })
    })
}

/// `failure(thrown)`: `{error}` of what was thrown.
fn failure(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let thrown = args.get_or_undefined(0);
    let message = match thrown.as_object() {
        Some(object) => object.get(js_string!("message"), context)?,
        None => thrown.clone(),
    };
    let message = text(&message, context)?;
    to_script(&json!({"error": message}), context)
}

/// `query(text, params)`: the rows of one statement that only reads, as objects. It sees what the transaction has written.
fn query(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    or_error(context, |context| {
        let statement = Statement {
            text: text(args.get_or_undefined(0), context)?,
            params: members(args, 1, context)?,
        };
        caught(context, move |app| {
            Box::pin(async move {
                let mut link = link(app);
                let mut conn = link.conn().await?;
                let Rows { columns, rows } = statement::read(&mut conn, &statement).await?;
                let objects = rows.into_iter().map(|row| {
                    let members = columns.iter().cloned().zip(row);
                    Json::Object(members.collect())
                });
                Ok(Json::Array(objects.collect()))
            })
        })
    })
}

fn find_collection(tx: &Tx, name: &str) -> Result<Arc<Collection>, Error> {
    let found = tx.schema().find(name).cloned();
    found.ok_or_else(|| Error::NotFound(format!("There is no collection {name}.")))
}

async fn find(tx: &mut Tx, name: &str, id: &str) -> Result<Record, Error> {
    let collection = find_collection(tx, name)?;
    records::find(tx, &collection, id, &Condition::Always)
        .await?
        .ok_or_else(missing)
}

type Future<'a, T> = futures_util::future::BoxFuture<'a, Result<T, Error>>;

/// [`look_up`] whose errors are values.
fn caught<T, F>(context: &mut Context, operation: F) -> JsResult<Result<T, Error>>
where
    T: Send + 'static,
    F: for<'a> FnOnce(App<'a>) -> Future<'a, T> + Send + 'static,
{
    look_up(context, move |app| {
        let work = operation(app);
        Box::pin(async move { Ok(work.await) })
    })
}

/// Work inside the call's transaction, or in one of its own. What fails inside of another's is undone alone.
fn write<F>(context: &mut Context, work: F) -> JsResult<Result<Json, Error>>
where
    F: for<'a> FnOnce(Engine, &'a mut Tx) -> Future<'a, Json> + Send + 'static,
{
    operate(context, move |app| {
        let engine = app.engine.clone();
        Box::pin(async move {
            Ok(match app.tx {
                Some(tx) => tx.savepoint(move |tx| work(engine, tx)).await,
                None => {
                    let store = engine.store().clone();
                    store.write(move |tx| work(engine, tx)).await
                }
            })
        })
    })
}
