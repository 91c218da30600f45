//! Messages of data channels, both ways.

use std::sync::Arc;
use std::time::Instant;

use super::Task;
use crate::peer::PeerKey;
use crate::peer::channels::Sent;
use crate::session::{Event, Leave, Message, Payload, To};

impl Task {
    pub(super) fn pass_up(&mut self, key: PeerKey, label: Arc<str>, payload: Payload) {
        if let Some(peer) = self.id_of(key) {
            self.tell(Event::Message {
                peer,
                label,
                payload,
            });
        }
    }

    pub(super) fn send(&mut self, message: &Message, now: Instant) {
        match &message.to {
            To::All => {
                for key in self.keys.values().copied().collect::<Vec<_>>() {
                    self.send_to(key, message, now);
                }
            }
            To::AllBut(peer) => {
                let others = self
                    .keys
                    .iter()
                    .filter(|(id, _)| *id != peer)
                    .map(|(_, key)| *key);
                for key in others.collect::<Vec<_>>() {
                    self.send_to(key, message, now);
                }
            }
            To::Only(peer) => {
                if let Some(key) = self.keys.get(peer).copied() {
                    self.send_to(key, message, now);
                }
            }
            To::These(peers) => {
                for peer in peers.iter() {
                    if let Some(key) = self.keys.get(peer).copied() {
                        self.send_to(key, message, now);
                    }
                }
            }
        }
    }

    fn send_to(&mut self, key: PeerKey, message: &Message, now: Instant) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        match peer.send(message.label, &message.payload, now) {
            Sent::Done | Sent::Waits => {}
            Sent::Dropped => {
                tracing::debug!(peer = %peer.id, label = message.label, "a message is dropped")
            }
            Sent::TooSlow => {
                tracing::info!(peer = %peer.id, label = message.label, "a peer does not read its messages and is removed");
                self.leaving.push((key, Leave::Faulty));
            }
        }
    }
}
