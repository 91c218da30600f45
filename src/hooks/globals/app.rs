//! `$app`: the engine for scripts, inside the transaction of the call at hand if it has one.

use std::rc::Rc;
use std::sync::Arc;

use boa_engine::{Context, JsArgs, JsError, JsNativeError, JsResult, JsString, JsValue, js_string};
use futures_util::future::BoxFuture;
use serde_json::{Map, Value as Json, json};
use tokio::sync::{mpsc, oneshot};

use super::Natives;
use super::registration::{function, list, text};
use crate::engine::events::{WITHIN, Within};
use crate::engine::records::RecordQuery;
use crate::engine::{Error, RequestInfo, context as request_context};
use crate::filter::Params;
use crate::hooks::collection::CollectionObject;
use crate::hooks::failure;
use crate::hooks::operate::{OPERATION_MAX, look_up, wait_for};
use crate::hooks::record::RecordObject;
use crate::hooks::session::{Session, ToHost, serve};
use crate::hooks::values;
use crate::hooks::world::{session, world};
use crate::js::thread::{Current, Thread, Wait};
use crate::model::{TokenKind, cast};
use crate::store::search::Condition;
use crate::store::{Tx, records};

pub(super) const NATIVES: Natives = &[
    ("findRecordById", 2, find_record_by_id),
    ("findRecordsByIds", 2, find_records_by_ids),
    ("findRecordByField", 3, find_record_by_field),
    ("search", 2, search),
    ("findRecordByToken", 2, find_record_by_token),
    ("canAccess", 3, can_access),
    ("relation", 2, relation),
    ("transaction", 2, transaction),
    ("isTransactional", 0, is_transactional),
];

/// `findRecordById(collection, id)`.
fn find_record_by_id(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let collection = target(args.get_or_undefined(0), context)?;
    let id = text(args.get_or_undefined(1), context)?;
    let record = look_up(context, move |app| {
        Box::pin(async move {
            let collection = app.named(&collection)?;
            let all = Condition::Always;
            let found = match app.tx {
                Some(tx) => records::find(tx, &collection, &id, &all).await?,
                None => app.engine.find_record(&collection, &id).await?,
            };
            found.ok_or_else(Error::not_found)
        })
    })?;
    Ok(RecordObject::create(record)?.into())
}

/// The name or id of a collection that is given as a text or as an object.
pub(super) fn target(value: &JsValue, context: &mut Context) -> JsResult<String> {
    if CollectionObject::is(value) {
        if let Some(id) = CollectionObject::stored_id(value) {
            return Ok(id);
        }
        let collection = CollectionObject::collection(value, context)?;
        return Ok(collection.map_or_else(String::new, |collection| collection.id.clone()));
    }
    text(value, context)
}

/// `findRecordsByIds(collection, ids)`: those there are.
fn find_records_by_ids(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let collection = target(args.get_or_undefined(0), context)?;
    let ids = values::json(args.get_or_undefined(1), context)?;
    let ids: Vec<String> = serde_json::from_value(ids).unwrap_or_default();
    let found = look_up(context, move |app| {
        Box::pin(async move {
            let collection = app.named(&collection)?;
            let mut link = app.link();
            let mut conn = link.conn().await?;
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            Ok(records::find_many(&mut conn, &collection, &ids, &Condition::Always).await?)
        })
    })?;
    RecordObject::list(found, context)
}

/// `findRecordByField(collection, field, value)`: the first one.
fn find_record_by_field(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let collection = target(args.get_or_undefined(0), context)?;
    let field = text(args.get_or_undefined(1), context)?;
    let value = values::json(args.get_or_undefined(2), context)?;
    let record = look_up(context, move |app| {
        Box::pin(async move {
            let collection = app.named(&collection)?;
            let value = match collection.field(&field) {
                Some(field) => field.cast(&value),
                None => {
                    return Err(Error::bad_request(format!("no such column: {field}")));
                }
            };
            let mut link = app.link();
            let mut conn = link.conn().await?;
            let found = records::find_by_field(&mut conn, &collection, &field, &value).await?;
            found.ok_or_else(Error::not_found)
        })
    })?;
    Ok(RecordObject::create(record)?.into())
}

