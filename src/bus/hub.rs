//! The bus itself: topics, their subscribers, publishing.
//!
//! Lock order: a subscriber's topic set, the table of topics, one topic, one queue. Wakers run outside all of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::backend::{Backend, Inlet, Memory};
use super::event::{Event, EventId, Message};
use super::lock;
use super::log::{LogBudget, LogLimits, Replay, TopicLog};
use super::queue::{Item, Push, Queue, QueueLimits};
use super::subscriber::{Shared, Subscriber, SubscriberHandle};
use super::topic::Topic;

/// Bounds of a bus.
#[derive(Clone, Copy, Debug)]
pub struct BusOptions {
    /// The queue of a subscriber that names no other bounds.
    pub queue: QueueLimits,
    /// Most topics with a subscriber or a log at one time.
    pub topics_max: usize,
    /// Most replayed events that may wait for one subscriber; beyond it the oldest are left out, with a gap.
    pub replay_items_max: usize,
    /// Most bytes of all logs together.
    pub logs_bytes_max: usize,
    /// How long a topic that nobody watches and that has no log keeps its position, so that a client which was away for
    /// a moment is not told of a gap.
    pub linger: Duration,
}

impl Default for BusOptions {
    fn default() -> Self {
        Self {
            queue: QueueLimits::default(),
            topics_max: 200_000,
            replay_items_max: 20_000,
            logs_bytes_max: 512 << 20,
            linger: Duration::from_secs(600),
        }
    }
}

/// Where in a topic a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the next event.
    Now,
    /// With the event after this one, as far as the log reaches.
    After(EventId),
}

/// How a subscription began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The newest position of the topic; everything after it arrives.
    pub position: EventId,
    /// The position before the first event that arrives, be it replayed or new.
    pub from: EventId,
    /// Whether events were missed; then [`Item::Gap`] is queued first.
    pub gap: bool,
    /// How many events were queued from the log.
    pub replayed: usize,
}

/// Why a topic could not be subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// The reader is gone or was cut off.
    #[error("the subscriber has ended")]
    Ended,
    /// The bound on topics, of this subscriber or of the bus, is reached.
    #[error("too many topics")]
    TooManyTopics,
}

/// What became of delivered bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Subscribers that will read them.
    pub queued: usize,
    /// Subscribers that were cut off because their queue was full.
    pub lagged: usize,
    /// Subscribers that had ended before.
    pub gone: usize,
}

/// The publish/subscribe bus; a cheap handle.
#[derive(Clone, Debug)]
pub struct Bus {
    hub: Arc<Hub>,
}

impl Bus {
    /// A bus of one node.
    pub fn new(options: BusOptions) -> Self {
        Self::with_backend(options, Box::new(Memory))
    }

    /// A bus whose messages travel through `backend`.
    pub fn with_backend(options: BusOptions, backend: Box<dyn Backend>) -> Self {
        Self {
            hub: Arc::new(Hub {
                // 48 random bits: short in every id, and no two runs of a server share one.
                boot: rand::random::<u64>() >> 16,
                budget: Arc::new(LogBudget {
                    bytes_max: options.logs_bytes_max,
                    bytes: AtomicUsize::new(0),
                }),
                options,
                topics: RwLock::default(),
                first_seq: AtomicU64::new(0),
                next_subscriber: AtomicU64::new(1),
                backend,
            }),
        }
    }

    /// The run of the server that stands in this bus's ids.
    pub fn boot(&self) -> u64 {
        self.hub.boot
    }

    /// Publishes to all subscribers of a topic, without waiting for any of them. Returns the id, unless nobody could see
    /// the event (no subscriber, no log) or the backend gives it later.
    pub fn publish(&self, topic: &Topic, message: Message) -> Option<EventId> {
        self.hub.backend.publish(&mut self.inlet(), topic, message)
    }

    /// Publishes several messages, waking each subscriber once.
    pub fn publish_all(&self, messages: impl IntoIterator<Item = (Topic, Message)>) {
        let mut inlet = self.inlet();
        for (topic, message) in messages {
            self.hub.backend.publish(&mut inlet, &topic, message);
        }
    }

