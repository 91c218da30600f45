//! The data channels of a peer, by label.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use rtc::data_channel::{RTCDataChannelId, RTCDataChannelInit};
use webrtc::peer_connection::RTCPeerConnection;

use super::connection::{MESSAGE_MAX, internal};
use crate::Error;
use crate::session::{Channel, Payload};

/// How many channels a client may have open; more are closed.
const CHANNELS_MAX: usize = 16;
/// The longest label, in bytes.
const LABEL_MAX: usize = 64;
/// What waits for a channel to open, in bytes; what is beyond is dropped.
const WAITING_MAX: usize = 1024 * 1024;
/// What keeping a message costs besides its payload, in bytes.
const OVERHEAD: usize = 64;
/// What a reliable channel's reader may be behind, in bytes; who is further behind is removed.
const BEHIND_MAX: usize = 8 * 1024 * 1024;
/// What an unreliable channel may hold, in bytes; what is beyond is dropped.
const UNRELIABLE_MAX: usize = 128 * 1024;

/// The channels of a peer.
#[derive(Debug)]
pub(crate) struct Channels {
    /// The longest message that the client takes, in bytes.
    message_max: usize,
    labels: HashMap<Arc<str>, Line>,
    by_id: HashMap<RTCDataChannelId, Arc<str>>,
}

/// What is sent on a label.
#[derive(Debug, Default)]
struct Line {
    /// Whether the server made a channel of this label; the label is kept then, whatever becomes of its channels.
    is_ours: bool,
    is_reliable: bool,
    /// The channel in use: the server's, or the client's last one of this label.
    current: Option<RTCDataChannelId>,
    waiting: VecDeque<Payload>,
    waiting_bytes: usize,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Done,
    /// Kept until the channel opens.
    Waits,
    Dropped,
    /// The reader is too far behind.
    TooSlow,
}

impl Channels {
    /// Makes the server's channels; they open with the connection.
    pub(crate) fn create(
        connection: &mut RTCPeerConnection,
        channels: &[Channel],
    ) -> Result<Self, Error> {
        let mut made = Self {
            message_max: MESSAGE_MAX,
            labels: HashMap::new(),
            by_id: HashMap::new(),
        };
        for channel in channels {
            let mut init = RTCDataChannelInit {
                ordered: channel.is_reliable,
                ..RTCDataChannelInit::default()
            };
            if !channel.is_reliable {
                init.max_retransmits = Some(0);
            }
            let id = connection
                .create_data_channel(channel.label, Some(init))
                .map_err(internal)?
                .id();
            let label: Arc<str> = channel.label.into();
            let line = Line {
                is_ours: true,
                is_reliable: channel.is_reliable,
                ..Line::default()
            };
            made.labels.insert(Arc::clone(&label), line);
            made.by_id.insert(id, label);
        }
        Ok(made)
    }

    /// A channel is open, ours or the client's; gives its label if messages of the label can be sent from now on.
    pub(crate) fn opened(
        &mut self,
        connection: &mut RTCPeerConnection,
        id: RTCDataChannelId,
        now: Instant,
    ) -> Option<Arc<str>> {
        let label: Arc<str> = match self.by_id.get(&id) {
            // The client's own of this label is in use already.
            Some(label)
                if self
                    .labels
                    .get(label)
                    .is_some_and(|line| line.current.is_some()) =>
            {
                return None;
            }
            Some(label) => Arc::clone(label),
            None => {
                let mut channel = connection.data_channel(id)?;
                if self.by_id.len() >= CHANNELS_MAX || channel.label().len() > LABEL_MAX {
                    let _ = channel.close();
                    return None;
                }
                let label: Arc<str> = channel.label().into();
                self.by_id.insert(id, Arc::clone(&label));
                label
            }
        };
        let line = self
            .labels
            .entry(Arc::clone(&label))
            .or_insert_with(|| Line {
                is_reliable: true,
                ..Line::default()
            });
        line.current = Some(id);
        line.waiting_bytes = 0;
        for payload in std::mem::take(&mut line.waiting) {
            let _ = length(&payload) <= self.message_max && write(connection, id, &payload, now);
        }
        Some(label)
    }