/// `search(collection, {filter, params, sort, limit, offset})`.
fn search(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let collection = target(args.get_or_undefined(0), context)?;
    let mut asked = values::members(args.get_or_undefined(1), context)?;
    let number = |asked: &Map<String, Json>, name: &str| {
        let number = asked.get(name).map_or(0.0, cast::to_number);
        if number > 0.0 { number as u64 } else { 0 }
    };
    let params = match asked.shift_remove("params") {
        Some(Json::Object(params)) => params
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect(),
        _ => Params::new(),
    };
    let member = |name: &str| asked.get(name).map_or_else(String::new, cast::to_text);
    let (filter, sort) = (member("filter"), member("sort"));
    let (limit, offset) = (number(&asked, "limit"), number(&asked, "offset"));
    let found = look_up(context, move |app| {
        Box::pin(async move {
            let collection = app.named(&collection)?;
            let engine = app.engine;
            let query = RecordQuery {
                filter: &filter,
                params,
                sort: &sort,
                limit,
                offset,
            };
            let mut link = app.link();
            let found = engine.find_by_filter(&mut link, &collection, &query).await;
            found.map_err(|error| match error {
                Error::BadRequest(reason) => {
                    Error::bad_request(format!("invalid filter expression: {reason}"))
                }
                other => other,
            })
        })
    })?;
    RecordObject::list(found, context)
}

/// `findRecordByToken(token, kinds)`: the record that a valid token of one of these kinds stands for; of any kind when
/// there are none.
fn find_record_by_token(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let token = text(args.get_or_undefined(0), context)?;
    let kinds = list(args.get_or_undefined(1), context)?
        .iter()
        .map(|kind| text(kind, context))
        .collect::<JsResult<Vec<_>>>()?;
    let known = [
        TokenKind::Auth,
        TokenKind::File,
        TokenKind::Verification,
        TokenKind::PasswordReset,
        TokenKind::EmailChange,
    ];
    let kinds: Vec<TokenKind> = known
        .into_iter()
        .filter(|kind| kinds.is_empty() || kinds.iter().any(|name| name == kind.claim()))
        .collect();
    let record = look_up(context, move |app| {
        Box::pin(async move {
            let engine = app.engine;
            let mut link = app.link();
            let mut conn = link.conn().await?;
            let found = engine.record_of_token(&mut conn, &token, &kinds).await?;
            found
                .map(|(record, _)| record)
                .ok_or_else(|| Error::bad_request("invalid or expired token"))
        })
    })?;
    Ok(RecordObject::create(record)?.into())
}

/// `canAccess(record, info, rule)`.
fn can_access(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let record = RecordObject::record(args.get_or_undefined(0))
        .ok_or_else(|| JsNativeError::typ().with_message("a record is expected"))?;
    let request = request_info(args.get_or_undefined(1), context)?;
    let rule = args.get_or_undefined(2);
    let rule = if rule.is_null_or_undefined() {
        None
    } else {
        Some(text(rule, context)?)
    };
    let may = look_up(context, move |app| {
        Box::pin(async move {
            let engine = app.engine;
            let mut link = app.link();
            let schema = link.schema(engine);
            let mut conn = link.conn().await?;
            engine
                .can_access(&mut conn, &schema, &record, rule.as_deref(), &request)
                .await
        })
    })?;
    Ok(may.into())
}

/// What rules read of a request, from an object with the members of PocketBase's `RequestInfo`.
pub(in crate::hooks) fn request_info(
    value: &JsValue,
    context: &mut Context,
) -> JsResult<RequestInfo> {
    let mut request = RequestInfo::default();
    let Some(object) = value.as_object() else {
        return Ok(request);
    };
    let mut member = |name: &str| object.get(JsString::from(name), context);
    let auth = member("auth")?;
    let (query, headers, body) = (member("query")?, member("headers")?, member("body")?);
    let (method, of) = (member("method")?, member("context")?);
    request.auth = RecordObject::record(&auth).map(Arc::new);
    request.query = Arc::new(values::members(&query, context)?);
    request.headers = Arc::new(values::members(&headers, context)?);
    request.body = Arc::new(values::members(&body, context)?);
    if !method.is_null_or_undefined() {
        request.method = text(&method, context)?.into();
    }
    let of = text(&of, context)?;
    let contexts = [
        request_context::EXPAND,
        request_context::REALTIME,
        request_context::PROTECTED_FILE,
        request_context::BATCH,
        request_context::OTP,
        request_context::PASSWORD_AUTH,
    ];
    if let Some(known) = contexts.into_iter().find(|known| *known == of) {
        request.context = known;
    }
    Ok(request)
}

