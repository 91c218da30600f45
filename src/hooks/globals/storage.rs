//! `storage`: values that all scripts share, in memory. They outlive reloads and end with the server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use boa_engine::{Context, JsArgs, JsNativeError, JsResult, JsValue};
use serde_json::{Value as Json, json};

use super::Natives;
use super::plain::{argument, to_script};
use super::registration::text;
use crate::hooks::world::world;

pub(super) const NATIVES: Natives = &[
    ("set", 3, set),
    ("get", 1, get),
    ("delete", 1, delete),
    ("keys", 1, keys),
];

/// The most keys, the most bytes of one value as JSON, and of all together.
const KEYS_MAX: usize = 10_000;
const VALUE_BYTES_MAX: usize = 1 << 20;
const BYTES_MAX: usize = 64 << 20;
/// The longest time to live: a year.
const TTL_MAX_S: f64 = 31_536_000.0;

struct Entry {
    text: String,
    ends: Option<Instant>,
}

impl Entry {
    fn is_alive(&self, now: Instant) -> bool {
        self.ends.is_none_or(|ends| now < ends)
    }
}

#[derive(Default)]
struct State {
    entries: BTreeMap<String, Entry>,
    bytes: usize,
}

impl State {
    fn remove(&mut self, key: &str) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.bytes -= key.len() + entry.text.len();
        Some(entry)
    }

    fn sweep(&mut self, now: Instant) {
        let over: Vec<String> = self
            .entries
            .iter()
            .filter(|(_, entry)| !entry.is_alive(now))
            .map(|(key, _)| key.clone())
            .collect();
        for key in over {
            self.remove(&key);
        }
    }

    fn fits(&self, bytes: usize) -> bool {
        self.entries.len() < KEYS_MAX && self.bytes + bytes <= BYTES_MAX
    }
}

/// There is no room for another value.
#[derive(Debug, PartialEq, Eq)]
struct Full;

/// The shared values. A cheap handle.
#[derive(Clone, Default)]
pub(in crate::hooks) struct Storage(Arc<Mutex<State>>);

impl Storage {
    fn set(
        &self,
        key: &str,
        text: String,
        ttl: Option<Duration>,
        now: Instant,
    ) -> Result<(), Full> {
        let bytes = key.len() + text.len();
        if text.len() > VALUE_BYTES_MAX {
            return Err(Full);
        }
        let mut state = self.lock();
        let former = state.remove(key);
        if !state.fits(bytes) {
            state.sweep(now);
        }
        if !state.fits(bytes) {
            if let Some(former) = former {
                state.bytes += key.len() + former.text.len();
                state.entries.insert(key.to_owned(), former);
            }
            return Err(Full);
        }
        let ends = ttl.map(|ttl| now + ttl);
        state.bytes += bytes;
        state.entries.insert(key.to_owned(), Entry { text, ends });
        Ok(())
    }

    fn get(&self, key: &str, now: Instant) -> Option<String> {
        let mut state = self.lock();
        let entry = state.entries.get(key)?;
        if entry.is_alive(now) {
            return Some(entry.text.clone());
        }
        state.remove(key);
        None
    }

    fn delete(&self, key: &str, now: Instant) -> bool {
        let removed = self.lock().remove(key);
        removed.is_some_and(|entry| entry.is_alive(now))
    }

    fn keys(&self, prefix: &str, now: Instant) -> Vec<String> {
        let mut state = self.lock();
        state.sweep(now);
        let keys = state.entries.keys();
        keys.filter(|key| key.starts_with(prefix))
            .cloned()
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `set(key, value, ttlSeconds?)`: true. `undefined` takes the key away.
fn set(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let key = text(args.get_or_undefined(0), context)?;
    let storage = world()?.options.storage.clone();
    let now = Instant::now();
    let value = args.get_or_undefined(1);
    if value.is_undefined() {
        storage.delete(&key, now);
        return Ok(true.into());
    }
    let ttl = args.get_or_undefined(2);
    let ttl = if ttl.is_null_or_undefined() {
        None
    } else {
        let seconds = ttl.to_number(context)?;
        if !seconds.is_finite() || seconds < 0.0 {
            return Err(JsNativeError::range()
                .with_message("a time to live is a number of seconds")
                .into());
        }
        // As elsewhere, 0 is without end.
        (seconds > 0.0).then(|| Duration::from_secs_f64(seconds.min(TTL_MAX_S)))
    };
    let json = argument(args, 1, context)?;
    storage
        .set(&key, json.to_string(), ttl, now)
        .map_err(|Full| JsNativeError::range().with_message("the storage is full"))?;
    Ok(true.into())
}

/// `get(key)`: a copy of the value; null when there is none.
fn get(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let key = text(args.get_or_undefined(0), context)?;
    match world()?.options.storage.get(&key, Instant::now()) {
        Some(text) => {
            let json: Json = serde_json::from_str(&text).unwrap_or_default();
            to_script(&json, context)
        }
        None => Ok(JsValue::null()),
    }
}

/// `delete(key)`: whether there was one.
fn delete(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let key = text(args.get_or_undefined(0), context)?;
    let storage = world()?.options.storage.clone();
    Ok(storage.delete(&key, Instant::now()).into())
}

/// `keys(prefix?)`: the keys in order.
fn keys(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let prefix = args.get_or_undefined(0);
    let prefix = if prefix.is_null_or_undefined() {
        String::new()
    } else {
        text(prefix, context)?
    };
    let keys = world()?.options.storage.keys(&prefix, Instant::now());
    to_script(&json!(keys), context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_end_when_their_time_is_over() {
        let (storage, now) = (Storage::default(), Instant::now());
        let second = Duration::from_secs(1);
        storage.set("a", "1".into(), Some(second), now).unwrap();
        storage.set("b", "2".into(), None, now).unwrap();
        assert_eq!(storage.get("a", now).as_deref(), Some("1"));
        assert_eq!(storage.get("a", now + second), None);
        assert_eq!(storage.keys("", now + second), ["b"]);
        assert!(storage.delete("b", now));
        assert_eq!(storage.lock().bytes, 0);
    }

    #[test]
    fn it_is_bounded_and_what_was_there_stays() {
        let (storage, now) = (Storage::default(), Instant::now());
        let large = || "x".repeat(VALUE_BYTES_MAX);
        for index in 0..BYTES_MAX / VALUE_BYTES_MAX - 1 {
            storage
                .set(&format!("{index:03}"), large(), None, now)
                .unwrap();
        }
        storage.set("small", "1".into(), None, now).unwrap();
        assert_eq!(storage.set("more", large(), None, now), Err(Full));
        assert_eq!(storage.set("small", large(), None, now), Err(Full));
        assert_eq!(storage.get("small", now).as_deref(), Some("1"));
        let too_large = "x".repeat(VALUE_BYTES_MAX + 1);
        assert_eq!(storage.set("000", too_large, None, now), Err(Full));
        storage.delete("000", now);
        storage.set("small", large(), None, now).unwrap();
    }
}
