//! As much of a WebSocket client (RFC 6455) as a signalling connection over loopback takes: text messages both ways, pings
//! answered. Frames are masked with zeros, which the protocol allows and which costs nothing.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;

const MESSAGE_BYTES_MAX: u64 = 1 << 20;
const HEAD_BYTES_MAX: usize = 8_192;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;

pub(crate) struct Reader {
    stream: BufReader<ReadHalf<TcpStream>>,
}

pub(crate) struct Writer {
    stream: WriteHalf<TcpStream>,
}

/// Opens a connection.
pub(crate) async fn connect(addr: SocketAddr, path: &str) -> Result<(Reader, Writer)> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: bm9ib2R5IGtub3dzIGl0IQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
        if head.len() > HEAD_BYTES_MAX {
            bail!("the answer's head is too long");
        }
    }
    if !head.starts_with(b"HTTP/1.1 101") {
        bail!("no WebSocket: {}", String::from_utf8_lossy(&head));
    }
    let (reading, writing) = split(stream);
    let reader = Reader {
        stream: BufReader::new(reading),
    };
    Ok((reader, Writer { stream: writing }))
}

impl Reader {
    /// The next text message; nothing at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<String>> {
        let mut message = Vec::new();
        loop {
            let first = self.stream.read_u8().await?;
            let length = match self.stream.read_u8().await? & 0x7f {
                126 => u64::from(self.stream.read_u16().await?),
                127 => self.stream.read_u64().await?,
                short => u64::from(short),
            };
            if length > MESSAGE_BYTES_MAX {
                bail!("a message is too long");
            }
            let start = message.len();
            message.resize(start + usize::try_from(length)?, 0);
            let part = message.get_mut(start..).context("no room")?;
            self.stream.read_exact(part).await?;
            match first & 0x0f {
                CLOSE => return Ok(None),
                // What is under way goes on after a ping or a pong.
                kind if kind >= PING => message.truncate(start),
                _ if first & 0x80 != 0 => return Ok(Some(String::from_utf8(message)?)),
                _ => {}
            }
        }
    }
}

impl Writer {
    pub(crate) async fn send(&mut self, text: &str) -> Result<()> {
        let length = text.len();
        let mut frame = vec![0x80 | TEXT];
        match u16::try_from(length) {
            Ok(short) if short < 126 => frame.push(0x80 | short as u8),
            Ok(short) => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&short.to_be_bytes());
            }
            Err(_) => {
                frame.push(0x80 | 127);
                frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(text.as_bytes());
        Ok(self.stream.write_all(&frame).await?)
    }
}
