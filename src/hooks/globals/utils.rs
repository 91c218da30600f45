//! `utils`, `sleep` and `timestamp`.

use std::time::Duration;

use boa_engine::object::builtins::{JsArray, JsArrayBuffer, JsUint8Array};
use boa_engine::{Context, JsArgs, JsNativeError, JsResult, JsString, JsValue};
use rand::Rng as _;
use serde_json::Value as Json;

use super::Natives;
use super::plain::{argument, in_script, to_script};
use super::registration::text;
use crate::base::id::random_id;
use crate::base::password::{self, PASSWORD_BYTES_MAX};
use crate::hooks::operate::wait_for;
use crate::hooks::world::{session, world};
use crate::js::thread::{Thread, Wait};
use crate::js::timers::delay;

pub(super) const NATIVES: Natives = &[
    ("jsonDecode", 1, json_decode),
    ("msgpackEncode", 1, msgpack_encode),
    ("msgpackDecode", 1, msgpack_decode),
    ("generateId", 0, generate_id),
    ("hashPassword", 1, hash_password),
    ("random", 2, random),
    ("uuid", 0, uuid),
    ("sleep", 1, sleep),
    ("timestamp", 0, timestamp),
];

/// The longest sleep, and the longest inside a transaction, where everybody who writes waits for its end.
const SLEEP_MAX: Duration = Duration::from_secs(30);
const SLEEP_IN_TRANSACTION_MAX: Duration = Duration::from_secs(1);
/// How long a hash may take, its turn in the queue included.
const HASH_MAX: Duration = Duration::from_secs(30);
/// The most bytes that are decoded at once.
const DECODED_BYTES_MAX: usize = 16 << 20;

fn failed(message: impl std::fmt::Display) -> JsNativeError {
    JsNativeError::error().with_message(message.to_string())
}

/// `jsonDecode(text)`: an object is given back as it is, as it may have been decoded already.
fn json_decode(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let value = args.get_or_undefined(0);
    if value.is_object() {
        return Ok(value.clone());
    }
    let text = text(value, context)?;
    let json: Json = serde_json::from_str(&text)
        .map_err(|error| JsNativeError::syntax().with_message(error.to_string()))?;
    to_script(&json, context)
}

/// `msgpackEncode(value)`: bytes.
fn msgpack_encode(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let json = argument(args, 0, context)?;
    let bytes = rmp_serde::to_vec(&json).map_err(failed)?;
    in_script(context, |context| {
        Ok(JsUint8Array::from_iter(bytes, context)?.into())
    })
}

/// `msgpackDecode(bytes)`: a `Uint8Array`, an `ArrayBuffer` or a list of numbers.
fn msgpack_decode(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let bytes = bytes_of(args.get_or_undefined(0), context)?;
    let json: Json = rmp_serde::from_slice(&bytes).map_err(failed)?;
    to_script(&json, context)
}

fn bytes_of(value: &JsValue, context: &mut Context) -> JsResult<Vec<u8>> {
    let refused = || JsNativeError::typ().with_message("bytes are expected");
    let object = value.as_object().ok_or_else(refused)?;
    if let Ok(buffer) = JsArrayBuffer::from_object(object.clone()) {
        return buffer.to_vec().ok_or_else(|| refused().into());
    }
    let length = if let Ok(array) = JsUint8Array::from_object(object.clone()) {
        array.length(context)?
    } else if let Ok(array) = JsArray::from_object(object.clone()) {
        usize::try_from(array.length(context)?).unwrap_or(usize::MAX)
    } else {
        return Err(refused().into());
    };
    if length > DECODED_BYTES_MAX {
        return Err(JsNativeError::range().with_message("too many bytes").into());
    }
    (0..length)
        .map(|index| object.get(index, context)?.to_uint8(context))
        .collect()
}

/// `generateId()`: as records have them.
fn generate_id(_: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    Ok(JsString::from(random_id().as_str()).into())
}

/// `hashPassword(text)`: argon2id, as auth records store it.
fn hash_password(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let plain = text(args.get_or_undefined(0), context)?;
    if plain.len() > PASSWORD_BYTES_MAX {
        return Err(JsNativeError::range()
            .with_message("the password is too long")
            .into());
    }
    let hash = waiting(context, HASH_MAX, async move {
        tokio::task::spawn_blocking(move || password::hash_argon2id(&plain)).await
    })?;
    let hash = hash.map_err(failed)?.map_err(failed)?;
    Ok(JsString::from(hash.as_str()).into())
}

/// `random(min, max)`: a whole number between whole numbers, both included; else any number between them.
fn random(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let number = |index: usize, default: f64, context: &mut Context| {
        let value = args.get_or_undefined(index);
        if value.is_undefined() {
            return Ok(default);
        }
        value.to_number(context)
    };
    if args.is_empty() {
        return Ok(rand::rng().random::<f64>().into());
    }
    let (first, second) = if args.len() == 1 {
        (0.0, number(0, 0.0, context)?)
    } else {
        (number(0, 0.0, context)?, number(1, 0.0, context)?)
    };
    if !first.is_finite() || !second.is_finite() {
        return Err(JsNativeError::range()
            .with_message("two numbers are expected")
            .into());
    }
    let (min, max) = (first.min(second), first.max(second));
    let share = rand::rng().random::<f64>();
    Ok(if min.fract() == 0.0 && max.fract() == 0.0 {
        (min + (share * (max - min + 1.0)).floor()).min(max).into()
    } else {
        (min + share * (max - min)).into()
    })
}

/// `uuid()`: of version 4 (RFC 9562).
fn uuid(_: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    let mut bytes: [u8; 16] = rand::rng().random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    Ok(JsString::from(text.as_str()).into())
}

/// `sleep(milliseconds)`: other scripts go on meanwhile, but inside a transaction nobody can.
fn sleep(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let asked = delay(args.get_or_undefined(0), context)?;
    let longest = if session()?.transaction.is_some() {
        SLEEP_IN_TRANSACTION_MAX
    } else {
        SLEEP_MAX
    };
    let time = asked.min(longest);
    // Inside of a future: timers are made where the runtime is entered.
    let nap = async move { tokio::time::sleep(time).await };
    waiting(context, longest + HASH_MAX, nap)?;
    Ok(JsValue::undefined())
}

/// Waits for something that has nothing to do with the engine; other scripts go on, outside of transactions.
fn waiting<F: Future>(context: &mut Context, limit: Duration, future: F) -> JsResult<F::Output> {
    let thread = Thread::of_native()?;
    let wait = Wait {
        limit,
        serves_others: session()?.transaction.is_none() && !thread.on_behalf().in_writer,
    };
    let chain = thread.chain();
    wait_for(&thread, context, &chain, &wait, future)
}

/// `timestamp()`: seconds since 1970.
fn timestamp(_: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    #[expect(clippy::cast_precision_loss, reason = "exact for millions of years")]
    Ok(JsValue::from(world()?.engine.now().unix() as f64))
}
