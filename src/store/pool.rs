//! Connections for reading.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::conn::Conn;
use super::error::Error;

/// How long closing waits for readers that are still in use.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// A bounded set of read-only connections, opened as they are needed. The one returned last is lent first: its caches are
/// warm, and a quiet server keeps few in use.
pub(super) struct Pool {
    options: SqliteConnectOptions,
    query_timeout: Duration,
    size: u32,
    permits: Arc<Semaphore>,
    /// A lent connection's lock is held by its guard, so that nothing but the guard reaches it.
    idle: Mutex<Vec<Cell>>,
    /// Counts table changes; an idle connection with an older number forgets its prepared statements first.
    generation: AtomicU64,
}

type Cell = Arc<tokio::sync::Mutex<Slot>>;

struct Slot {
    conn: Conn,
    generation: u64,
}

impl Pool {
    pub(super) fn new(
        options: SqliteConnectOptions,
        size: usize,
        query_timeout: Duration,
    ) -> Arc<Self> {
        let size = u32::try_from(size.max(1)).unwrap_or(u32::MAX);
        Arc::new(Self {
            options,
            query_timeout,
            size,
            permits: Arc::new(Semaphore::new(size as usize)),
            idle: Mutex::new(Vec::new()),
            generation: AtomicU64::new(0),
        })
    }

    /// Lends a connection; waits for one as long as a query may take.
    pub(super) async fn acquire(self: &Arc<Self>) -> Result<ReadGuard, Error> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(TryAcquireError::Closed) => return Err(Error::Closed),
            Err(TryAcquireError::NoPermits) => {
                let waiting = Arc::clone(&self.permits).acquire_owned();
                tokio::time::timeout(self.query_timeout, waiting)
                    .await
                    .map_err(|_| Error::Busy)?
                    .map_err(|_| Error::Closed)?
            }
        };
        let generation = self.generation.load(Ordering::Acquire);
        let idle = self.idle().pop();
        let cell = match idle {
            Some(cell) => cell,
            None => Arc::new(tokio::sync::Mutex::new(Slot {
                conn: Conn::open(&self.options, self.query_timeout).await?,
                generation,
            })),
        };
        let mut slot = cell.lock_owned().await;
        if slot.generation != generation {
            // A failure here drops the connection.
            slot.conn.tables_changed().await?;
            slot.generation = generation;
        }
        Ok(ReadGuard {
            slot,
            permit: Some(permit),
            pool: Arc::clone(self),
        })
    }

    /// Tables changed: prepared statements of all readers are stale.
    pub(super) fn tables_changed(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Waits for lent connections, for a while, and closes all idle ones.
    pub(super) async fn close(&self) {
        let all = self.permits.acquire_many(self.size);
        let _ = tokio::time::timeout(CLOSE_PATIENCE, all).await;
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        for cell in idle {
            let Some(slot) = Arc::into_inner(cell) else {
                continue;
            };
            if let Err(error) = slot.into_inner().conn.close().await {
                tracing::warn!(%error, "a reader did not close");
            }
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Cell>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection back. One with a query still running is stopped in the background and kept from others until
    /// then.
    fn release(
        self: &Arc<Self>,
        slot: &OwnedMutexGuard<Slot>,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        if slot.conn.is_dead() {
            return;
        }
        let cell = Arc::clone(OwnedMutexGuard::mutex(slot));
        if !slot.conn.is_interrupted() {
            self.idle().push(cell);
            return;
        }
        // Outside a runtime, at the end of the process, the connection is dropped instead.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let pool = Arc::clone(self);
        runtime.spawn(async move {
            let settled = cell.lock().await.conn.settle().await;
            if settled.is_ok() {
                pool.idle().push(cell);
            }
            drop(permit);
        });
    }
}

/// A connection for reading, given back on drop.
pub struct ReadGuard {
    // Before the permit: fields are dropped in order, and the next borrower needs the lock.
    slot: OwnedMutexGuard<Slot>,
    permit: Option<OwnedSemaphorePermit>,
    pool: Arc<Pool>,
}

impl Deref for ReadGuard {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.slot.conn
    }
}

impl DerefMut for ReadGuard {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.slot.conn
    }
}

impl Drop for ReadGuard {
    fn drop(&mut self) {
        let permit = if self.slot.conn.is_interrupted() {
            self.permit.take()
        } else {
            None
        };
        self.pool.release(&self.slot, permit);
    }
}

#[cfg(test)]
mod tests;
