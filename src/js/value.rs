//! Reading values of scripts without running the script's code.
//!
//! Getters, proxies and conversions are code of the script, which may throw, loop or lie. What is reported about a
//! failed script must not depend on them, so only data properties are read here, and only so many.

use boa_engine::builtins::error::Error;
use boa_engine::builtins::function::OrdinaryFunction;
use boa_engine::builtins::typed_array::TypedArray;
use boa_engine::object::builtins::{JsDate, JsProxy, JsTypedArray};
use boa_engine::property::{PropertyDescriptor, PropertyKey};
use boa_engine::{Context, JsObject, JsString, JsValue, JsVariant, js_string};
use serde_json::{Map, Number, Value};

/// How many prototypes are followed.
const PROTOTYPES_MAX: usize = 64;
/// How deep objects are read into JSON.
const DEPTH_MAX: usize = 64;
/// How many values are read into JSON.
const VALUES_MAX: usize = 200_000;

/// The value of a data property of an object itself.
pub(super) fn own_data(object: &JsObject, key: &PropertyKey) -> Option<JsValue> {
    own_property(object, key)?.value().cloned()
}

/// The value of a data property of an object or of its prototypes; `None` if the first one found is an accessor.
pub(super) fn data(object: &JsObject, key: &PropertyKey) -> Option<JsValue> {
    let mut holder = Some(object.clone());
    for _ in 0..PROTOTYPES_MAX {
        let object = holder?;
        if let Some(property) = own_property(&object, key) {
            return property.value().cloned();
        }
        holder = object.prototype();
    }
    None
}

/// A property of an object itself, as it is stored.
pub(super) fn own_property(object: &JsObject, key: &PropertyKey) -> Option<PropertyDescriptor> {
    object.try_borrow().ok()?.properties().get(key)
}

/// A data property that is a text, found as in [`data`].
pub(super) fn text(object: &JsObject, name: &str) -> Option<String> {
    let value = data(object, &JsString::from(name).into())?;
    value.as_string().map(|text| text.to_std_string_lossy())
}

/// The name that an object's class has.
pub(super) fn class_name(object: &JsObject) -> Option<String> {
    let constructor = data(object, &js_string!("constructor").into())?;
    text(&constructor.as_object()?, "name").filter(|name| !name.is_empty())
}

/// The keys of an object's own properties; none of a proxy, nor of a typed array, whose elements are its keys.
pub(super) fn own_keys(object: &JsObject, context: &mut Context) -> Vec<PropertyKey> {
    if is_proxy(object) || object.is::<TypedArray>() {
        return Vec::new();
    }
    object.own_property_keys(context).unwrap_or_default()
}

pub(super) fn is_proxy(object: &JsObject) -> bool {
    JsProxy::from_object(object.clone()).is_ok()
}

pub(super) fn is_error(object: &JsObject) -> bool {
    object.is::<Error>()
}

/// What a host object says of itself: the result of its `toJSON`, if that is native code.
pub(super) fn host_json(object: &JsObject, context: &mut Context) -> Option<JsValue> {
    let method = data(object, &js_string!("toJSON").into())?.as_object()?;
    let native = method.is_callable()
        && !method.is::<OrdinaryFunction>()
        && !is_proxy(&method)
        && !text(&method, "name").is_some_and(|name| name.starts_with("bound "));
    if !native {
        return None;
    }
    method.call(&object.clone().into(), &[], context).ok()
}

/// The length of an array, 0 of anything else.
pub(super) fn array_length(object: &JsObject) -> u64 {
    let length = own_data(object, &js_string!("length").into());
    let length = length.and_then(|length| length.as_number());
    // Lengths are whole numbers below 2^32.
    length.map_or(0, |length| length as u64)
}

/// A value as JSON. Functions, symbols and accessors are left out as in `JSON.stringify`; what is cyclic, too deep or
/// too much is `null`. Dates, and host objects with a native `toJSON`, are what that gives.
pub(crate) fn to_json(value: &JsValue, context: &mut Context) -> Value {
    let mut reader = JsonReader {
        left: VALUES_MAX,
        above: Vec::new(),
    };
    reader.read(value, context).unwrap_or_default()
}

struct JsonReader {
    left: usize,
    /// The objects around the one that is read.
    above: Vec<JsObject>,
}

impl JsonReader {
    /// `None` for what JSON leaves out.
    fn read(&mut self, value: &JsValue, context: &mut Context) -> Option<Value> {
        self.left = self.left.saturating_sub(1);
        Some(match value.variant() {
            JsVariant::Undefined | JsVariant::Symbol(_) => return None,
            JsVariant::Null => Value::Null,
            JsVariant::Boolean(value) => Value::Bool(value),
            JsVariant::Integer32(value) => Value::from(value),
            JsVariant::Float64(value) => number(value),
            JsVariant::BigInt(value) => Value::String(value.to_string()),
            JsVariant::String(text) => Value::String(text.to_std_string_lossy()),
            JsVariant::Object(object) => return self.read_object(&object, context),
        })
    }

    fn read_object(&mut self, object: &JsObject, context: &mut Context) -> Option<Value> {
        if object.is_callable() {
            return None;
        }
        let cyclic = self
            .above
            .iter()
            .any(|above| JsObject::equals(above, object));
        if self.left == 0 || self.above.len() >= DEPTH_MAX || cyclic {
            return Some(Value::Null);
        }
        if let Ok(date) = JsDate::from_object(object.clone()) {
            let iso = date.to_iso_string(context).ok();
            return Some(iso.map_or(Value::Null, |iso| {
                self.read(&iso, context).unwrap_or_default()
            }));
        }
        self.above.push(object.clone());
        let read = if object.is_array() {
            self.read_array(object, context)
        } else if let Ok(array) = JsTypedArray::from_object(object.clone()) {
            self.read_typed_array(&array, context)
        } else if let Some(json) = host_json(object, context) {
            self.read(&json, context).unwrap_or_default()
        } else {
            self.read_properties(object, context)
        };
        self.above.pop();
        Some(read)
    }

    fn read_array(&mut self, array: &JsObject, context: &mut Context) -> Value {
        let mut items = Vec::new();
        for index in 0..array_length(array) {
            if self.left == 0 {
                break;
            }
            let Ok(index) = u32::try_from(index) else {
                break;
            };
            let item = own_data(array, &index.into()).unwrap_or_default();
            items.push(self.read(&item, context).unwrap_or_default());
        }
        Value::Array(items)
    }

    fn read_typed_array(&mut self, array: &JsTypedArray, context: &mut Context) -> Value {
        let length = array.length(context).unwrap_or_default().min(self.left);
        let items = (0..length).map(|index| {
            let item = array.at(index as i64, context).unwrap_or_default();
            self.read(&item, context).unwrap_or_default()
        });
        Value::Array(items.collect())
    }

    fn read_properties(&mut self, object: &JsObject, context: &mut Context) -> Value {
        let mut members = Map::new();
        for key in own_keys(object, context) {
            if self.left == 0 {
                break;
            }
            if matches!(key, PropertyKey::Symbol(_)) {
                continue;
            }
            let Some(property) = own_property(object, &key) else {
                continue;
            };
            let Some(value) = property.value().filter(|_| property.expect_enumerable()) else {
                continue;
            };
            if let Some(value) = self.read(value, context) {
                members.insert(key.to_string(), value);
            }
        }
        Value::Object(members)
    }
}

/// Whole numbers stay whole, as `JSON.stringify` writes them; what is not finite is `null`.
fn number(value: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT {
        return Value::from(value as i64);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}