/// `relation(records, name)`: where the relation leads from records of one collection, as
/// `{collection, multiple, ids}`, the ids by record.
fn relation(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let owners: Vec<_> = list(args.get_or_undefined(0), context)?
        .iter()
        .filter_map(RecordObject::record)
        .collect();
    let name = text(args.get_or_undefined(1), context)?;
    let relation = look_up(context, move |app| {
        Box::pin(async move {
            let engine = app.engine;
            let mut link = app.link();
            let schema = link.schema(engine);
            let owners: Vec<_> = owners.iter().collect();
            let mut conn = link.conn().await?;
            engine.relation(&mut conn, &schema, &owners, &name).await
        })
    })?;
    let answer = json!({"multiple": relation.multiple, "ids": relation.ids});
    let answer = JsValue::from_json(&answer, context)?;
    if let Some(answer) = answer.as_object() {
        let target = CollectionObject::create(relation.target)?;
        answer.set(js_string!("collection"), target, true, context)?;
    }
    Ok(answer)
}

fn is_transactional(_: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    Ok(session()?.transaction.is_some().into())
}

/// Says of a closure that it works on any transaction.
fn in_transaction<F>(job: F) -> F
where
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<(), Error>>,
{
    job
}

/// `transaction(function, auxiliary)`: everything that the function does to the engine commits together, or, when it throws,
/// not at all; `auxiliary`: what it does to auxiliary.db. Inside a transaction it is part of that one.
fn transaction(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let callable = function(args.get_or_undefined(0))?;
    let call = |context: &mut Context| -> JsResult<JsValue> {
        let value = callable.call(&JsValue::undefined(), &[], context)?;
        if value.is_promise() {
            return Err(JsNativeError::typ()
                .with_message("a transaction takes a synchronous function")
                .into());
        }
        Ok(value)
    };
    let auxiliary = args.get_or_undefined(1).to_boolean();
    let world = world()?;
    let open_already = if auxiliary {
        world.auxiliary.borrow().is_some()
    } else {
        session()?.transaction.is_some()
    };
    if open_already {
        return call(context);
    }
    let thread = Thread::of_native()?;
    let engine = world.engine.clone();
    let (to_host, inbox) = mpsc::unbounded_channel();
    let (open, opened) = oneshot::channel();
    let chain = thread.chain();
    // What follows the commit calls scripts on behalf of this call.
    let within: Within = Arc::new(chain.clone());
    let (host, epoch) = (thread.host().clone(), thread.epoch());
    let work = WITHIN.scope(Some(within), async move {
        let store = engine.store().clone();
        let job = in_transaction(move |tx| {
            Box::pin(async move {
                let _ = open.send(());
                serve(&engine, tx, inbox, &host, epoch).await
            })
        });
        if auxiliary {
            store.write_logs(job).await
        } else {
            store.write(job).await
        }
    });
    let task = thread.host().runtime().spawn(work);
    let wait = Wait {
        limit: OPERATION_MAX,
        serves_others: false,
    };
    let began = wait_for(&thread, context, &chain, &wait, opened)?;
    let mut thrown: Option<JsError> = None;
    let mut value = JsValue::undefined();
    if began.is_ok() {
        let returned = if auxiliary {
            *world.auxiliary.borrow_mut() = Some(to_host.clone());
            let returned = call(context);
            world.auxiliary.take();
            returned
        } else {
            let current = Current {
                session: Some(Rc::new(Session {
                    transaction: Some(to_host.clone()),
                    request: session()?.request.clone(),
                })),
                in_writer: true,
                ..thread.on_behalf()
            };
            thread.behalf(current, || call(context))
        };
        let end = match returned {
            Ok(given) => {
                value = given;
                Ok(())
            }
            Err(error) => {
                thrown = Some(error);
                Err(failure::plain("the transaction's function threw"))
            }
        };
        let _ = to_host.send(ToHost::End(end));
    }
    let result = wait_for(&thread, context, &chain, &wait, task)?;
    match (thrown, result) {
        (Some(error), _) => Err(error),
        (None, Ok(Ok(()))) => Ok(value),
        (None, Ok(Err(error))) => Err(failure::to_js(&error, context)),
        (None, Err(_)) => Err(JsNativeError::error()
            .with_message("the transaction was lost")
            .into()),
    }
}
