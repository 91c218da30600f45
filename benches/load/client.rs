//! A light HTTP/1.1 client: keep-alive, one request at a time, bodies kept as bytes.
//!
//! It shares the machine with the server under test, so it does as little as a correct client can: no header map, no
//! task per connection, no copy of the body.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer with a longer head than this is refused.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const READ_BYTES: usize = 32 * 1024;

/// Writes one request into `out`, replacing what it held.
pub(crate) fn write_request(
    out: &mut Vec<u8>,
    method: &str,
    path: &str,
    token: &str,
    body: Option<&str>,
) {
    out.clear();
    write_head(out, method, path, token);
    if let Some(body) = body {
        out.extend_from_slice(b"Content-Type: application/json\r\nContent-Length: ");
        out.extend_from_slice(body.len().to_string().as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(body.as_bytes());
    } else {
        out.extend_from_slice(b"\r\n");
    }
}

fn write_head(out: &mut Vec<u8>, method: &str, path: &str, token: &str) {
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(path.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    if !token.is_empty() {
        out.extend_from_slice(b"Authorization: ");
        out.extend_from_slice(token.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes a multipart request that uploads `content` as the file `field`.
pub(crate) fn write_upload(
    out: &mut Vec<u8>,
    path: &str,
    token: &str,
    field: &str,
    content: &[u8],
) {
    const BOUNDARY: &str = "load-driver-boundary";
    let mut body = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"blob.bin\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(content);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    out.clear();
    write_head(out, "POST", path, token);
    out.extend_from_slice(
        format!(
            "Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .as_bytes(),
    );
    out.extend_from_slice(&body);
}

/// One keep-alive connection; it reconnects by itself after an error or a `Connection: close`.
pub(crate) struct Conn {
    addr: SocketAddr,
    stream: Option<TcpStream>,
    /// What was read of the present answer; `filled` bytes of it count.
    input: Vec<u8>,
    filled: usize,
    /// A chunked body, put together.
    joined: Vec<u8>,
}

/// The status and the body of an answer; the body lives in the connection until its next request.
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

struct Head {
    status: u16,
    body_at: usize,
    length: Option<usize>,
    chunked: bool,
    close: bool,
}

impl Conn {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            stream: None,
            input: vec![0; READ_BYTES],
            filled: 0,
            joined: Vec::new(),
        }
    }

    /// Opens the connection if it is not open.
    pub(crate) async fn connect(&mut self) -> io::Result<()> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.addr).await?;
            stream.set_nodelay(true)?;
            self.stream = Some(stream);
        }
        Ok(())
    }

    /// Drops the connection, as after a request that was given up.
    pub(crate) fn reset(&mut self) {
        self.stream = None;
    }

    /// Sends a whole request and reads its whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Reply<'_>> {
        self.connect().await?;
        match self.try_exchange(request).await {
            Ok((status, body, joined)) => {
                let from = if joined { &self.joined } else { &self.input };
                let body = from.get(body).unwrap_or_default();
                Ok(Reply { status, body })
            }
            Err(error) => {
                self.reset();
                Err(error)
            }
        }
    }

    async fn try_exchange(&mut self, request: &[u8]) -> io::Result<(u16, Range<usize>, bool)> {
        let Some(stream) = self.stream.as_mut() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        stream.write_all(request).await?;
        self.filled = 0;
        let head = loop {
            fill(stream, &mut self.input, &mut self.filled).await?;
            if let Some(head) = parse_head(self.input.get(..self.filled).unwrap_or_default())? {
                break head;
            }
            if self.filled > HEAD_BYTES_MAX {
                return Err(io::Error::other("the answer's head is too long"));
            }
        };
        let outcome = if head.chunked {
            self.joined.clear();
            let mut dechunk = Dechunk::default();
            let mut at = head.body_at;
            loop {
                let input = self.input.get(at..self.filled).unwrap_or_default();
                dechunk.feed(input, |part| self.joined.extend_from_slice(part))?;
                if dechunk.is_done() {
                    break;
                }
                at = 0;
                self.filled = 0;
                fill(stream, &mut self.input, &mut self.filled).await?;
            }
            (head.status, 0..self.joined.len(), true)
        } else {
            let end = head.body_at + head.length.unwrap_or(0);
            while self.filled < end {
                fill(stream, &mut self.input, &mut self.filled).await?;
            }
            (head.status, head.body_at..end, false)
        };
        if head.close {
            self.stream = None;
        }
        Ok(outcome)
    }

    /// A request with a JSON answer, for preparations; anything but 2xx is an error that shows the answer.
    pub(crate) async fn json(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        let mut request = Vec::new();
        let text = body.map(Value::to_string);
        write_request(&mut request, method, path, token, text.as_deref());
        self.json_of(&request, &format!("{method} {path}")).await
    }

    /// Like [`Conn::json`], with a request that is already written.
    pub(crate) async fn json_of(&mut self, request: &[u8], what: &str) -> Result<Value> {
        let reply = self
            .exchange(request)
            .await
            .with_context(|| what.to_owned())?;
        let text = String::from_utf8_lossy(reply.body);
        if !(200..300).contains(&reply.status) {
            bail!("{what}: {} {text}", reply.status);
        }
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("{what}: the answer is not JSON"))
    }

    /// Sends a request whose answer is an event stream, and gives the stream with what was read behind the head.
    pub(crate) async fn into_stream(mut self, request: &[u8]) -> Result<(TcpStream, Vec<u8>)> {
        self.connect().await?;
        let mut stream = self.stream.take().context("not connected")?;
        stream.write_all(request).await?;
        loop {
            fill(&mut stream, &mut self.input, &mut self.filled).await?;
            let seen = self.input.get(..self.filled).unwrap_or_default();
            if let Some(head) = parse_head(seen)? {
                if head.status != 200 || !head.chunked {
                    bail!("the event stream was refused with status {}", head.status);
                }
                return Ok((
                    stream,
                    seen.get(head.body_at..).unwrap_or_default().to_vec(),
                ));
            }
        }
    }
}

