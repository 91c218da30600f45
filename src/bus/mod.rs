//! The publish/subscribe bus that carries everything live: record events, topics, user channels, hook subscriptions.
//!
//! An event is encoded once and its bytes are shared by every subscriber. Each subscriber has a bounded queue; one that
//! overflows is cut off with [`Item::Lagged`]. Topics that ask for it keep a bounded log, from which a subscriber resumes
//! after the last [`EventId`] it saw.
//!
//! What the bus must never do: wait for a subscriber, skip an event silently, or know who may see what.

mod backend;
mod event;
mod hub;
mod log;
mod queue;
mod subscriber;
mod topic;

#[cfg(test)]
mod tests;

pub use backend::{Backend, Inlet, Memory};
pub use event::{Event, EventId, EventIdError, Message, Readers, write_data_lines};
pub use hub::{Bus, BusOptions, Delivery, Joined, Start, SubscribeError};
pub use log::LogLimits;
pub use queue::{Item, QueueLimits};
pub use subscriber::{Subscriber, SubscriberHandle};
pub use topic::{Topic, TopicError};

/// Locks plain data. A poisoned lock is taken over: every critical section of this module leaves its data consistent.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
