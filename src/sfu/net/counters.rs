//! What the media plane counts: added to once per batch where there are batches, read seldom.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::super::port::Metrics;

/// Counters since the start, over all sessions. What the receive task writes and what sessions write lies on cache lines of
/// their own, so that neither takes the other's.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) incoming: Incoming,
    pub(crate) outgoing: Sent,
    pub(crate) work: Work,
}

/// Written by the receive task.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Incoming {
    pub(crate) packets: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// Datagrams that belong to no peer.
    pub(crate) unknown: AtomicU64,
    /// Binding requests that name a peer and do not prove its password, or come too often to be checked.
    pub(crate) refused: AtomicU64,
    /// Datagrams for an inbox that was full.
    pub(crate) overflowed: AtomicU64,
}

/// Written by the sessions, when they send.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Sent {
    pub(crate) packets: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// Datagrams that the socket did not take.
    pub(crate) dropped: AtomicU64,
}

/// Written by the sessions, about their work.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Work {
    /// Open now.
    pub(crate) sessions: AtomicU64,
    /// Joined now.
    pub(crate) peers: AtomicU64,
    pub(crate) forwarded: AtomicU64,
    pub(crate) nacks: AtomicU64,
    pub(crate) key_frames: AtomicU64,
}

impl Counters {
    pub(crate) fn metrics(&self) -> Metrics {
        let Self {
            incoming,
            outgoing,
            work,
        } = self;
        Metrics {
            sessions: work.sessions.load(Relaxed),
            peers: work.peers.load(Relaxed),
            packets_received: incoming.packets.load(Relaxed),
            bytes_received: incoming.bytes.load(Relaxed),
            packets_sent: outgoing.packets.load(Relaxed),
            bytes_sent: outgoing.bytes.load(Relaxed),
            packets_forwarded: work.forwarded.load(Relaxed),
            packets_dropped: outgoing.dropped.load(Relaxed) + incoming.overflowed.load(Relaxed),
            packets_unknown: incoming.unknown.load(Relaxed) + incoming.refused.load(Relaxed),
            nacks_received: work.nacks.load(Relaxed),
            key_frames_requested: work.key_frames.load(Relaxed),
            panics: crate::peer::panics(),
        }
    }
}

/// Adds without touching the line where there is nothing to add.
pub(super) fn add(counter: &AtomicU64, count: u64) {
    if count > 0 {
        counter.fetch_add(count, Relaxed);
    }
}
