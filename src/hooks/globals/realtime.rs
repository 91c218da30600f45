//! The clients of `/api/realtime`: who is connected, what they listen to, and own messages to them.

use std::sync::Arc;

use boa_engine::object::builtins::JsArray;
use boa_engine::{Context, JsArgs, JsNativeError, JsResult, JsString, JsValue};
use serde_json::json;

use super::Natives;
use super::registration::{list, text};
use crate::api::realtime::Clients;
use crate::hooks::record::RecordObject;
use crate::hooks::world::world;

pub(super) const NATIVES: Natives = &[
    ("ids", 0, ids),
    ("has", 1, has),
    ("subscriptions", 1, subscriptions),
    ("subscribe", 2, subscribe),
    ("unsubscribe", 2, unsubscribe),
    ("auth", 1, auth),
    ("setAuth", 2, set_auth),
    ("send", 3, send),
    ("discard", 1, discard),
];

fn clients() -> JsResult<Clients> {
    Ok(world()?.options.clients.clone())
}

/// `ids()`: those of all connected clients.
fn ids(_: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let ids = clients()?.ids();
    let ids = ids.iter().map(|id| JsValue::from(JsString::from(&**id)));
    Ok(JsArray::from_iter(ids, context).into())
}

/// `has(id)`: whether the client is connected.
fn has(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let id = text(args.get_or_undefined(0), context)?;
    Ok(clients()?.contains(&id).into())
}

/// `subscriptions(id)`: `[name, {query, headers}]` of each.
fn subscriptions(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let id = text(args.get_or_undefined(0), context)?;
    let all = clients()?.subscriptions(&id);
    let all = all
        .iter()
        .map(|one| json!([*one.name, {"query": *one.query, "headers": *one.headers}]));
    JsValue::from_json(&all.collect(), context)
}

fn names(value: &JsValue, context: &mut Context) -> JsResult<Vec<String>> {
    let names = list(value, context)?;
    names.iter().map(|name| text(name, context)).collect()
}

/// `subscribe(id, names)`: beside what the client has subscribed to.
fn subscribe(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let id = text(args.get_or_undefined(0), context)?;
    let names = names(args.get_or_undefined(1), context)?;
    clients()?.add_subscriptions(&id, &names);
    Ok(JsValue::undefined())
}

/// `unsubscribe(id, names)`: from all without names.
fn unsubscribe(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let id = text(args.get_or_undefined(0), context)?;
    let names = names(args.get_or_undefined(1), context)?;
    clients()?.remove_subscriptions(&id, &names);
    Ok(JsValue::undefined())
}

/// `auth(id)`: the record that the client stands for, or null.
fn auth(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let id = text(args.get_or_undefined(0), context)?;
    Ok(match clients()?.auth(&id) {
        Some(record) => RecordObject::create(Arc::unwrap_or_clone(record))?.into(),
        None => JsValue::null(),
    })
}

/// `setAuth(id, record)`: the record that the client stands for; nobody when it is none.
fn set_auth(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let id = text(args.get_or_undefined(0), context)?;
    let record = RecordObject::record(args.get_or_undefined(1));
    clients()?.set_auth(&id, record.map(Arc::new));
    Ok(JsValue::undefined())
}

/// `send(id, name, data)`.
fn send(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let id = text(args.get_or_undefined(0), context)?;
    let name = text(args.get_or_undefined(1), context)?;
    let data = text(args.get_or_undefined(2), context)?;
    if !clients()?.send(&id, &name, &data) {
        return Err(JsNativeError::error()
            .with_message("too many realtime messages wait to be sent")
            .into());
    }
    Ok(JsValue::undefined())
}

/// `discard(id)`: ends the client's connection.
fn discard(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let id = text(args.get_or_undefined(0), context)?;
    clients()?.discard(&id);
    Ok(JsValue::undefined())
}
