//! `$app`: the engine for scripts, inside the transaction of the call at hand if it has one.

use std::rc::Rc;

use boa_engine::{Context, JsArgs, JsError, JsNativeError, JsResult, JsValue};
use tokio::sync::{mpsc, oneshot};

use super::Natives;
use super::registration::{function, text};
use crate::engine::Error;
use crate::hooks::failure;
use crate::hooks::operate::{OPERATION_MAX, operate, wait_for};
use crate::hooks::record::RecordObject;
use crate::hooks::session::{Session, ToHost, serve};
use crate::hooks::world::{session, world};
use crate::js::thread::{Current, Thread, Wait};
use crate::store::records;
use crate::store::search::Condition;

pub(super) const NATIVES: Natives = &[
    ("findRecordById", 2, find_record_by_id),
    ("save", 1, save),
    ("transaction", 1, transaction),
];

/// `findRecordById(collection, id)`.
fn find_record_by_id(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let collection = text(args.get_or_undefined(0), context)?;
    let id = text(args.get_or_undefined(1), context)?;
    let record = operate(context, move |app| {
        Box::pin(async move {
            let collection = app.collection(&collection)?;
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

/// `save(record)`: creates or updates, with hooks and validation and without rules. The object gets what was saved.
fn save(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let target = args.get_or_undefined(0);
    let record = RecordObject::record(target)
        .ok_or_else(|| JsNativeError::typ().with_message("a record is expected"))?;
    let saved = operate(context, move |app| {
        Box::pin(async move {
            let engine = app.engine.clone();
            match app.tx {
                Some(tx) => engine.save(tx, record).await,
                None => {
                    let store = engine.store().clone();
                    store
                        .write(move |tx| Box::pin(async move { engine.save(tx, record).await }))
                        .await
                }
            }
        })
    })?;
    RecordObject::replace(target, saved);
    Ok(JsValue::undefined())
}

/// `transaction(function)`: everything that the function does to the engine commits together, or, when it throws, not at
/// all. Inside a transaction it is part of that one.
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
    if session()?.transaction.is_some() {
        return call(context);
    }
    let thread = Thread::of_native()?;
    let engine = world()?.engine.clone();
    let (to_host, inbox) = mpsc::unbounded_channel();
    let (open, opened) = oneshot::channel();
    let task = thread.host().runtime().spawn(async move {
        let store = engine.store().clone();
        store
            .write(move |tx| {
                Box::pin(async move {
                    let _ = open.send(());
                    serve(&engine, tx, inbox).await
                })
            })
            .await
    });
    let chain = thread.chain();
    let wait = Wait {
        limit: OPERATION_MAX,
        serves_others: false,
    };
    let began = wait_for(&thread, context, &chain, &wait, opened)?;
    let mut thrown: Option<JsError> = None;
    let mut value = JsValue::undefined();
    if began.is_ok() {
        let current = Current {
            session: Some(Rc::new(Session {
                transaction: Some(to_host.clone()),
                request: session()?.request.clone(),
            })),
            in_writer: true,
            ..thread.on_behalf()
        };
        let end = match thread.behalf(current, || call(context)) {
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