async fn fill(stream: &mut TcpStream, input: &mut Vec<u8>, filled: &mut usize) -> io::Result<()> {
    if input.len() - *filled < READ_BYTES / 2 {
        input.resize(input.len() * 2, 0);
    }
    let read = match input.get_mut(*filled..) {
        Some(free) => stream.read(free).await?,
        None => 0,
    };
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    *filled += read;
    Ok(())
}

/// Reads an answer's head; `None` while it is incomplete.
fn parse_head(input: &[u8]) -> io::Result<Option<Head>> {
    let Some(end) = input.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text =
        std::str::from_utf8(input.get(..end).unwrap_or_default()).map_err(io::Error::other)?;
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| io::Error::other("not an HTTP answer"))?;
    let mut head = Head {
        status,
        body_at: end + 4,
        length: None,
        chunked: false,
        close: false,
    };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            head.length = value.parse().ok();
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            head.chunked = value.eq_ignore_ascii_case("chunked");
        } else if name.eq_ignore_ascii_case("connection") {
            head.close = value.eq_ignore_ascii_case("close");
        }
    }
    Ok(Some(head))
}

/// Takes the chunked transfer coding (RFC 9112 section 7.1) off a body that arrives in pieces.
#[derive(Default)]
pub(crate) struct Dechunk {
    state: DechunkState,
    /// The size being read, or the bytes left of the present chunk.
    size: usize,
}

#[derive(Default, PartialEq)]
enum DechunkState {
    #[default]
    Size,
    Extension,
    Data,
    DataEnd,
    /// After the last chunk, up to the empty line; holds the length of the present line.
    Trailer(usize),
    Done,
}

impl Dechunk {
    pub(crate) fn is_done(&self) -> bool {
        self.state == DechunkState::Done
    }

    /// Gives the content of `input` to `sink`, in pieces that need not be whole chunks.
    pub(crate) fn feed(&mut self, mut input: &[u8], mut sink: impl FnMut(&[u8])) -> io::Result<()> {
        while let Some((&byte, rest)) = input.split_first() {
            match self.state {
                DechunkState::Data => {
                    let (part, after) = input.split_at(self.size.min(input.len()));
                    sink(part);
                    self.size -= part.len();
                    if self.size == 0 {
                        self.state = DechunkState::DataEnd;
                    }
                    input = after;
                    continue;
                }
                DechunkState::Size | DechunkState::Extension if byte == b'\n' => {
                    self.state = if self.size == 0 {
                        DechunkState::Trailer(0)
                    } else {
                        DechunkState::Data
                    };
                }
                DechunkState::Size => match char::from(byte).to_digit(16) {
                    Some(digit) => self.size = self.size * 16 + digit as usize,
                    None if byte == b'\r' || byte == b';' => self.state = DechunkState::Extension,
                    None => return Err(io::Error::other("broken chunk size")),
                },
                DechunkState::DataEnd if byte == b'\n' => self.state = DechunkState::Size,
                DechunkState::Trailer(0) if byte == b'\n' => self.state = DechunkState::Done,
                DechunkState::Trailer(_) if byte == b'\n' => self.state = DechunkState::Trailer(0),
                DechunkState::Trailer(length) if byte != b'\r' => {
                    self.state = DechunkState::Trailer(length + 1)
                }
                DechunkState::Extension | DechunkState::DataEnd | DechunkState::Trailer(_) => {}
                DechunkState::Done => return Ok(()),
            }
            input = rest;
        }
        Ok(())
    }
}
