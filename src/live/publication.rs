//! What is published, and to whom.

use bytes::Bytes;
use serde_json::Value as Json;

use super::Error;
use crate::bus::{Message, Topic};

/// Most bytes of a payload that a part of the server publishes; clients have a smaller bound.
const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// An event on its way to a topic. Without more, everybody who may subscribe to the topic sees it.
#[derive(Clone, Debug)]
pub struct Publication {
    pub(super) topic: Topic,
    pub(super) message: Message,
}

impl Publication {
    /// A payload for a topic.
    ///
    /// # Errors
    /// When the name is no topic's or reserved, or the payload is longer than 1 MiB.
    pub fn new(topic: &str, payload: &Json) -> Result<Self, Error> {
        Self::encoded(self::topic(topic)?, payload.to_string().into())
    }

    /// A payload that is JSON text already.
    ///
    /// # Errors
    /// When it is longer than 1 MiB.
    pub(super) fn encoded(topic: Topic, payload: Bytes) -> Result<Self, Error> {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(Error::PayloadTooLong {
                max: PAYLOAD_BYTES_MAX,
            });
        }
        let message = Message::new(payload);
        Ok(Self { topic, message })
    }

    /// The same event, for these users and superusers alone, now and when it is replayed.
    #[must_use]
    pub fn for_users<'a>(mut self, ids: impl IntoIterator<Item = &'a str>) -> Self {
        self.message = self.message.for_readers(ids);
        self
    }

    /// The same event under a key to take it back by, such as `post/abc`; see [`super::Live::retract`].
    #[must_use]
    pub fn keyed(mut self, key: &str) -> Self {
        self.message = self.message.keyed(key);
        self
    }
}

/// A name that a topic may have.
///
/// # Errors
/// [`Error::Topic`], [`Error::Reserved`].
pub(super) fn topic(name: &str) -> Result<Topic, Error> {
    let topic = Topic::new(name)?;
    if name.starts_with('@') {
        return Err(Error::Reserved);
    }
    Ok(topic)
}
