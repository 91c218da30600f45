//! The bounded queue of one subscriber.
//!
//! A ring under a plain lock instead of a channel: a push is one uncontended lock and one move, the reader takes the whole
//! ring at once, and the waker comes back to the publisher, who wakes everybody after it has served everybody. Tokio's
//! bounded channel costs a semaphore and a block list per push and wakes while it pushes; the ignored test
//! `fan_out_cost` in `tests.rs` measures both.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::event::Event;
use super::lock;
use super::topic::Topic;

/// How much may wait for one subscriber. The reader takes all that waits at once, so that twice as much may be in
/// memory for it; replayed events come on top and are shared with the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Most items.
    pub items_max: usize,
    /// Most bytes of encoded events. One item always fits into an empty queue.
    pub bytes_max: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            items_max: 1_024,
            bytes_max: 8 << 20,
        }
    }
}

/// What a subscriber reads.
#[derive(Clone, Debug)]
pub enum Item {
    /// An event of a topic.
    Event(Arc<Event>),
    /// Bytes that were handed to this subscriber by [`crate::bus::Bus::deliver`].
    Frame(Bytes),
    /// Events of the topic were missed that its log no longer has. Stands before anything replayed.
    Gap(Topic),
    /// The queue overflowed and the subscription is over; always the last item.
    Lagged,
}

