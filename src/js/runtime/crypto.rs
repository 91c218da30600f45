//! `crypto.randomUUID`, `crypto.getRandomValues` and `performance.now`.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use boa_engine::builtins::typed_array::TypedArrayKind;
use boa_engine::object::ObjectInitializer;
use boa_engine::object::builtins::{JsArrayBuffer, JsTypedArray};
use boa_engine::property::Attribute;
use boa_engine::{
    Context, JsArgs, JsError, JsNativeError, JsResult, JsString, JsValue, NativeFunction, js_string,
};
use rand::RngCore;

/// How many bytes one call fills (W3C Web Cryptography, section 10.1.1).
const RANDOM_BYTES_MAX: usize = 65_536;

/// Installs `crypto` and `performance`.
///
/// # Errors
/// Names that are taken.
pub(super) fn install(context: &mut Context) -> JsResult<()> {
    let crypto = ObjectInitializer::new(context)
        .function(
            NativeFunction::from_fn_ptr(random_uuid),
            js_string!("randomUUID"),
            0,
        )
        .function(
            NativeFunction::from_fn_ptr(random_values),
            js_string!("getRandomValues"),
            1,
        )
        .build();
    let start = Instant::now();
    let now = move |_: &JsValue, _: &[JsValue], _: &mut Context| {
        Ok(JsValue::from(start.elapsed().as_secs_f64() * 1_000.0))
    };
    let origin = SystemTime::now().duration_since(UNIX_EPOCH);
    let origin_ms = origin.unwrap_or_default().as_secs_f64() * 1_000.0;
    let performance = ObjectInitializer::new(context)
        .function(NativeFunction::from_copy_closure(now), js_string!("now"), 0)
        .property(js_string!("timeOrigin"), origin_ms, Attribute::all())
        .build();
    let attributes = Attribute::WRITABLE | Attribute::CONFIGURABLE;
    context.register_global_property(js_string!("crypto"), crypto, attributes)?;
    context.register_global_property(js_string!("performance"), performance, attributes)
}

/// A random UUID, version 4 (RFC 9562 section 5.4).
fn random_uuid(_: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    let mut number = u128::from_be_bytes(bytes);
    number = number & !(0xf << 76) | 0x4 << 76;
    number = number & !(0x3 << 62) | 0x2 << 62;
    let hex = format!("{number:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    let uuid = [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ]
    .join("-");
    Ok(JsString::from(uuid).into())
}

fn random_values(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let value = args.get_or_undefined(0);
    let array = value.as_object().map(JsTypedArray::from_object);
    let Some(Ok(array)) = array else {
        return Err(type_error("the argument is no integer typed array"));
    };
    let floats = [TypedArrayKind::Float32, TypedArrayKind::Float64];
    if array.kind().is_some_and(|kind| floats.contains(&kind)) {
        return Err(type_error("the argument is no integer typed array"));
    }
    let (length, offset) = (array.byte_length(context)?, array.byte_offset(context)?);
    if length > RANDOM_BYTES_MAX {
        let error = JsNativeError::range().with_message("more than 65536 random bytes at once");
        return Err(error.into());
    }
    let buffer = array.buffer(context)?.as_object();
    let buffer = buffer
        .and_then(|buffer| JsArrayBuffer::from_object(buffer).ok())
        .ok_or_else(|| type_error("the array's memory is shared"))?;
    let mut data = buffer
        .data_mut()
        .ok_or_else(|| type_error("the array's memory is gone"))?;
    if let Some(bytes) = data.get_mut(offset..offset + length) {
        rand::rng().fill_bytes(bytes);
    }
    Ok(value.clone())
}

fn type_error(message: &'static str) -> JsError {
    JsNativeError::typ().with_message(message).into()
}