    /// Hands encoded bytes to chosen subscribers, whatever they are subscribed to, and wakes them afterwards.
    pub fn deliver<'a>(
        &self,
        to: impl IntoIterator<Item = &'a SubscriberHandle>,
        frame: &Bytes,
    ) -> Delivery {
        let mut inlet = self.inlet();
        let mut delivery = Delivery::default();
        for handle in to {
            let waker = match handle.shared.queue.push(Item::Frame(frame.clone())) {
                Push::Queued(waker) => {
                    delivery.queued += 1;
                    waker
                }
                Push::Lagged(waker) => {
                    delivery.lagged += 1;
                    waker
                }
                Push::Gone => {
                    delivery.gone += 1;
                    None
                }
            };
            inlet.wakers().extend(waker);
        }
        delivery
    }

    /// A subscriber without topics, with the usual queue.
    pub fn subscriber(&self) -> Subscriber {
        self.subscriber_with(self.hub.options.queue)
    }

    /// A subscriber without topics.
    pub fn subscriber_with(&self, limits: QueueLimits) -> Subscriber {
        let id = self.hub.next_subscriber.fetch_add(1, Ordering::Relaxed);
        Subscriber::new(self.hub.clone(), Queue::new(id, limits))
    }

    /// Gives a topic a log until [`Bus::unpin_log`], or changes its limits.
    ///
    /// # Errors
    /// [`SubscribeError::TooManyTopics`] when the bus has no room for another topic.
    pub fn pin_log(&self, topic: &Topic, limits: LogLimits) -> Result<(), SubscribeError> {
        self.hub.with_topic(topic, |inner| {
            inner.pinned = true;
            self.hub.keep_log(inner, limits);
        })
    }

    /// Takes logged events back: they are not replayed any more, and nobody is told of a gap. What subscribers have
    /// already been given cannot be taken from them. Gives how many events there were.
    pub fn retract(&self, topic: &Topic, is_taken_back: impl Fn(&Event) -> bool) -> usize {
        let Some(state) = self.hub.find(topic) else {
            return 0;
        };
        let mut inner = lock(&state.inner);
        inner
            .log
            .as_mut()
            .map_or(0, |log| log.retract(is_taken_back))
    }

    /// Lets a topic's log go once it is empty and nobody watches.
    pub fn unpin_log(&self, topic: &Topic) {
        if let Some(state) = self.hub.find(topic) {
            lock(&state.inner).pinned = false;
            self.hub.left_alone(topic, &state);
        }
    }

    /// Whether a topic has subscribers: a publisher may spare itself an expensive payload.
    pub fn is_watched(&self, topic: &Topic) -> bool {
        let state = self.hub.find(topic);
        state.is_some_and(|state| !lock(&state.inner).subscribers.is_empty())
    }

    /// How many topics have a subscriber or a log.
    pub fn topic_count(&self) -> usize {
        self.hub.read_topics().len()
    }

    /// Drops logged events that are too old. Logs trim themselves when they are used; this is for idle topics, and is
    /// meant to be called about once a minute.
    pub fn sweep(&self, now: Instant) {
        let states: Vec<_> = self.hub.read_topics().values().cloned().collect();
        for state in states {
            let is_over = {
                let mut inner = lock(&state.inner);
                if let Some(log) = &mut inner.log {
                    log.trim(now);
                }
                inner.is_over(now, self.hub.options.linger)
            };
            if is_over {
                self.hub.retire_if_idle(&state.name);
            }
        }
    }

    /// Where a backend brings in messages from elsewhere.
    pub fn inlet(&self) -> Inlet<'_> {
        Inlet::new(&self.hub)
    }
}

impl Default for Bus {
    fn default() -> Self {
        Self::new(BusOptions::default())
    }
}

#[derive(Debug)]
pub(super) struct Hub {
    boot: u64,
    options: BusOptions,
    budget: Arc<LogBudget>,
    topics: RwLock<HashMap<Topic, Arc<TopicState>>>,
    /// Where a new topic begins to count: beyond every id that a forgotten topic gave, since it may be the same topic,
    /// and a client that resumes with an old id must be told of the gap.
    first_seq: AtomicU64,
    next_subscriber: AtomicU64,
    backend: Box<dyn Backend>,
}

