//! Lines that scripts write into the server's log.

use boa_engine::{Context, JsArgs, JsResult, JsString, JsValue};

use super::Natives;
use crate::js::SCRIPT_TARGET;
use crate::js::runtime::format_values;
use crate::js::thread::Thread;

pub(super) const NATIVES: Natives = &[("write", 2, write), ("script", 0, script)];

/// `script()`: the name of the script or module that runs.
fn script(_: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let scope = Thread::of_native()?.on_behalf().scope;
    let name = scope.as_ref().map_or("", |scope| scope.name());
    Ok(JsString::from(name).into())
}

/// `write(level, values)`: one line; the values are shown as Node's console shows them.
fn write(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let level = args.get_or_undefined(0).to_string(context)?;
    let values = args.get(1..).unwrap_or_default();
    let text = format_values(values, context);
    let scope = Thread::of_native()?.on_behalf().scope;
    let script = scope.as_ref().map_or("", |scope| scope.name());
    match level.to_std_string_escaped().as_str() {
        "debug" => tracing::debug!(target: SCRIPT_TARGET, { script.id = script }, "{text}"),
        "warn" => tracing::warn!(target: SCRIPT_TARGET, { script.id = script }, "{text}"),
        "error" => tracing::error!(target: SCRIPT_TARGET, { script.id = script }, "{text}"),
        _ => tracing::info!(target: SCRIPT_TARGET, { script.id = script }, "{text}"),
    }
    Ok(JsValue::undefined())
}
