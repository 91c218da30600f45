//! Values of scripts as JSON answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use boa_engine::object::builtins::{JsDate, JsMap, JsSet, JsUint8Array};
use boa_engine::{
    Context, JsNativeError, JsObject, JsResult, JsString, JsValue, JsVariant, js_string,
};
use serde_json::{Map, Number, Value as Json};

use super::allowance::Allowance;
use super::globals::bytes;

/// How deep values nest.
const DEPTH_MAX: usize = 100;

/// A value as an answer shows it. Beside what JSON has: an object with a method `toJSON` is what that gives, dates are
/// texts as Go writes them, bytes are Base64, maps and sets are lists, and what is undefined is null.
///
/// # Errors
/// What the script's code throws; a type error for what nests too deeply or refers to itself, a range error for what is
/// too large.
pub(super) fn to_json(value: &JsValue, context: &mut Context) -> JsResult<Json> {
    read(value, 0, &mut Allowance::default(), context)
}

fn read(
    value: &JsValue,
    depth: usize,
    left: &mut Allowance,
    context: &mut Context,
) -> JsResult<Json> {
    left.value()?;
    Ok(match value.variant() {
        JsVariant::Undefined | JsVariant::Null | JsVariant::Symbol(_) => Json::Null,
        JsVariant::Boolean(flag) => Json::Bool(flag),
        JsVariant::Integer32(number) => Json::from(number),
        JsVariant::Float64(number) => number_of(number),
        JsVariant::BigInt(number) => {
            let text = number.to_string();
            text.parse::<Number>()
                .map_or(Json::String(text), Json::Number)
        }
        JsVariant::String(text) => Json::String(left.text(&text)?),
        JsVariant::Object(object) => return read_object(&object, depth, left, context),
    })
}

fn read_object(
    object: &JsObject,
    depth: usize,
    left: &mut Allowance,
    context: &mut Context,
) -> JsResult<Json> {
    if depth >= DEPTH_MAX {
        return Err(JsNativeError::typ()
            .with_message("the value nests too deeply, or refers to itself")
            .into());
    }
    if object.is_callable() {
        return Ok(Json::Null);
    }
    let depth = depth + 1;
    if let Ok(date) = JsDate::from_object(object.clone()) {
        let iso = date.to_iso_string(context)?.to_string(context)?;
        return Ok(Json::String(short_date(&iso.to_std_string_lossy())));
    }
    if object.is_array() {
        let length = object
            .get(js_string!("length"), context)?
            .to_length(context)?;
        let mut items = Vec::new();
        for index in 0..left.length(length)? {
            let item = object.get(index, context)?;
            items.push(read(&item, depth, left, context)?);
        }
        return Ok(Json::Array(items));
    }
    if JsUint8Array::from_object(object.clone()).is_ok() {
        let value = object.clone().into();
        let bytes = bytes::of_js(&value, context)?.unwrap_or_default();
        left.bytes(bytes.len())?;
        return Ok(Json::String(STANDARD.encode(&bytes)));
    }
    let method = object.get(js_string!("toJSON"), context)?;
    if let Some(method) = method.as_callable() {
        let value = method.call(&object.clone().into(), &[], context)?;
        let itself = value
            .as_object()
            .is_some_and(|value| JsObject::equals(&value, object));
        if !itself {
            return read(&value, depth, left, context);
        }
    }
    let entries = if JsMap::from_object(object.clone()).is_ok() {
        Some("entries")
    } else {
        JsSet::from_object(object.clone())
            .is_ok()
            .then_some("values")
    };
    if let Some(entries) = entries {
        let entries = object.get(JsString::from(entries), context)?;
        let entries = entries
            .as_callable()
            .map_or(Ok(JsValue::undefined()), |entries| {
                entries.call(&object.clone().into(), &[], context)
            })?;
        let list = boa_engine::object::builtins::JsArray::new(context)?;
        let from = list.get(js_string!("constructor"), context)?;
        let from = from.as_object().map_or(Ok(JsValue::undefined()), |array| {
            array.get(js_string!("from"), context)
        })?;
        let list = from.as_callable().map_or(Ok(JsValue::null()), |from| {
            from.call(&JsValue::undefined(), &[entries], context)
        })?;
        return read(&list, depth, left, context);
    }
    let mut members = Map::new();
    for key in left.keys(object, context)? {
        let boa_engine::property::PropertyKey::Symbol(_) = key else {
            let enumerable = object
                .borrow()
                .properties()
                .get(&key)
                .is_none_or(|property| property.expect_enumerable());
            if enumerable {
                let value = object.get(key.clone(), context)?;
                members.insert(key.to_string(), read(&value, depth, left, context)?);
            }
            continue;
        };
    }
    Ok(Json::Object(members))
}

/// `1970-01-01T00:00:00.000Z` without the zeros that Go leaves out.
fn short_date(iso: &str) -> String {
    let bare = iso.strip_suffix('Z').unwrap_or(iso);
    let bare = match bare.split_once('.') {
        Some((whole, fraction)) => match fraction.trim_end_matches('0') {
            "" => whole.to_owned(),
            fraction => format!("{whole}.{fraction}"),
        },
        None => bare.to_owned(),
    };
    format!("{bare}Z")
}

/// Whole numbers are written without a fraction; what JSON has no number for is null.
fn number_of(number: f64) -> Json {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "a whole number in range")]
        return Json::from(number as i64);
    }
    Number::from_f64(number).map_or(Json::Null, Json::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_go_does() {
        for (iso, expected) in [
            ("1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00Z"),
            ("2024-01-02T03:04:05.670Z", "2024-01-02T03:04:05.67Z"),
        ] {
            assert_eq!(short_date(iso), expected);
        }
    }

    #[test]
    fn values_become_json() {
        let mut context = Context::default();
        let source = "({b: undefined, a: [1.0, 0.5, undefined], d: new Date(0), m: new Map([['k', 1]]), \
            bytes: new Uint8Array([104, 105]), own: {toJSON() { return {x: 1}; }}, f() {}, big: 12345678901234})";
        let value = context
            .eval(boa_engine::Source::from_bytes(source))
            .unwrap();
        assert_eq!(
            to_json(&value, &mut context).unwrap(),
            serde_json::json!({"b": null, "a": [1, 0.5, null], "d": "1970-01-01T00:00:00Z", "m": [["k", 1]],
                "bytes": "aGk=", "own": {"x": 1}, "f": null, "big": 12_345_678_901_234_i64})
        );
    }
}
