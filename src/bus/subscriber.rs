//! The two ends of a subscription: the reader, and the handle that changes what it reads.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use super::hub::{Hub, Joined, Start, SubscribeError};
use super::lock;
use super::queue::{Item, Queue};
use super::topic::Topic;

/// Most topics of one subscriber.
const TOPICS_PER_SUBSCRIBER_MAX: usize = 1_000;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) queue: Queue,
    topics: Mutex<Topics>,
}

#[derive(Debug, Default)]
struct Topics {
    ended: bool,
    names: HashSet<Topic>,
}

impl Shared {
    pub(super) fn new(queue: Queue) -> Self {
        Self {
            queue,
            topics: Mutex::default(),
        }
    }
}

/// The reading end. Dropping it ends all its subscriptions.
pub struct Subscriber {
    handle: SubscriberHandle,
    /// What was taken off the shared queue and not yet read.
    batch: VecDeque<Item>,
}

impl Subscriber {
    pub(super) fn new(hub: Arc<Hub>, queue: Queue) -> Self {
        Self {
            handle: SubscriberHandle {
                hub,
                shared: Arc::new(Shared::new(queue)),
            },
            batch: VecDeque::new(),
        }
    }

    /// The end that changes the subscriptions and that [`crate::bus::Bus::deliver`] takes.
    pub fn handle(&self) -> &SubscriberHandle {
        &self.handle
    }

    /// The next item; `None` once the subscriber was closed or cut off and all was read. Cancel safe.
    pub async fn recv(&mut self) -> Option<Item> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// [`Subscriber::recv`] for hand-written futures.
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<Item>> {
        if let Some(item) = self.batch.pop_front() {
            return Poll::Ready(Some(item));
        }
        self.handle
            .shared
            .queue
            .poll_take(&mut self.batch, context)
            .map(|more| if more { self.batch.pop_front() } else { None })
    }

    /// An item that is there already.
    pub fn try_recv(&mut self) -> Option<Item> {
        if self.batch.is_empty() {
            self.handle.shared.queue.try_take(&mut self.batch);
        }
        self.batch.pop_front()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let names = {
            let mut topics = lock(&self.handle.shared.topics);
            topics.ended = true;
            std::mem::take(&mut topics.names)
        };
        let queue = &self.handle.shared.queue;
        queue.abandon();
        for topic in names {
            self.handle.hub.leave(&topic, queue.id());
        }
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Subscriber")
            .field("id", &self.handle.id())
            .finish_non_exhaustive()
    }
}

/// The controlling end of a subscriber. Cheap to clone; it does not keep the subscription alive.
#[derive(Clone)]
pub struct SubscriberHandle {
    hub: Arc<Hub>,
    pub(super) shared: Arc<Shared>,
}

impl SubscriberHandle {
    /// A number no other subscriber of this bus has or had.
    pub fn id(&self) -> u64 {
        self.shared.queue.id()
    }

    /// Whether items still reach the reader.
    pub fn is_open(&self) -> bool {
        self.shared.queue.is_open()
    }

    /// Adds a topic. What the log still has after `start` is queued before anything published from now on; nothing is
    /// missed or doubled in between. A topic it reads already stays as it is.
    ///
    /// # Errors
    /// When the reader is gone, or a bound on topics is reached.
    pub fn subscribe(&self, topic: &Topic, start: Start) -> Result<Joined, SubscribeError> {
        let mut topics = lock(&self.shared.topics);
        if topics.ended || !self.is_open() {
            return Err(SubscribeError::Ended);
        }
        let known = topics.names.contains(topic);
        if !known && topics.names.len() >= TOPICS_PER_SUBSCRIBER_MAX {
            return Err(SubscribeError::TooManyTopics);
        }
        let joined = self.hub.join(topic, &self.shared, start)?;
        if !known {
            topics.names.insert(topic.clone());
        }
        Ok(joined)
    }

    /// Drops a topic; `false` if it was not subscribed. What waits already is still read.
    pub fn unsubscribe(&self, topic: &Topic) -> bool {
        let mut topics = lock(&self.shared.topics);
        if !topics.names.remove(topic) {
            return false;
        }
        self.hub.leave(topic, self.id());
        true
    }

    /// Replaces the set of topics: drops those not named, adds the new ones from now on.
    ///
    /// # Errors
    /// As [`SubscriberHandle::subscribe`]; topics before the failing one have been changed.
    pub fn set_topics(&self, wanted: &[Topic]) -> Result<(), SubscribeError> {
        let dropped: Vec<Topic> = {
            let topics = lock(&self.shared.topics);
            let gone = topics.names.iter().filter(|name| !wanted.contains(name));
            gone.cloned().collect()
        };
        for topic in &dropped {
            self.unsubscribe(topic);
        }
        for topic in wanted {
            self.subscribe(topic, Start::Now)?;
        }
        Ok(())
    }

    /// The subscribed topics, in no order.
    pub fn topics(&self) -> Vec<Topic> {
        lock(&self.shared.topics).names.iter().cloned().collect()
    }

    /// Ends the subscription once what waits has been read.
    pub fn close(&self) {
        if let Some(waker) = self.shared.queue.close() {
            waker.wake();
        }
    }
}

impl fmt::Debug for SubscriberHandle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SubscriberHandle({})", self.id())
    }
}
