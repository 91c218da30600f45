//! A session's inbox: the one queue between the port and the session's task.

use std::fmt;
use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::BytesMut;
use tokio::sync::Notify;

/// How many datagrams may wait for a session: about half a second of a room with 50 videos.
pub(super) const DATAGRAMS_MAX: usize = 4096;

/// A datagram from a peer.
#[derive(Debug)]
pub(crate) struct Datagram {
    /// What the peer was registered with. It may be gone by the time its datagram is read.
    pub(crate) tag: u32,
    /// IPv4 addresses as such, never mapped to IPv6.
    pub(crate) from: SocketAddr,
    pub(crate) data: BytesMut,
    /// When its batch was read from the socket.
    pub(crate) at: Instant,
}

/// The queue of a session: bounded, filled by the batch, emptied at once by its one reader. A cheap handle.
#[derive(Clone)]
pub(crate) struct Inbox {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Vec<Datagram>>,
    filled: Notify,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::default(),
        }
    }

    /// Waits until there is a datagram and moves all into `into`. May be dropped while it waits: nothing is lost. One reader.
    pub(crate) async fn take(&self, into: &mut Vec<Datagram>) {
        while !self.try_take(into) {
            self.shared.filled.notified().await;
        }
    }

    /// Moves all that wait into `into`; whether there were any.
    pub(crate) fn try_take(&self, into: &mut Vec<Datagram>) -> bool {
        let mut waiting = self.lock();
        if waiting.is_empty() {
            return false;
        }
        if into.is_empty() {
            mem::swap(&mut *waiting, into);
        } else {
            into.append(&mut waiting);
        }
        true
    }

    /// Moves a batch in, wakes the reader, and gives the number of datagrams that found no place. `batch` is empty afterwards.
    pub(super) fn put(&self, batch: &mut Vec<Datagram>) -> usize {
        let mut waiting = self.lock();
        let free = DATAGRAMS_MAX.saturating_sub(waiting.len());
        let excess = batch.len().saturating_sub(free);
        batch.truncate(free);
        // Who finds datagrams waiting need not wake the reader: who put the first of them has.
        let is_first = waiting.is_empty() && !batch.is_empty();
        waiting.append(batch);
        drop(waiting);
        if is_first {
            self.shared.filled.notify_one();
        }
        excess
    }

    /// Tells inboxes apart, for as long as this one lives.
    pub(super) fn identity(&self) -> usize {
        Arc::as_ptr(&self.shared) as usize
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Datagram>> {
        // Nothing that holds the lock can leave the queue half changed.
        self.shared
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Duration, timeout};

    use super::*;

    fn datagrams(count: usize) -> Vec<Datagram> {
        let from = SocketAddr::from(([127, 0, 0, 1], 9));
        let at = Instant::now();
        (0..count)
            .map(|tag| Datagram {
                tag: u32::try_from(tag).unwrap(),
                from,
                data: BytesMut::from(&b"x"[..]),
                at,
            })
            .collect()
    }

    #[tokio::test]
    async fn gives_batches_in_order_and_all_at_once() {
        let inbox = Inbox::new();
        inbox.put(&mut datagrams(3));
        inbox.put(&mut datagrams(2));
        let mut taken = Vec::new();
        inbox.take(&mut taken).await;
        let tags: Vec<_> = taken.iter().map(|datagram| datagram.tag).collect();
        assert_eq!(tags, [0, 1, 2, 0, 1]);
        assert!(!inbox.try_take(&mut taken));
    }

    #[test]
    fn drops_what_is_over_its_bound() {
        let inbox = Inbox::new();
        assert_eq!(inbox.put(&mut datagrams(DATAGRAMS_MAX - 1)), 0);
        let mut batch = datagrams(3);
        assert_eq!(inbox.put(&mut batch), 2);
        assert!(batch.is_empty());
        assert_eq!(inbox.put(&mut datagrams(1)), 1);
        let mut taken = Vec::new();
        assert!(inbox.try_take(&mut taken));
        assert_eq!(taken.len(), DATAGRAMS_MAX);
        assert_eq!(inbox.put(&mut datagrams(1)), 0);
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_loses_no_wake() {
        let inbox = Inbox::new();
        let mut taken = Vec::new();
        assert!(
            timeout(Duration::from_millis(1), inbox.take(&mut taken))
                .await
                .is_err()
        );
        let reader = tokio::spawn({
            let inbox = inbox.clone();
            async move {
                let mut taken = Vec::new();
                inbox.take(&mut taken).await;
                taken.len()
            }
        });
        tokio::task::yield_now().await;
        inbox.put(&mut datagrams(1));
        assert_eq!(reader.await.unwrap(), 1);
    }
}