    /// A channel is closed. A label whose channel is gone goes back to none.
    pub(crate) fn closed(&mut self, id: RTCDataChannelId) {
        let Some(label) = self.by_id.remove(&id) else {
            return;
        };
        let Some(line) = self.labels.get_mut(&label) else {
            return;
        };
        if line.current == Some(id) {
            line.current = None;
        }
        // A client may open and close channels of ever new labels.
        if !line.is_ours && !self.by_id.values().any(|other| *other == label) {
            self.labels.remove(&label);
        }
    }

    /// What the client has said of the messages it takes; nothing means 64 KiB, and 0 any (RFC 8841 section 6).
    pub(crate) fn note_message_max(&mut self, said: Option<&str>) {
        let bytes = said.map_or(Some(64 * 1024), |said| said.trim().parse().ok());
        self.message_max = match bytes {
            Some(0) | None => MESSAGE_MAX,
            Some(bytes) => MESSAGE_MAX.min(bytes),
        };
    }

    /// The label of a channel that a message came on.
    pub(crate) fn label(&self, id: RTCDataChannelId) -> Option<&Arc<str>> {
        self.by_id.get(&id)
    }

    /// Sends on a label.
    pub(crate) fn send(
        &mut self,
        connection: &mut RTCPeerConnection,
        label: &str,
        payload: &Payload,
        now: Instant,
    ) -> Sent {
        let Some(line) = self.labels.get_mut(label) else {
            return Sent::Dropped;
        };
        let Some(id) = line.current else {
            let size = length(payload) + OVERHEAD;
            if !line.is_reliable || line.waiting_bytes + size > WAITING_MAX {
                return Sent::Dropped;
            }
            line.waiting_bytes += size;
            line.waiting.push_back(payload.clone());
            return Sent::Waits;
        };
        let Some(channel) = connection.data_channel(id) else {
            return Sent::Dropped;
        };
        let behind = channel.outstanding_bytes();
        if line.is_reliable && behind > BEHIND_MAX {
            return Sent::TooSlow;
        }
        if !line.is_reliable && behind > UNRELIABLE_MAX {
            return Sent::Dropped;
        }
        if length(payload) <= self.message_max && write(connection, id, payload, now) {
            Sent::Done
        } else {
            Sent::Dropped
        }
    }

    /// What the peer has not acknowledged of a label's messages, with what waits for the channel to open, in bytes.
    pub(crate) fn behind(&self, connection: &mut RTCPeerConnection, label: &str) -> usize {
        let Some(line) = self.labels.get(label) else {
            return 0;
        };
        let channel = line.current.and_then(|id| connection.data_channel(id));
        let sent = channel.map_or(0, |channel| channel.outstanding_bytes());
        sent + line.waiting_bytes
    }

    /// Closes a channel, for instance since a message on it was too long.
    pub(crate) fn close(&mut self, connection: &mut RTCPeerConnection, id: RTCDataChannelId) {
        if let Some(mut channel) = connection.data_channel(id) {
            let _ = channel.close();
        }
        self.closed(id);
    }
}

fn write(
    connection: &mut RTCPeerConnection,
    id: RTCDataChannelId,
    payload: &Payload,
    now: Instant,
) -> bool {
    let Some(mut channel) = connection.data_channel(id) else {
        return false;
    };
    let sent = match payload {
        Payload::Text(text) => channel.send_text(now, &**text),
        Payload::Binary(bytes) => channel.send(now, BytesMut::from(&bytes[..])),
    };
    sent.is_ok()
}

pub(super) fn length(payload: &Payload) -> usize {
    match payload {
        Payload::Text(text) => text.len(),
        Payload::Binary(bytes) => bytes.len(),
    }
}