#[derive(Debug)]
struct TopicState {
    name: Topic,
    inner: Mutex<TopicInner>,
}

#[derive(Debug)]
struct TopicInner {
    /// The newest position given.
    seq: u64,
    log: Option<TopicLog>,
    pinned: bool,
    /// Ordered by queue id.
    subscribers: Vec<Arc<Shared>>,
    /// Since when nobody watches and nothing is logged, as far as somebody noticed.
    idle_since: Option<Instant>,
    /// No longer in the table: look the topic up again.
    retired: bool,
}

impl TopicInner {
    /// Whether the topic has been idle for as long as it may linger.
    fn is_over(&mut self, now: Instant, linger: Duration) -> bool {
        if !self.is_idle() {
            self.idle_since = None;
            return false;
        }
        let since = *self.idle_since.get_or_insert(now);
        now.saturating_duration_since(since) >= linger
    }

    fn is_idle(&self) -> bool {
        self.subscribers.is_empty()
            && !self.pinned
            && self.log.as_ref().is_none_or(TopicLog::is_empty)
    }

    /// The place of a queue id among the subscribers.
    fn place(&self, id: u64) -> Result<usize, usize> {
        self.subscribers
            .binary_search_by_key(&id, |shared| shared.queue.id())
    }

    fn replay(&mut self, after: EventId, boot: u64, items_max: usize) -> Replay {
        let Some(log) = &mut self.log else {
            let gap = after
                != EventId {
                    boot,
                    seq: self.seq,
                };
            return Replay {
                gap,
                events: Vec::new(),
            };
        };
        log.trim(Instant::now());
        let mut replay = log.replay(after, boot, self.seq);
        let over = replay.events.len().saturating_sub(items_max);
        if over > 0 {
            replay.events.drain(..over);
            replay.gap = true;
        }
        replay
    }
}

impl Hub {
    /// Gives a message its id, logs it and queues it. Adds whom to wake to `wakers`.
    pub(super) fn accept(
        &self,
        topic: &Topic,
        message: Message,
        wakers: &mut Vec<Waker>,
    ) -> Option<EventId> {
        loop {
            let state = match self.find(topic) {
                Some(state) => state,
                None if message.log.is_none() => return None,
                None => match self.find_or_create(topic) {
                    Ok(state) => state,
                    Err(_) => {
                        tracing::warn!(topic = %topic, "An event was dropped: the bus is at its bound of topics.");
                        return None;
                    }
                },
            };
            let mut inner = lock(&state.inner);
            if inner.retired {
                continue;
            }
            inner.seq += 1;
            let limits = message.log;
            let id = EventId {
                boot: self.boot,
                seq: inner.seq,
            };
            let event = Arc::new(Event::encode(state.name.clone(), id, message));
            if let (Some(limits), None) = (limits, &inner.log) {
                // The position before this event: it is the log's first.
                inner.log = Some(TopicLog::new(limits, id.seq - 1, self.budget.clone()));
            }
            if let Some(log) = &mut inner.log {
                log.append(event.clone(), Instant::now());
            }
            inner.subscribers.retain(|shared| {
                let (stays, waker) = match shared.queue.push(Item::Event(event.clone())) {
                    Push::Queued(waker) => (true, waker),
                    Push::Lagged(waker) => (false, waker),
                    Push::Gone => (false, None),
                };
                wakers.extend(waker);
                stays
            });
            return Some(id);
        }
    }

