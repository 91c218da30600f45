//! The seam between publishing and fan-out, where several nodes will be joined.

use std::fmt;
use std::task::Waker;

use super::event::{EventId, Message};
use super::hub::Hub;
use super::topic::Topic;

/// Carries published messages to every node of the application.
///
/// A backend must hand each message to the inlet of every node once, and messages of one topic in the same order. It
/// must not block: a backend over the network queues the message and hands it to the inlet when it comes back, on each
/// node, from a task of its own (see [`crate::bus::Bus::inlet`]).
///
/// The seam covers live events only. Ids and logs stay with each node, so that a client which reconnects to another node
/// is told of a gap; a shared log would make subscribing asynchronous, and comes with the backend that needs it.
pub trait Backend: Send + Sync + fmt::Debug {
    /// Takes a message on its way. Returns the event's id if this node's subscribers have been served already.
    fn publish(&self, inlet: &mut Inlet<'_>, topic: &Topic, message: Message) -> Option<EventId>;
}

/// The backend of a single node: straight to its own subscribers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory;

impl Backend for Memory {
    fn publish(&self, inlet: &mut Inlet<'_>, topic: &Topic, message: Message) -> Option<EventId> {
        inlet.accept(topic, message)
    }
}

/// Where messages enter this node. Subscribers are woken once, when it is dropped, however many messages came in.
#[derive(Debug)]
pub struct Inlet<'bus> {
    hub: &'bus Hub,
    wakers: Vec<Waker>,
}

impl<'bus> Inlet<'bus> {
    pub(super) fn new(hub: &'bus Hub) -> Self {
        Self {
            hub,
            wakers: Vec::new(),
        }
    }

    /// Gives the message an id, logs it and queues it for this node's subscribers. `None`: nobody watches and there is
    /// no log, so the event has no place.
    pub fn accept(&mut self, topic: &Topic, message: Message) -> Option<EventId> {
        self.hub.accept(topic, message, &mut self.wakers)
    }

    pub(super) fn wakers(&mut self) -> &mut Vec<Waker> {
        &mut self.wakers
    }
}

impl Drop for Inlet<'_> {
    fn drop(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }
}
