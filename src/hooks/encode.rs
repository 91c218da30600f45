//! Values of scripts as JSON answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use boa_engine::builtins::object::OrdinaryObject;
use boa_engine::object::builtins::{JsDate, JsMap, JsSet, JsUint8Array};
use boa_engine::property::{PropertyDescriptor, PropertyKey};
use boa_engine::{
    Context, JsNativeError, JsObject, JsResult, JsString, JsValue, JsVariant, js_string,
};
use serde_json::{Number, Value as Json};

use super::allowance::Allowance;
use super::globals::bytes;
use crate::base::json;

/// How deep values nest.
const DEPTH_MAX: usize = 100;

/// A value as [`write`] shows it, as a tree.
///
/// # Errors
/// As [`write`].
pub(super) fn to_json(value: &JsValue, context: &mut Context) -> JsResult<Json> {
    let mut text = Vec::new();
    write(&mut text, value, context)?;
    serde_json::from_slice(&text)
        .map_err(|error| JsNativeError::typ().with_message(error.to_string()).into())
}

/// Writes a value as an answer shows it, as JSON text with sorted members. Beside what JSON has: an object with a method
/// `toJSON` is what that gives, dates are texts as Go writes them, bytes are Base64, maps and sets are lists, and what is
/// undefined is null.
///
/// # Errors
/// What the script's code throws; a type error for what nests too deeply or refers to itself, a range error for what is
/// too large.
pub(super) fn write(out: &mut Vec<u8>, value: &JsValue, context: &mut Context) -> JsResult<()> {
    write_value(out, value, 0, &mut Allowance::default(), context)
}

fn write_value(
    out: &mut Vec<u8>,
    value: &JsValue,
    depth: usize,
    left: &mut Allowance,
    context: &mut Context,
) -> JsResult<()> {
    left.value()?;
    match value.variant() {
        JsVariant::Undefined | JsVariant::Null | JsVariant::Symbol(_) => {
            out.extend_from_slice(b"null");
        }
        JsVariant::Boolean(flag) => json::write_bool(out, flag),
        JsVariant::Integer32(number) => json::write_i64(out, number.into()),
        // Of the zeros there is one.
        JsVariant::Float64(number) => json::write_f64(out, number + 0.0),
        JsVariant::BigInt(number) => {
            let text = number.to_string();
            let number = text.parse::<Number>();
            let number = number.map_or(Json::String(text), Json::Number);
            json::write_value_sorted(out, &number);
        }
        JsVariant::String(text) => json::write_str(out, &left.text(&text)?),
        JsVariant::Object(object) => return write_object(out, &object, depth, left, context),
    }
    Ok(())
}

fn write_object(
    out: &mut Vec<u8>,
    object: &JsObject,
    depth: usize,
    left: &mut Allowance,
    context: &mut Context,
) -> JsResult<()> {
    if depth >= DEPTH_MAX {
        return Err(JsNativeError::typ()
            .with_message("the value nests too deeply, or refers to itself")
            .into());
    }
    let depth = depth + 1;
    if !object.is::<OrdinaryObject>() && write_special(out, object, depth, left, context)? {
        return Ok(());
    }
    let method = object.get(js_string!("toJSON"), context)?;
    if let Some(method) = method.as_callable() {
        let value = method.call(&object.clone().into(), &[], context)?;
        let itself = value
            .as_object()
            .is_some_and(|value| JsObject::equals(&value, object));
        if !itself {
            return write_value(out, &value, depth, left, context);
        }
    }
    if let Some(list) = items_of(object, context)? {
        return write_value(out, &list, depth, left, context);
    }
    let mut members = members_of(object, left, context)?;
    members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    out.push(b'{');
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::write_str(out, name);
        out.push(b':');
        write_value(out, value, depth, left, context)?;
    }
    out.push(b'}');
    Ok(())
}

/// Writes what is shown in a way of its own, whatever its `toJSON` says. Gives whether it was such an object.
fn write_special(
    out: &mut Vec<u8>,
    object: &JsObject,
    depth: usize,
    left: &mut Allowance,
    context: &mut Context,
) -> JsResult<bool> {
    if object.is_callable() {
        out.extend_from_slice(b"null");
    } else if let Ok(date) = JsDate::from_object(object.clone()) {
        let iso = date.to_iso_string(context)?.to_string(context)?;
        json::write_str(out, &short_date(&iso.to_std_string_lossy()));
    } else if object.is_array() {
        let length = object
            .get(js_string!("length"), context)?
            .to_length(context)?;
        out.push(b'[');
        for index in 0..left.length(length)? {
            if index > 0 {
                out.push(b',');
            }
            let item = object.get(index, context)?;
            write_value(out, &item, depth, left, context)?;
        }
        out.push(b']');
    } else if JsUint8Array::from_object(object.clone()).is_ok() {
        let value = object.clone().into();
        let bytes = bytes::of_js(&value, context)?.unwrap_or_default();
        left.bytes(bytes.len())?;
        json::write_str(out, &STANDARD.encode(&bytes));
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// The list that a map or a set is shown as.
fn items_of(object: &JsObject, context: &mut Context) -> JsResult<Option<JsValue>> {
    let name = if object.is::<OrdinaryObject>() {
        return Ok(None);
    } else if JsMap::from_object(object.clone()).is_ok() {
        "entries"
    } else if JsSet::from_object(object.clone()).is_ok() {
        "values"
    } else {
        return Ok(None);
    };
    let entries = object.get(JsString::from(name), context)?;
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
    from.as_callable()
        .map_or(Ok(JsValue::null()), |from| {
            from.call(&JsValue::undefined(), &[entries], context)
        })
        .map(Some)
}

/// The names and values of an object's enumerable members.
fn members_of(
    object: &JsObject,
    left: &Allowance,
    context: &mut Context,
) -> JsResult<Vec<(String, JsValue)>> {
    let keys = left.keys(object, context)?;
    let mut members = Vec::with_capacity(keys.len());
    for key in keys {
        if let PropertyKey::Symbol(_) = key {
            continue;
        }
        let property = object.borrow().properties().get(&key);
        if property
            .as_ref()
            .is_some_and(|property| !property.expect_enumerable())
        {
            continue;
        }
        let name = key.to_string();
        // What is no plain property may have code of its own.
        let value = match property.as_ref().and_then(PropertyDescriptor::value) {
            Some(value) => value.clone(),
            None => object.get(key, context)?,
        };
        members.push((name, value));
    }
    Ok(members)
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
