//! Requests as bytes, for what a proper client refuses to send.

use std::net::SocketAddr;

use reqwest::header::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::Answer;

/// A request to be sent as it stands; `Host` and `Connection: close` are added.
#[derive(Clone)]
pub(crate) struct Raw {
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Raw {
    /// `GET /path`; the path may hold any bytes.
    pub(crate) fn new(method: &str, path: impl AsRef<[u8]>) -> Self {
        let mut head = method.as_bytes().to_vec();
        head.push(b' ');
        head.extend_from_slice(path.as_ref());
        head.extend_from_slice(b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        Self {
            head,
            body: Vec::new(),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.head.extend_from_slice(name.as_bytes());
        self.head.extend_from_slice(b": ");
        self.head.extend_from_slice(value.as_ref());
        self.head.extend_from_slice(b"\r\n");
        self
    }

    /// The body with its length and type.
    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.header("Content-Type", content_type)
            .header("Content-Length", length)
    }

    pub(crate) fn json(self, body: impl Into<Vec<u8>>) -> Self {
        self.body("application/json", body)
    }

    /// What the server answers; it may refuse before it has read everything.
    pub(crate) async fn send(self, to: SocketAddr) -> Answer {
        let first: Vec<u8> = self
            .head
            .iter()
            .copied()
            .take_while(|byte| *byte != b'\r')
            .collect();
        let what = String::from_utf8_lossy(&first).into_owned();
        let received = super::in_time(&what, self.exchange(to)).await;
        let answer = parse(what, &received);
        answer.check();
        answer
    }

    async fn exchange(self, to: SocketAddr) -> Vec<u8> {
        let mut stream = TcpStream::connect(to).await.expect("a connection");
        let (mut reader, mut writer) = stream.split();
        let write = async {
            // The server may close early; its answer is what counts.
            let _ = writer
                .write_all(&[&self.head[..], b"\r\n", &self.body].concat())
                .await;
        };
        let read = async {
            let mut received = Vec::new();
            let _ = reader.read_to_end(&mut received).await;
            received
        };
        // With an early answer the rest of a huge body need not be taken.
        tokio::pin!(write);
        tokio::pin!(read);
        tokio::select! {
            received = &mut read => received,
            () = &mut write => read.await,
        }
    }
}

fn parse(what: String, received: &[u8]) -> Answer {
    let shown = || String::from_utf8_lossy(received).into_owned();
    let end = received.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("{what}: no answer but {:?}", shown()));
    let head = String::from_utf8_lossy(&received[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let name: reqwest::header::HeaderName = name.parse().expect("a header name");
        headers.append(name, value.parse().expect("a header value"));
    }
    let mut body = received[end + 4..].to_vec();
    if headers
        .get("transfer-encoding")
        .is_some_and(|value| value == "chunked")
    {
        body = unchunk(&body);
    }
    Answer {
        status: status.unwrap_or_else(|| panic!("{what}: no status in {:?}", shown())),
        what,
        headers,
        body,
    }
}

fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        body = &body[end + 2..];
        if size == 0 {
            break;
        }
        whole.extend_from_slice(&body[..size]);
        body = &body[size + 2..];
    }
    whole
}