    /// Adds a subscriber to a topic, replaying in the same critical section.
    pub(super) fn join(
        &self,
        topic: &Topic,
        shared: &Arc<Shared>,
        start: Start,
    ) -> Result<Joined, SubscribeError> {
        let (joined, push) = self.with_topic(topic, |inner| {
            let position = EventId {
                boot: self.boot,
                seq: inner.seq,
            };
            let mut joined = Joined {
                position,
                from: position,
                gap: false,
                replayed: 0,
            };
            let Err(place) = inner.place(shared.queue.id()) else {
                return (joined, None);
            };
            inner.subscribers.insert(place, shared.clone());
            inner.idle_since = None;
            let Start::After(after) = start else {
                return (joined, None);
            };
            let room = self
                .options
                .replay_items_max
                .saturating_sub(shared.queue.replay_len());
            let replay = inner.replay(after, self.boot, room);
            joined.gap = replay.gap;
            joined.replayed = replay.events.len();
            if let Some(first) = replay.events.first() {
                joined.from.seq = first.id().seq - 1;
            }
            let gap = replay.gap.then(|| Item::Gap(topic.clone()));
            let events = replay.events.into_iter().map(Item::Event);
            (
                joined,
                Some(shared.queue.push_replay(gap.into_iter().chain(events))),
            )
        })?;
        if let Some(Push::Queued(Some(waker))) = push {
            waker.wake();
        }
        Ok(joined)
    }

    /// Removes a subscriber from a topic.
    pub(super) fn leave(&self, topic: &Topic, id: u64) {
        let Some(state) = self.find(topic) else {
            return;
        };
        {
            let mut inner = lock(&state.inner);
            if let Ok(place) = inner.place(id) {
                inner.subscribers.remove(place);
            }
        }
        self.left_alone(topic, &state);
    }

    /// Somebody let go of a topic: if it was the last one, the topic goes too, now or after a while.
    fn left_alone(&self, topic: &Topic, state: &TopicState) {
        if lock(&state.inner).is_over(Instant::now(), self.options.linger) {
            self.retire_if_idle(topic);
        }
    }

    fn keep_log(&self, inner: &mut TopicInner, limits: LogLimits) {
        match &mut inner.log {
            Some(log) => log.set_limits(limits),
            none => *none = Some(TopicLog::new(limits, inner.seq, self.budget.clone())),
        }
    }

    /// Runs `change` on a topic, which is made if it is not there.
    fn with_topic<T>(
        &self,
        topic: &Topic,
        change: impl Fn(&mut TopicInner) -> T,
    ) -> Result<T, SubscribeError> {
        loop {
            let state = self.find_or_create(topic)?;
            let mut inner = lock(&state.inner);
            if !inner.retired {
                return Ok(change(&mut inner));
            }
        }
    }

    fn find(&self, topic: &Topic) -> Option<Arc<TopicState>> {
        self.read_topics().get(topic).cloned()
    }

    fn find_or_create(&self, topic: &Topic) -> Result<Arc<TopicState>, SubscribeError> {
        if let Some(state) = self.find(topic) {
            return Ok(state);
        }
        let mut topics = self.write_topics();
        if let Some(state) = topics.get(topic) {
            return Ok(state.clone());
        }
        if topics.len() >= self.options.topics_max {
            return Err(SubscribeError::TooManyTopics);
        }
        let state = Arc::new(TopicState {
            name: topic.clone(),
            inner: Mutex::new(TopicInner {
                seq: self.first_seq.load(Ordering::Relaxed),
                log: None,
                pinned: false,
                subscribers: Vec::new(),
                idle_since: None,
                retired: false,
            }),
        });
        topics.insert(topic.clone(), state.clone());
        Ok(state)
    }

    /// Forgets a topic that has neither subscribers nor a log.
    fn retire_if_idle(&self, topic: &Topic) {
        let mut topics = self.write_topics();
        let Some(state) = topics.get(topic) else {
            return;
        };
        let mut inner = lock(&state.inner);
        if !inner.is_idle() {
            return;
        }
        inner.retired = true;
        // Under the table's write lock, as is the load above.
        self.first_seq.fetch_max(inner.seq + 1, Ordering::Relaxed);
        drop(inner);
        topics.remove(topic);
    }

    fn read_topics(&self) -> RwLockReadGuard<'_, HashMap<Topic, Arc<TopicState>>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_topics(&self) -> RwLockWriteGuard<'_, HashMap<Topic, Arc<TopicState>>> {
        self.topics.write().unwrap_or_else(PoisonError::into_inner)
    }
}
