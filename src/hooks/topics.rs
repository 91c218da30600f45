//! Topics that scripts subscribe to: one subscriber of the bus for all of them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use boa_engine::{Context, JsValue};
use serde_json::Value as Json;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::registry::Published;
use crate::bus::{Bus, Item, QueueLimits, Subscriber, SubscriberHandle, Topic};

/// Functions that may be at work on events at once, those that wait in promises included.
const AT_WORK_MAX: usize = 1_000;
/// Events that may wait for scripts. Scripts that fall further behind lose what comes until they are through, and the
/// log says so.
const QUEUE: QueueLimits = QueueLimits {
    items_max: 20_000,
    bytes_max: 64 << 20,
};

/// Follows the topics that scripts have subscribed to.
#[derive(Clone)]
pub(super) struct Topics(Arc<Inner>);

struct Inner {
    bus: Bus,
    state: Mutex<State>,
}

struct State {
    handle: SubscriberHandle,
    topics: Vec<Topic>,
}

impl Topics {
    /// A subscriber, and the handle that its topics are changed with.
    pub(super) fn new(bus: &Bus) -> (Self, Subscriber) {
        let subscriber = bus.subscriber_with(QUEUE);
        let topics = Self(Arc::new(Inner {
            bus: bus.clone(),
            state: Mutex::new(State {
                handle: subscriber.handle().clone(),
                topics: Vec::new(),
            }),
        }));
        (topics, subscriber)
    }

    /// Follows these topics and no others.
    pub(super) fn follow<'a>(&self, names: impl Iterator<Item = &'a String>) {
        let wanted: BTreeSet<&String> = names.collect();
        let topics = wanted
            .into_iter()
            .filter_map(|name| Topic::new(name).ok())
            .collect();
        let mut state = self.lock();
        state.topics = topics;
        state.apply();
    }

    /// A new subscriber of the same topics, after the last was cut off.
    fn renew(&self) -> Subscriber {
        let subscriber = self.0.bus.subscriber_with(QUEUE);
        let mut state = self.lock();
        state.handle = subscriber.handle().clone();
        state.apply();
        subscriber
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn apply(&self) {
        if let Err(error) = self.handle.set_topics(&self.topics) {
            tracing::error!(%error, "scripts cannot subscribe to their topics");
        }
    }
}

/// Hands events to the functions that are subscribed when it comes to them, in order, so that each event is handled once,
/// by one version of a script.
pub(super) async fn deliver(
    topics: Topics,
    mut subscriber: Subscriber,
    published: Published,
    stop: CancellationToken,
) {
    let at_work = Arc::new(Semaphore::new(AT_WORK_MAX));
    loop {
        let item = tokio::select! {
            () = stop.cancelled() => return,
            item = subscriber.recv() => item,
        };
        let event = match item {
            Some(Item::Event(event)) => event,
            Some(Item::Lagged) => {
                tracing::error!("scripts fell behind their topics; events are lost to them");
                subscriber = topics.renew();
                continue;
            }
            Some(_) => continue,
            None => return,
        };
        let functions = {
            let registry = published.load();
            registry.topics.get(event.topic().as_str()).cloned()
        };
        for function in functions.unwrap_or_default() {
            let Ok(permit) = Arc::clone(&at_work).acquire_owned().await else {
                return;
            };
            let data = event.data().clone();
            let arguments = Box::new(move |context: &mut Context| {
                let json: Json = serde_json::from_slice(&data).unwrap_or_default();
                Ok(vec![JsValue::from_json(&json, context)?])
            });
            // The call is queued here, so that the order of events is kept; errors are counted and logged there.
            let call = function.call(arguments, function.host().options().budget);
            tokio::spawn(async move {
                let _ = call.await;
                drop(permit);
            });
        }
    }
}
