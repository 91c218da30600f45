//! `Record` as scripts see it: the engine's record inside, fields converted when they are read.

use std::cell::RefCell;

use boa_engine::{Context, JsArgs, JsNativeError, JsObject, JsResult, JsString, JsValue};
use serde_json::Value as Json;

use super::world::world;
use crate::js::native::Native;
use crate::model::{Record, Value};

/// The host's part of a `Record` object.
pub(super) struct RecordObject(RefCell<Record>);

type Cell = Native<RecordObject>;

impl RecordObject {
    /// The object of a record.
    pub(super) fn create(record: Record) -> JsResult<JsObject> {
        let world = world()?;
        let prototype = world
            .shared
            .borrow()
            .as_ref()
            .map(|shared| shared.record_prototype.clone());
        Ok(Native::object(prototype, Self(RefCell::new(record))))
    }

    /// The record of a script value, if it is one.
    pub(super) fn record(value: &JsValue) -> Option<Record> {
        Cell::with(value, |native| native.0.borrow().clone())
    }

    /// Puts another state of the record into an object that scripts hold. Gives whether it was a record.
    pub(super) fn replace(value: &JsValue, record: Record) -> bool {
        Cell::with(value, |native| *native.0.borrow_mut() = record).is_some()
    }

    /// Works on the record of `this`. The work must not run script code.
    pub(super) fn with<R>(this: &JsValue, work: impl FnOnce(&mut Record) -> R) -> JsResult<R> {
        Cell::with(this, |native| work(&mut native.0.borrow_mut()))
            .ok_or_else(|| JsNativeError::typ().with_message("not a record").into())
    }
}

/// `get(name)`: a field's value, or that of a custom property.
pub(super) fn get(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = args.get_or_undefined(0).to_string(context)?;
    let name = name.to_std_string_escaped();
    enum Read {
        Text(String),
        Flag(bool),
        Number(f64),
        Json(Json),
        Absent,
    }
    let read = RecordObject::with(this, |record| match record.get(&name) {
        Some(Value::Text(text)) => Read::Text(text.to_string()),
        Some(Value::Bool(flag)) => Read::Flag(*flag),
        Some(Value::Number(number)) => Read::Number(*number),
        Some(value) => Read::Json(value.to_json()),
        None => record
            .custom(&name)
            .cloned()
            .map_or(Read::Absent, Read::Json),
    })?;
    Ok(match read {
        Read::Text(text) => JsString::from(text.as_str()).into(),
        Read::Flag(flag) => flag.into(),
        Read::Number(number) => number.into(),
        Read::Json(json) => JsValue::from_json(&json, context)?,
        Read::Absent => JsValue::null(),
    })
}

/// `set(name, value)`: sets a field, with the modifiers `name+`, `+name` and `name-`, or a custom property.
pub(super) fn set(this: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = args.get_or_undefined(0).to_string(context)?;
    let name = name.to_std_string_escaped();
    let value = args
        .get_or_undefined(1)
        .to_json(context)?
        .unwrap_or_default();
    RecordObject::with(this, |record| {
        if !record.apply_key(&name, &value) {
            record.set_custom(&name, value);
        }
    })?;
    Ok(JsValue::undefined())
}
