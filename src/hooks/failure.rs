//! Errors between scripts and the engine.

use std::sync::Arc;

use boa_engine::property::PropertyKey;
use boa_engine::{Context, JsError, JsNativeError, JsObject, JsString, JsValue, js_string};
use serde_json::{Map, Value as Json};

use super::registry::Script;
use super::world::world;
use crate::engine::Error;
use crate::js::error::ScriptError;

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
    script.failed("a handler failed", &described.to_string());
    Error::BadRequest(String::new())
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
    let data = match data.to_json(context) {
        Ok(Some(Json::Object(data))) => data,
        _ => Map::new(),
    };
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

/// An engine's error as a script catches it: an object of the API's error class.
pub(super) fn to_js(error: &Error, context: &mut Context) -> JsError {
    match make(error, context) {
        Ok(value) => JsError::from_opaque(value),
        Err(error) => error,
    }
}

fn make(error: &Error, context: &mut Context) -> Result<JsValue, JsError> {
    let (status, message, data) = parts(error);
    let shared = world()?.shared.borrow().clone();
    let Some(shared) = shared else {
        return Err(JsNativeError::error().with_message(message).into());
    };
    let data = JsValue::from_json(&Json::Object(data), context)?;
    let arguments = [
        JsValue::from(status),
        JsString::from(message.as_str()).into(),
        data,
    ];
    shared
        .make_error
        .call(&JsValue::undefined(), &arguments, context)
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
