//! Script values as JSON and back: what crosses the border when a script hands data to the server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use boa_engine::object::builtins::{JsArray, JsDate, JsUint8Array};
use boa_engine::property::PropertyKey;
use boa_engine::{Context, JsNativeError, JsObject, JsResult, JsValue, JsVariant, js_string};
use serde_json::{Map, Number, Value as Json};

use super::allowance::Allowance;
use super::record;
use crate::base::DateTime;

/// How deep objects may be nested.
const DEPTH_MAX: usize = 100;

/// Up to here each whole number is a double of its own.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// A script value as JSON, as a Go program would print it: members that are undefined stay away, in lists they are null;
/// records are their public export, dates their texts, byte lists Base64; objects with `toJSON` are what that gives.
///
/// # Errors
/// What the script's getters and `toJSON` throw; too deep nesting, which cycles are; a range error for what is too large.
pub(super) fn json(value: &JsValue, context: &mut Context) -> JsResult<Json> {
    let left = &mut Allowance::default();
    Ok(read(value, context, DEPTH_MAX, left)?.unwrap_or_default())
}

/// A script object as a JSON object; empty for anything else.
///
/// # Errors
/// As [`json`].
pub(super) fn members(value: &JsValue, context: &mut Context) -> JsResult<Map<String, Json>> {
    match json(value, context)? {
        Json::Object(members) => Ok(members),
        _ => Ok(Map::new()),
    }
}

/// `None` for what JSON leaves out.
fn read(
    value: &JsValue,
    context: &mut Context,
    depth: usize,
    left: &mut Allowance,
) -> JsResult<Option<Json>> {
    left.value()?;
    Ok(Some(match value.variant() {
        JsVariant::Undefined | JsVariant::Symbol(_) => return Ok(None),
        JsVariant::Null => Json::Null,
        JsVariant::Boolean(value) => Json::Bool(value),
        JsVariant::Integer32(value) => Json::from(value),
        JsVariant::Float64(value) => number(value),
        JsVariant::BigInt(value) => {
            let text = value.to_string();
            text.parse::<i64>().map_or(Json::String(text), Json::from)
        }
        JsVariant::String(text) => Json::String(left.text(&text)?),
        JsVariant::Object(object) => return read_object(&object, value, context, depth, left),
    }))
}

fn read_object(
    object: &JsObject,
    value: &JsValue,
    context: &mut Context,
    depth: usize,
    left: &mut Allowance,
) -> JsResult<Option<Json>> {
    if object.is_callable() {
        return Ok(None);
    }
    if depth == 0 {
        return Err(JsNativeError::typ()
            .with_message("the value is nested too deeply, or contains itself")
            .into());
    }
    if let Some(members) = record::export(value, context)? {
        return Ok(Some(Json::Object(members)));
    }
    if let Ok(date) = JsDate::from_object(object.clone()) {
        let ms = date.get_time(context)?.to_number(context)?;
        return Ok(Some(if ms.is_finite() {
            DateTime::from_unix_ms(ms as i64).to_string().into()
        } else {
            Json::Null
        }));
    }
    if let Ok(bytes) = JsUint8Array::from_object(object.clone()) {
        left.bytes(bytes.byte_length(context)?)?;
        return Ok(Some(STANDARD.encode(bytes.to_vec(context)?).into()));
    }
    let to_json = object.get(js_string!("toJSON"), context)?;
    if let Some(to_json) = to_json.as_callable() {
        let given = to_json.call(value, &[], context)?;
        return read(&given, context, depth - 1, left);
    }
    if object.is_array() {
        let array = JsArray::from_object(object.clone())?;
        let length = array.length(context)?;
        let mut items = Vec::new();
        for index in 0..left.length(length)? {
            let item = array.get(index, context)?;
            items.push(read(&item, context, depth - 1, left)?.unwrap_or_default());
        }
        return Ok(Some(Json::Array(items)));
    }
    let mut members = Map::new();
    for key in left.keys(object, context)? {
        let name = match &key {
            PropertyKey::String(name) => name.to_std_string_lossy(),
            PropertyKey::Index(index) => index.get().to_string(),
            PropertyKey::Symbol(_) => continue,
        };
        if !is_enumerable(object, &key) {
            continue;
        }
        let member = object.get(key, context)?;
        if let Some(member) = read(&member, context, depth - 1, left)? {
            members.insert(name, member);
        }
    }
    Ok(Some(Json::Object(members)))
}

/// Without running the script's code; what is no plain property, as those of proxies, counts.
fn is_enumerable(object: &JsObject, key: &PropertyKey) -> bool {
    let object = object.borrow();
    let property = object.properties().get(key);
    property.is_none_or(|property| property.enumerable() != Some(false))
}

/// Whole numbers stay whole; what is not finite is null.
pub(super) fn number(value: f64) -> Json {
    if value.fract() == 0.0 && value.abs() < WHOLE_MAX {
        return Json::from(value as i64);
    }
    Number::from_f64(value).map_or(Json::Null, Json::Number)
}
