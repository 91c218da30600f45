//! Errors between scripts and the engine.

use std::sync::Arc;

use boa_engine::property::{PropertyDescriptor, PropertyKey};
use boa_engine::{Context, JsArgs, JsError, JsNativeError, JsObject, JsString, JsValue, js_string};
use serde_json::{Map, Value as Json};

use super::globals::Natives;
use super::record::shared;
use super::registry::Script;
use super::values;
use super::world::session;
use crate::engine::{Cause, Error};
use crate::js::error::ScriptError;
use crate::js::native::Native;
use crate::js::thread::Thread;

/// How many prototypes of a returned value are looked at.
const PROTOTYPES_MAX: usize = 8;

/// A failure that clients learn nothing of.
pub(super) fn plain(why: &str) -> Error {
    Error::Internal(why.to_owned(), None)
}

/// The script thread cannot take on more.
pub(super) fn overloaded() -> Error {
    Error::Busy("The hooks are busy, try again.".to_owned())
}

/// What a handler threw, as the engine tells it. Objects of the API's error classes become answers as they are; anything
/// else is an error of the script, which is logged and counted, and of which the client learns no more than that.
pub(super) fn to_engine(
    error: &JsError,
    described: &ScriptError,
    script: &Arc<Script>,
    context: &mut Context,
) -> Error {
    if let Some(answer) = thrown_answer(error, context) {
        return answer;
    }
    if let Some(error) = host_error(error, context) {
        return error;
    }
    script.failed("a handler failed", &described.to_string());
    Error::Custom {
        status: 400,
        message: String::new(),
        data: Map::new(),
        cause: Some(Cause::new(described.message.clone())),
    }
}

/// The engine's error that a script caught and threw again, or did not catch. The client learns what was wrong with the
/// fields, and nothing of what the database said.
fn host_error(error: &JsError, context: &mut Context) -> Option<Error> {
    let object = error.as_opaque()?.as_object()?;
    let value = object.get(js_string!("value"), context).ok()?;
    let known = Native::<Error>::with(&value, Error::clone)?;
    Some(match known {
        Error::NotFound(_) if in_writer() => Error::BadRequest(String::new()),
        Error::NotFound(_) => Error::not_found(),
        Error::BadRequest(_) => Error::BadRequest(String::new()),
        Error::Validation { fields, .. } => Error::validation("", fields),
        other => other,
    })
}

fn in_writer() -> bool {
    session().is_ok_and(|session| session.transaction.is_some())
}

/// A handler that returns an error of the host has failed, as in PocketBase.
///
/// # Errors
/// That error.
pub(super) fn unless_error(value: JsValue) -> Result<(), JsError> {
    let marked = |name: JsString| {
        value
            .as_object()
            .and_then(|object| data_of(&object, name))
            .is_some_and(|mark| mark.to_boolean())
    };
    if marked(js_string!("isHostError")) {
        return Err(JsError::from_opaque(value));
    }
    Ok(())
}

/// A data property of an object or of its prototypes, read without running script code.
fn data_of(object: &JsObject, name: JsString) -> Option<JsValue> {
    let key = PropertyKey::from(name);
    let mut holder = Some(object.clone());
    for _ in 0..PROTOTYPES_MAX {
        let object = holder?;
        if let Some(property) = object.try_borrow().ok()?.properties().get(&key) {
            return property.value().cloned();
        }
        holder = object.prototype();
    }
    None
}

/// The answer that a thrown error object of the API stands for.
fn thrown_answer(error: &JsError, context: &mut Context) -> Option<Error> {
    let value = error.as_opaque()?.clone();
    let object = value.as_object()?;
    if !object
        .get(js_string!("isApiError"), context)
        .ok()?
        .to_boolean()
    {
        return None;
    }
    let status = object.get(js_string!("status"), context).ok()?;
    let status = status.to_u32(context).ok()?;
    let message = object.get(js_string!("message"), context).ok()?;
    let message = message.to_string(context).ok()?.to_std_string_escaped();
    let data = object.get(js_string!("data"), context).ok()?;
    let data = values::members(&data, context).unwrap_or_default();
    Some(answer(status, message, data))
}

/// An answer with this status, message and data; statuses that are no errors count as 400.
fn answer(status: u32, message: String, data: Map<String, Json>) -> Error {
    let status = u16::try_from(status).unwrap_or_default();
    Error::Custom {
        status: if (400..=599).contains(&status) {
            status
        } else {
            400
        },
        message,
        data,
        cause: None,
    }
}

/// An engine's error as a script catches it: what a script threw comes out as it was, the rest as PocketBase's host errors.
pub(super) fn to_js(error: &Error, context: &mut Context) -> JsError {
    let made = match error {
        // What another script threw: scripts may read it, clients may not, even when it is thrown on.
        Error::Custom {
            message,
            cause: Some(_),
            ..
        } if message.is_empty() => make_host_error(error, context),
        Error::Custom { .. } | Error::Unauthorized(_) | Error::Forbidden(_) => make(error, context),
        _ => make_host_error(error, context),
    };
    match made {
        Ok(value) => JsError::from_opaque(value),
        Err(error) => error,
    }
}

