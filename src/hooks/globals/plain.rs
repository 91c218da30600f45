//! Plain values between natives and the script that runs: JSON in, objects of the script's own realm out.

use boa_engine::{Context, JsArgs, JsError, JsResult, JsValue};
use serde_json::{Map, Value as Json, json};

use crate::engine::Error;
use crate::hooks::{failure, values};
use crate::js::thread::Thread;

/// JSON as a value of the script that runs: its objects have the prototypes that the script knows.
pub(super) fn to_script(json: &Json, context: &mut Context) -> JsResult<JsValue> {
    in_script(context, |context| JsValue::from_json(json, context))
}

/// Makes something that belongs to the script that runs.
pub(super) fn in_script<R>(context: &mut Context, work: impl FnOnce(&mut Context) -> R) -> R {
    let scope = Thread::current().and_then(|thread| thread.on_behalf().scope);
    match scope {
        Some(scope) => scope.in_realm(context, work),
        None => work(context),
    }
}

/// An argument as JSON; `null` when it is missing.
pub(super) fn argument(args: &[JsValue], index: usize, context: &mut Context) -> JsResult<Json> {
    values::json(args.get_or_undefined(index), context)
}

/// An argument that is an object, as JSON; empty when it is missing or something else.
pub(super) fn members(
    args: &[JsValue],
    index: usize,
    context: &mut Context,
) -> JsResult<Map<String, Json>> {
    match argument(args, index, context)? {
        Json::Object(members) => Ok(members),
        _ => Ok(Map::new()),
    }
}

/// Gives what the work gives; what it fails with becomes `{"error": message}`, with the errors by field in `data`.
pub(super) fn or_error(
    context: &mut Context,
    work: impl FnOnce(&mut Context) -> JsResult<Result<Json, Error>>,
) -> JsResult<JsValue> {
    match work(context) {
        Ok(Ok(json)) => to_script(&json, context),
        Ok(Err(error)) => to_script(&error_of(&error), context),
        // A call that was stopped at its limit ends, whatever it was about to do.
        Err(error) if is_final(&error) => Err(error),
        Err(error) => {
            let message = message_of(&error);
            to_script(&json!({"error": message}), context)
        }
    }
}

fn is_final(error: &JsError) -> bool {
    error.as_engine().is_some()
}

fn message_of(error: &JsError) -> String {
    match error.as_native() {
        Some(native) => native.message().to_string(),
        None => error.to_string(),
    }
}

/// An engine's error as scripts read it.
pub(super) fn error_of(error: &Error) -> Json {
    let (_, message, data) = failure::parts(error);
    if data.is_empty() {
        return json!({"error": message});
    }
    let mut fields: Vec<String> = data
        .iter()
        .map(|(name, error)| {
            let text = error.get("message").and_then(Json::as_str);
            format!("{name}: {}", text.unwrap_or_default())
        })
        .collect();
    fields.sort();
    json!({"error": format!("{message} {}", fields.join(" ")), "data": data})
}
