//! A client of a user's room.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use rotunda_peer::{Payload, Peer, Plan};
use serde::Deserialize;
use serde::de::Visitor;
use serde_json::{Value, json};

use crate::support::{Client, in_time};

/// What the server says of the length of messages.
const LENGTH: &str = "a=max-message-size:262144";
pub(super) const LABEL: &str = "api";

/// How a client writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Json,
    MessagePack,
}

/// An open room.
pub(super) struct Line {
    pub(super) peer: Peer,
    pub(super) encoding: Encoding,
    /// What came while something else was awaited.
    waiting: VecDeque<Value>,
    parts: Vec<Part>,
    last: AtomicU64,
}

/// A piece of an answer.
#[derive(Debug, Deserialize)]
struct Part {
    request_id: Value,
    part: usize,
    parts: usize,
    chunk: Chunk,
}

#[derive(Debug)]
struct Chunk(Vec<u8>);

impl<'de> Deserialize<'de> for Chunk {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Chunk;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes or text")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Chunk, E> {
                Ok(Chunk(bytes.to_vec()))
            }
            fn visit_str<E>(self, text: &str) -> Result<Chunk, E> {
                Ok(Chunk(text.as_bytes().to_vec()))
            }
        }
        input.deserialize_any(Bytes)
    }
}

/// A request to the room.
pub(super) fn get(endpoint: &str) -> Value {
    json!({"method": "GET", "endpoint": endpoint})
}

pub(super) fn post(endpoint: &str, body: Value) -> Value {
    json!({"method": "POST", "endpoint": endpoint, "body": body})
}

impl Line {
    /// Connects and reads the welcome.
    pub(super) async fn open(client: &Client, encoding: Encoding) -> Self {
        let mut line = Self::connect(client, encoding).await;
        let welcome = line.next().await;
        assert_eq!(welcome["type"], json!("welcome"), "{welcome}");
        assert_eq!(welcome["data"]["user_id"], json!(client.id));
        assert!(welcome["data"]["message"].is_string());
        assert!(welcome["timestamp"].as_i64().unwrap() > 1_600_000_000);
        line
    }

    pub(super) async fn connect(client: &Client, encoding: Encoding) -> Self {
        let offer = client.post("/api/user/room/connect", json!({})).await;
        let offer = offer.expect(200);
        assert_eq!(offer["user_id"], json!(client.id));
        assert_eq!(offer["sdp"]["type"], json!("offer"));
        assert!(offer["ice_servers"].is_array());
        let sdp = offer["sdp"]["sdp"].as_str().expect("an offer");
        assert!(sdp.contains(LENGTH), "{sdp}");
        let (peer, answer) = Peer::answer(sdp, Plan::default()).await.expect("a peer");
        let answer = json!({"type": "answer", "sdp": answer, "peer_id": offer["peer_id"]});
        let connected = client.post("/api/user/room/answer", answer).await;
        assert_eq!(connected.expect(200), json!({"status": "connected"}));
        peer.opened(LABEL).await.expect("an open channel");
        Self {
            peer,
            encoding,
            waiting: VecDeque::new(),
            parts: Vec::new(),
            last: AtomicU64::new(0),
        }
    }

    pub(super) fn payload(&self, message: &Value) -> Payload {
        match self.encoding {
            Encoding::Json => Payload::text(message.to_string()),
            Encoding::MessagePack => Payload::Binary(rmp_serde::to_vec(message).unwrap().into()),
        }
    }

    /// Sends a request; gives its id.
    pub(super) async fn send(&self, mut request: Value) -> String {
        let id = format!("r{}", self.last.fetch_add(1, Ordering::Relaxed));
        request["request_id"] = json!(id);
        self.send_raw(self.payload(&request)).await;
        id
    }

    pub(super) async fn send_raw(&self, payload: Payload) {
        self.peer.send(LABEL, payload).await.expect("it is sent");
    }

    /// The answer to a request.
    pub(super) async fn call(&mut self, request: Value) -> Value {
        let id = self.send(request).await;
        self.answer(&id).await
    }

    /// The answer to the request of this id, put together from its parts.
    pub(super) async fn answer(&mut self, id: &str) -> Value {
        // The late answer to a request is a push, with a type.
        self.find(|message| message["request_id"] == json!(id) && message.get("type").is_none())
            .await
    }

    /// The next push that is not about presence.
    pub(super) async fn push(&mut self) -> Value {
        self.find(|message| {
            message.get("request_id").is_none() && message["type"] != json!("presence_change")
        })
        .await
    }

    pub(super) async fn find(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.waiting.iter().position(&is_it) {
            return self.waiting.remove(at).expect("it is there");
        }
        loop {
            let message = self.next().await;
            if is_it(&message) {
                return message;
            }
            self.waiting.push_back(message);
        }
    }

    async fn next(&mut self) -> Value {
        loop {
            let payload = self.raw().await;
            if let Some(message) = self.read(&payload) {
                return message;
            }
        }
    }

    /// The next message as it came.
    pub(super) async fn raw(&self) -> Payload {
        let message = in_time("a message of the room", self.peer.message(LABEL)).await;
        let message = message.expect("a message");
        assert!(message.bytes().len() <= 256 << 10);
        message
    }

    /// A whole message, or none yet.
    fn read(&mut self, payload: &Payload) -> Option<Value> {
        if let Some(part) = part(payload) {
            assert_eq!(part.part, self.parts.len());
            if let Some(first) = self.parts.first() {
                assert_eq!(
                    (&first.request_id, first.parts),
                    (&part.request_id, part.parts)
                );
            }
            self.parts.push(part);
            if self.parts.len() < self.parts[0].parts {
                return None;
            }
            let chunks = self.parts.drain(..).flat_map(|part| part.chunk.0);
            let bytes: Vec<u8> = chunks.collect();
            return Some(match payload {
                Payload::Text(_) => serde_json::from_slice(&bytes).unwrap(),
                Payload::Binary(_) => rmp_serde::from_slice(&bytes).unwrap(),
            });
        }
        Some(match payload {
            Payload::Text(text) => serde_json::from_str(text).unwrap(),
            Payload::Binary(bytes) => rmp_serde::from_slice(bytes).unwrap(),
        })
    }
}

fn part(payload: &Payload) -> Option<Part> {
    match payload {
        Payload::Text(text) => serde_json::from_str(text).ok(),
        Payload::Binary(bytes) => rmp_serde::from_slice(bytes).ok(),
    }
}
