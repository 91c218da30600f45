//! Recently used tokens and whom they stand for.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use sha2::{Digest, Sha256};

use crate::model::Record;

/// The most tokens kept.
const TOKENS_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// Spares a signature check and a query per request. An entry goes when its record is written or the schema changes.
///
/// Keyed by a digest, so that memory holds no usable tokens.
pub(in crate::engine) struct AuthCache {
    state: Mutex<State>,
}

struct State {
    /// Counts invalidations: a look-up that began before one must not store its result after it.
    generation: u64,
    entries: LruCache<[u8; 32], Entry>,
}

struct Entry {
    record: Arc<Record>,
    /// Unix seconds.
    expires: i64,
}

impl Default for AuthCache {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                generation: 0,
                entries: LruCache::new(TOKENS_MAX),
            }),
        }
    }
}

pub(in crate::engine) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl AuthCache {
    /// The record of a token that was verified before and has not expired at `now` (Unix seconds); else the
    /// generation to store the result of a look-up under.
    pub(in crate::engine) fn get(&self, key: &[u8; 32], now: i64) -> Result<Arc<Record>, u64> {
        let mut state = self.lock();
        match state.entries.get(key) {
            Some(entry) if entry.expires > now => Ok(Arc::clone(&entry.record)),
            _ => Err(state.generation),
        }
    }

    pub(in crate::engine) fn put(
        &self,
        generation: u64,
        key: [u8; 32],
        record: Arc<Record>,
        expires: i64,
    ) {
        let mut state = self.lock();
        if state.generation == generation {
            state.entries.put(key, Entry { record, expires });
        }
    }

    /// Drops what is known of a record that was written.
    pub(in crate::engine) fn forget(&self, record: &Record) {
        let mut state = self.lock();
        state.generation += 1;
        let stale: Vec<[u8; 32]> = state
            .entries
            .iter()
            .filter(|(_, entry)| {
                entry.record.id() == record.id()
                    && entry.record.collection().id == record.collection().id
            })
            .map(|(key, _)| *key)
            .collect();
        for key in stale {
            state.entries.pop(&key);
        }
    }

    /// Drops everything.
    pub(in crate::engine) fn clear(&self) {
        let mut state = self.lock();
        state.generation += 1;
        state.entries.clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