/// An error with the name `GoError`, whose `value` is the engine's error.
fn make_host_error(error: &Error, context: &mut Context) -> Result<JsValue, JsError> {
    let message = describe(error);
    let made = JsError::from(JsNativeError::error().with_message(message)).into_opaque(context)?;
    let Some(object) = made.as_object() else {
        return Ok(made);
    };
    // An error of the script's own realm, so that `instanceof Error` holds there.
    if let Some(scope) = Thread::of_native()?.on_behalf().scope {
        object.set_prototype(Some(scope.error_prototype()));
    }
    let prototype = shared(|shared| shared.go_value_prototype.clone())?;
    let value = Native::object(Some(prototype), error.clone());
    let data = match error {
        Error::Validation { fields, .. } => fields.to_json(),
        _ => Map::new(),
    };
    let data = JsValue::from_json(&Json::Object(data), context)?;
    // `data` is what becomes of it as the data of another error.
    for (name, value) in [
        (js_string!("name"), js_string!("GoError").into()),
        (js_string!("isHostError"), JsValue::from(true)),
        (js_string!("data"), data),
    ] {
        let hidden = PropertyDescriptor::builder()
            .value(value)
            .writable(true)
            .enumerable(false)
            .configurable(true);
        object.define_property_or_throw(name, hidden, context)?;
    }
    object.set(js_string!("value"), value, true, context)?;
    Ok(made)
}

/// What is wrong, as a script reads it.
pub(super) fn describe(error: &Error) -> String {
    match error {
        Error::Validation { fields, .. } => fields.to_string(),
        Error::NotFound(message) if message.is_empty() => NO_ROWS.to_owned(),
        Error::Custom {
            message,
            cause: Some(cause),
            ..
        } if message.is_empty() => cause.to_string(),
        Error::Internal(message, Some(cause)) => {
            let mut last: &dyn std::error::Error = cause;
            while let Some(source) = last.source() {
                last = source;
            }
            format!("{message}: {last}")
        }
        other => {
            let message = other.to_string();
            if message.is_empty() {
                other.code().message().to_owned()
            } else {
                message
            }
        }
    }
}

/// What Go's database package says of a query without rows; scripts look for it.
const NO_ROWS: &str = "sql: no rows in result set";

/// Natives of the `value` of host errors.
pub(super) const NATIVES: Natives = &[
    ("error", 0, error_text),
    ("json", 0, error_json),
    ("noRows", 0, no_rows),
    ("host", 1, host),
];

/// `noRows()`: the error of a query that finds nothing.
fn no_rows(_: &JsValue, _: &[JsValue], context: &mut Context) -> Result<JsValue, JsError> {
    to_js(&Error::not_found(), context).into_opaque(context)
}

/// `host(message)`: another error of the host.
fn host(_: &JsValue, args: &[JsValue], context: &mut Context) -> Result<JsValue, JsError> {
    let message = args.get_or_undefined(0).to_string(context)?;
    to_js(&Error::BadRequest(message.to_std_string_lossy()), context).into_opaque(context)
}

fn known(this: &JsValue) -> Result<Error, JsError> {
    Native::<Error>::with(this, Error::clone)
        .ok_or_else(|| JsNativeError::typ().with_message("not an error").into())
}

fn error_text(this: &JsValue, _: &[JsValue], _: &mut Context) -> Result<JsValue, JsError> {
    Ok(JsString::from(describe(&known(this)?).as_str()).into())
}

/// The messages by field, or an empty object.
fn error_json(this: &JsValue, _: &[JsValue], context: &mut Context) -> Result<JsValue, JsError> {
    let members = match known(this)? {
        Error::Validation { fields, .. } => messages(&Json::Object(fields.to_json())),
        _ => Json::Object(Map::new()),
    };
    JsValue::from_json(&members, context)
}

/// Field errors reduced to their messages.
fn messages(errors: &Json) -> Json {
    let Json::Object(members) = errors else {
        return errors.clone();
    };
    match (members.get("code"), members.get("message")) {
        (Some(Json::String(_)), Some(message)) => message.clone(),
        _ => members
            .iter()
            .map(|(name, nested)| (name.clone(), messages(nested)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

fn make(error: &Error, context: &mut Context) -> Result<JsValue, JsError> {
    let (status, message, data) = parts(error);
    let make_error = shared(|shared| shared.make_error.clone())?;
    let data = JsValue::from_json(&Json::Object(data), context)?;
    let arguments = [
        JsValue::from(status),
        JsString::from(message.as_str()).into(),
        data,
    ];
    make_error.call(&JsValue::undefined(), &arguments, context)
}

/// Status, message and data as the client would see them.
pub(super) fn parts(error: &Error) -> (u16, String, Map<String, Json>) {
    let code = error.code();
    let data = match error {
        Error::Validation { fields, .. } => fields.to_json(),
        Error::Custom { data, .. } => data.clone(),
        _ => Map::new(),
    };
    let mut message = match error {
        Error::Internal(..) => String::new(),
        // What another script threw is no secret among scripts.
        Error::Custom {
            message,
            cause: Some(cause),
            ..
        } if message.is_empty() => cause.to_string(),
        other => other.to_string(),
    };
    if message.is_empty() {
        message = code.message().to_owned();
    }
    let status = match error {
        Error::Custom { status, .. } => *status,
        _ => code.status(),
    };
    (status, message, data)
}
