//! A message to one client: those who listen may change it or drop it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::json;

use crate::engine::events::{Event, EventKind, Handler, Outcome, Slot, Slots, tapped};

/// The name of an event and its data.
pub(super) struct Message {
    name: Arc<str>,
    data: Bytes,
    frame: OnceLock<Bytes>,
}

impl Message {
    pub(super) fn new(name: Arc<str>, data: Bytes) -> Self {
        Self {
            name,
            data,
            frame: OnceLock::new(),
        }
    }

    /// A message of others than the server. A line break would end the data, or forge fields of the stream.
    pub(super) fn of_text(name: &str, data: &str) -> Self {
        Self::new(name.into(), data.replace(['\r', '\n'], " ").into())
    }

    /// The lines of the stream, but for the id.
    pub(super) fn frame(&self) -> Bytes {
        let frame = self.frame.get_or_init(|| {
            let mut frame = Vec::with_capacity(self.name.len() + self.data.len() + 20);
            frame.extend_from_slice(b"event:");
            // A name with a line break would forge fields of the stream.
            let name = self.name.bytes();
            frame.extend(name.filter(|byte| !matches!(byte, b'\r' | b'\n')));
            frame.extend_from_slice(b"\ndata:");
            frame.extend_from_slice(&self.data);
            frame.extend_from_slice(b"\n\n");
            frame.into()
        });
        frame.clone()
    }

    /// Offers the message to those who listen; gives it as they want it sent to a client, `None` when they do not.
    pub(super) async fn offer(&self, handlers: &[Arc<dyn Handler>], client: &str) -> Option<Self> {
        let event = || {
            let client = Slot::Json(client.into());
            Event::new(EventKind::RealtimeMessageSend, None).with("client", client)
        };
        let mut message = Self::new(Arc::clone(&self.name), self.data.clone());
        let sent = tapped(
            handlers,
            event,
            None,
            &mut message,
            async |_: &mut Self, _| Ok(()),
        );
        match sent.await.result {
            Ok(Outcome::Done(())) => Some(message),
            Ok(Outcome::Answered(_) | Outcome::Silent) => None,
            Err(error) => {
                tracing::debug!(%error, "a realtime message was refused");
                None
            }
        }
    }
}

impl Slots for Message {
    fn put(&mut self, event: &mut Event) {
        let data = String::from_utf8_lossy(&self.data);
        let message = json!({"name": &*self.name, "data": data});
        event.set("message", Slot::Json(message));
    }

    fn take(&mut self, event: &mut Event) {
        let Some(message) = event.json("message") else {
            return;
        };
        let text = |name: &str| message.get(name).and_then(serde_json::Value::as_str);
        if let Some(name) = text("name").filter(|name| **name != *self.name) {
            self.name = name.into();
            self.frame = OnceLock::new();
        }
        if let Some(data) = text("data").filter(|data| data.as_bytes() != self.data) {
            // A line break would end the data, or forge fields of the stream.
            self.data = data.replace(['\r', '\n'], " ").into();
            self.frame = OnceLock::new();
        }
    }
}
