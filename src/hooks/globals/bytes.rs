//! Bytes between scripts and the host.

use boa_engine::object::builtins::{AlignedVec, JsArrayBuffer, JsUint8Array};
use boa_engine::{Context, JsNativeError, JsResult, JsValue};
use bytes::Bytes;

use super::registration::{list, text};

/// Bytes as a script's `Uint8Array`.
pub(crate) fn to_js(bytes: &[u8], context: &mut Context) -> JsResult<JsValue> {
    let block = AlignedVec::from_iter(0, bytes.iter().copied());
    let buffer = JsArrayBuffer::from_byte_block(block, context)?;
    Ok(JsUint8Array::from_array_buffer(buffer, context)?.into())
}

/// The bytes of a typed array, a buffer, a list of numbers, or a text; nothing of anything else.
pub(crate) fn of_js(value: &JsValue, context: &mut Context) -> JsResult<Option<Bytes>> {
    if value.is_null_or_undefined() {
        return Ok(Some(Bytes::new()));
    }
    if value.is_string() {
        return Ok(Some(Bytes::from(text(value, context)?)));
    }
    let Some(object) = value.as_object() else {
        return Ok(None);
    };
    if let Ok(array) = JsUint8Array::from_object(object.clone()) {
        let (offset, length) = (array.byte_offset(context)?, array.byte_length(context)?);
        let buffer = array.buffer(context)?;
        return part_of(&buffer, offset, length).map(Some);
    }
    if let Ok(buffer) = JsArrayBuffer::from_object(object.clone()) {
        let length = buffer.byte_length();
        return part_of(&buffer.into(), 0, length).map(Some);
    }
    if !object.is_array() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    for item in list(value, context)? {
        let Some(number) = item.as_number() else {
            return Ok(None);
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "numbers are taken modulo 256, as typed arrays take them"
        )]
        bytes.push(number as i64 as u8);
    }
    Ok(Some(Bytes::from(bytes)))
}

/// The bytes of a value that must have some.
pub(crate) fn expect(value: &JsValue, context: &mut Context) -> JsResult<Bytes> {
    of_js(value, context)?.ok_or_else(|| {
        JsNativeError::typ()
            .with_message("bytes or a text are expected")
            .into()
    })
}

fn part_of(buffer: &JsValue, offset: usize, length: usize) -> JsResult<Bytes> {
    let object = buffer
        .as_object()
        .ok_or_else(|| JsNativeError::typ().with_message("no buffer"))?;
    let buffer = JsArrayBuffer::from_object(object)?;
    let data = buffer
        .data()
        .ok_or_else(|| JsNativeError::typ().with_message("the buffer is detached"))?;
    let part = data.get(offset..offset.saturating_add(length));
    Ok(Bytes::copy_from_slice(part.unwrap_or_default()))
}