impl Item {
    fn weight_bytes(&self) -> usize {
        match self {
            Self::Event(event) => event.weight_bytes(),
            Self::Frame(frame) => frame.len(),
            Self::Gap(_) | Self::Lagged => 0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    /// Overflowed; `Lagged` is still to be read.
    Lagged,
    Closed,
}

#[derive(Debug)]
struct Ring {
    items: VecDeque<Item>,
    bytes: usize,
    /// Replayed items that still wait, which the bounds let through.
    replayed_items: usize,
    replayed_bytes: usize,
    end: End,
    waker: Option<Waker>,
}

/// What became of a pushed item.
#[derive(Debug)]
pub(super) enum Push {
    Queued(Option<Waker>),
    /// This item did not fit; the subscriber is cut off.
    Lagged(Option<Waker>),
    /// The subscriber had ended before.
    Gone,
}

#[derive(Debug)]
pub(super) struct Queue {
    id: u64,
    limits: QueueLimits,
    ring: Mutex<Ring>,
}

impl Queue {
    pub(super) fn new(id: u64, limits: QueueLimits) -> Self {
        Self {
            id,
            limits,
            ring: Mutex::new(Ring {
                items: VecDeque::new(),
                bytes: 0,
                replayed_items: 0,
                replayed_bytes: 0,
                end: End::Open,
                waker: None,
            }),
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn is_open(&self) -> bool {
        lock(&self.ring).end == End::Open
    }

    /// Queues an item, or ends the subscription if it does not fit.
    pub(super) fn push(&self, item: Item) -> Push {
        let weight = item.weight_bytes();
        let mut ring = lock(&self.ring);
        if ring.end != End::Open {
            return Push::Gone;
        }
        let items = ring.items.len() - ring.replayed_items;
        let bytes = ring.bytes - ring.replayed_bytes;
        let fits = items < self.limits.items_max
            && (items == 0 || bytes + weight <= self.limits.bytes_max);
        if !fits {
            ring.end = End::Lagged;
            return Push::Lagged(ring.waker.take());
        }
        ring.bytes += weight;
        ring.items.push_back(item);
        Push::Queued(ring.waker.take())
    }

    /// Queues what a log gave back, outside the bounds: the log has bounds of its own, and a subscriber that were cut off
    /// by its own replay could never resume.
    pub(super) fn push_replay(&self, items: impl IntoIterator<Item = Item>) -> Push {
        let mut ring = lock(&self.ring);
        if ring.end != End::Open {
            return Push::Gone;
        }
        for item in items {
            ring.replayed_items += 1;
            ring.replayed_bytes += item.weight_bytes();
            ring.bytes += item.weight_bytes();
            ring.items.push_back(item);
        }
        Push::Queued(ring.waker.take())
    }

    /// Replayed items that still wait.
    pub(super) fn replay_len(&self) -> usize {
        lock(&self.ring).replayed_items
    }

    /// Ends the subscription after what waits. Returns whom to wake.
    pub(super) fn close(&self) -> Option<Waker> {
        let mut ring = lock(&self.ring);
        if ring.end == End::Open {
            ring.end = End::Closed;
        }
        ring.waker.take()
    }

    /// Ends the subscription and drops what waits: nobody will read it.
    pub(super) fn abandon(&self) {
        let mut ring = lock(&self.ring);
        ring.end = End::Closed;
        let items = std::mem::take(&mut ring.items);
        ring.bytes = 0;
        ring.replayed_items = 0;
        ring.replayed_bytes = 0;
        ring.waker = None;
        drop(ring);
        drop(items);
    }

    /// Takes all that waits into the empty `into`. `Ready(false)` means that nothing will follow.
    pub(super) fn poll_take(
        &self,
        into: &mut VecDeque<Item>,
        context: &mut Context<'_>,
    ) -> Poll<bool> {
        let mut ring = lock(&self.ring);
        if ring.take(into) {
            return Poll::Ready(true);
        }
        match ring.end {
            End::Closed => Poll::Ready(false),
            End::Open | End::Lagged => {
                match &mut ring.waker {
                    Some(waker) => waker.clone_from(context.waker()),
                    none => *none = Some(context.waker().clone()),
                }
                Poll::Pending
            }
        }
    }

    /// As [`Queue::poll_take`], without waiting.
    pub(super) fn try_take(&self, into: &mut VecDeque<Item>) -> bool {
        lock(&self.ring).take(into)
    }
}

impl Ring {
    fn take(&mut self, into: &mut VecDeque<Item>) -> bool {
        if !self.items.is_empty() {
            // The reader's empty ring goes back for the next items, so that neither side allocates; a burst's memory
            // does not stay.
            if into.capacity() > 256 {
                *into = VecDeque::new();
            }
            std::mem::swap(&mut self.items, into);
            self.bytes = 0;
            self.replayed_items = 0;
            self.replayed_bytes = 0;
            return true;
        }
        if self.end == End::Lagged {
            self.end = End::Closed;
            into.push_back(Item::Lagged);
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(items_max: usize, bytes_max: usize) -> Queue {
        Queue::new(
            1,
            QueueLimits {
                items_max,
                bytes_max,
            },
        )
    }

    fn frame(bytes: usize) -> Item {
        Item::Frame(Bytes::from(vec![b'x'; bytes]))
    }

    fn names(queue: &Queue) -> Vec<&'static str> {
        let mut all = Vec::new();
        let mut batch = VecDeque::new();
        while queue.try_take(&mut batch) {
            all.extend(batch.drain(..).map(|item| match item {
                Item::Event(_) => "event",
                Item::Frame(_) => "frame",
                Item::Gap(_) => "gap",
                Item::Lagged => "lagged",
            }));
        }
        all
    }

    #[test]
    fn overflow_by_count_keeps_what_waits_and_ends_with_lagged() {
        let queue = queue(2, 1_000);
        assert!(matches!(queue.push(frame(1)), Push::Queued(_)));
        assert!(matches!(queue.push(frame(1)), Push::Queued(_)));
        assert!(matches!(queue.push(frame(1)), Push::Lagged(_)));
        assert!(matches!(queue.push(frame(1)), Push::Gone));
        assert_eq!(names(&queue), ["frame", "frame", "lagged"]);
        assert!(matches!(queue.push(frame(1)), Push::Gone));
    }

    #[test]
    fn overflow_by_bytes_lets_one_large_item_through() {
        let queue = queue(100, 1_000);
        assert!(matches!(queue.push(frame(5_000)), Push::Queued(_)));
        assert!(matches!(queue.push(frame(1)), Push::Lagged(_)));
        assert_eq!(names(&queue), ["frame", "lagged"]);
    }

    #[test]
    fn replay_does_not_count_towards_the_bounds() {
        let queue = queue(2, 10);
        queue.push_replay((0..50).map(|_| frame(5)));
        assert!(matches!(queue.push(frame(5)), Push::Queued(_)));
        assert!(matches!(queue.push(frame(5)), Push::Queued(_)));
        assert!(matches!(queue.push(frame(5)), Push::Lagged(_)));
        assert_eq!(names(&queue).len(), 53);
    }

    #[test]
    fn an_abandoned_queue_frees_what_waits() {
        let queue = queue(10, 1_000);
        let bytes = Bytes::from(vec![b'x'; 10]);
        queue.push(Item::Frame(bytes.clone()));
        assert!(!bytes.is_unique());
        queue.abandon();
        assert!(bytes.is_unique());
    }

    #[test]
    fn a_closed_queue_gives_what_waits_first() {
        let queue = queue(10, 1_000);
        queue.push(frame(1));
        queue.close();
        assert_eq!(names(&queue), ["frame"]);
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(
            queue.poll_take(&mut VecDeque::new(), &mut context),
            Poll::Ready(false)
        );
    }
}
