//! A realtime client: the event stream and what comes over it.

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Answer, Client};

/// A connected event stream.
pub(crate) struct Events {
    client: Client,
    pub(crate) client_id: String,
    stream: BoxStream<'static, reqwest::Result<Bytes>>,
    buffer: Vec<u8>,
}

/// One event; `data` is its JSON.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Event {
    /// `create`, `update` or `delete`, and what a member of the record holds.
    pub(crate) fn says(&self, member: &str) -> (String, Value) {
        let action = self.data["action"].as_str().unwrap_or("?").to_owned();
        (action, self.data["record"][member].clone())
    }
}

impl Client {
    /// Connects to the event stream, as a guest: identity comes with the subscriptions.
    pub(crate) async fn sse(&self) -> Events {
        let request = self.request(Method::GET, "/api/realtime");
        let answer = super::in_time("the event stream", request.send()).await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let mut events = Events {
            client: self.clone(),
            client_id: String::new(),
            stream: answer.bytes_stream().boxed(),
            buffer: Vec::new(),
        };
        let hello = events.next().await;
        assert_eq!(hello.name, "PB_CONNECT");
        events.client_id = hello.data["clientId"].as_str().expect("an id").to_owned();
        events
    }

    /// Connects and subscribes.
    pub(crate) async fn listen(&self, topics: &[&str]) -> Events {
        let events = self.sse().await;
        events.subscribe(topics).await.expect(204);
        events
    }
}

impl Events {
    /// Replaces the subscriptions, as the client that connected.
    pub(crate) async fn subscribe(&self, topics: &[&str]) -> Answer {
        self.subscribe_as(&self.client, topics).await
    }

    pub(crate) async fn subscribe_as(&self, client: &Client, topics: &[&str]) -> Answer {
        let body = json!({"clientId": self.client_id, "subscriptions": topics});
        client.post("/api/realtime", body).await
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> Event {
        super::in_time("an event", self.read())
            .await
            .expect("the stream goes on")
    }

    /// The next events, each as action and what a member of its record holds.
    pub(crate) async fn next_say(&mut self, count: usize, member: &str) -> Vec<(String, Value)> {
        let mut said = Vec::new();
        for _ in 0..count {
            said.push(self.next().await.says(member));
        }
        said
    }

    async fn read(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let frame: Vec<u8> = self.buffer.drain(..end + 2).collect();
                let text = String::from_utf8(frame).expect("events are UTF-8");
                if let Some(event) = parse(&text) {
                    return Some(event);
                }
                continue;
            }
            let chunk = self.stream.next().await?.expect("the stream is sound");
            self.buffer.extend_from_slice(&chunk);
        }
    }
}

/// `None` for comments that keep the connection alive.
fn parse(frame: &str) -> Option<Event> {
    let line = |name: &str| {
        let mut lines = frame.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let data = line("data")?;
    Some(Event {
        name: line("event").unwrap_or("message").to_owned(),
        data: serde_json::from_str(data).unwrap_or_else(|error| panic!("{error} in {frame:?}")),
    })
}

/// A subscription with options, as the SDK writes it.
pub(crate) fn with_options(topic: &str, options: &Value) -> String {
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("options", &options.to_string())
        .finish();
    format!("{topic}?{query}")
}
