//! A client of event streams that resumes as a browser does.

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::client::{Answer, Client};

/// An open event stream.
pub(crate) struct Stream {
    stream: BoxStream<'static, reqwest::Result<Bytes>>,
    buffer: Vec<u8>,
    /// What a browser would send as `Last-Event-ID`.
    pub(crate) last_id: String,
}

/// One message of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message {
    /// `message` if it is unnamed.
    pub(crate) name: String,
    pub(crate) data: String,
}

impl Message {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

impl Client {
    /// Opens a stream, which must be there.
    pub(crate) async fn stream(&self, path: &str) -> Stream {
        self.resume(path, "").await
    }

    /// Opens a stream after an event.
    pub(crate) async fn resume(&self, path: &str, last_id: &str) -> Stream {
        let mut request = self.request(Method::GET, path);
        if !last_id.is_empty() {
            request = request.header("Last-Event-ID", last_id);
        }
        Stream::open(request, last_id).await
    }

    /// The status of a stream, which is left at once.
    pub(crate) async fn get_status(&self, path: &str) -> u16 {
        let request = self.request(Method::GET, path);
        let answer = super::in_time("the event stream", request.send()).await;
        answer.expect("an answer").status().as_u16()
    }

    /// Asks for a stream that is refused.
    pub(crate) async fn no_stream(&self, path: &str, status: u16) -> Answer {
        let answer = self.get(path).await;
        answer.expect(status);
        answer
    }
}

impl Stream {
    async fn open(request: RequestBuilder, last_id: &str) -> Self {
        let answer = super::in_time("the event stream", request.send()).await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 200, "{}", answer.url());
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self {
            stream: answer.bytes_stream().boxed(),
            buffer: Vec::new(),
            last_id: last_id.to_owned(),
        }
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Message {
        super::in_time("a message", self.read())
            .await
            .expect("the stream goes on")
    }

    /// The JSON of the next message.
    pub(crate) async fn json(&mut self) -> Value {
        self.next().await.json()
    }

    /// The JSON of the next `count` messages.
    pub(crate) async fn many(&mut self, count: usize) -> Vec<Value> {
        let mut found = Vec::new();
        for _ in 0..count {
            found.push(self.json().await);
        }
        found
    }

    /// Waits for the end; gives what came before it.
    pub(crate) async fn rest(&mut self) -> Vec<Message> {
        let mut rest = Vec::new();
        while let Some(message) = super::in_time("the end of the stream", self.read()).await {
            rest.push(message);
        }
        rest
    }

    /// Waits until the stream has told where it is.
    pub(crate) async fn placed(mut self) -> Self {
        while self.last_id.is_empty() {
            self.fill().await.expect("the stream goes on");
            while self.take().is_some() {}
        }
        self
    }

    /// `None` at the end.
    pub(crate) async fn read(&mut self) -> Option<Message> {
        loop {
            match self.take() {
                Some(Some(message)) => return Some(message),
                Some(None) => {}
                None => self.fill().await?,
            }
        }
    }

    async fn fill(&mut self) -> Option<()> {
        let chunk = self.stream.next().await?;
        // A connection that is cut is an end as well.
        self.buffer.extend_from_slice(&chunk.ok()?);
        Some(())
    }

    /// The next block of the buffer, if it is whole; a comment or an id alone is no message.
    fn take(&mut self) -> Option<Option<Message>> {
        let end = self.buffer.windows(2).position(|pair| pair == b"\n\n")?;
        let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
        let block = String::from_utf8(block).expect("events are UTF-8");
        let (mut name, mut data) = ("message".to_owned(), None::<String>);
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => value.clone_into(&mut self.last_id),
                "event" => value.clone_into(&mut name),
                "data" => match &mut data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                    none => *none = Some(value.to_owned()),
                },
                _ => {}
            }
        }
        Some(data.map(|data| Message { name, data }))
    }
}
