//! Subscribers of one topic, and a publisher that sends at a fixed rate whether they keep up or not.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::stream::{self, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep, timeout};

use crate::client::{Conn, write_request};

/// Subscribers that connect at a time, and how long each may take.
const CONNECTING: usize = 32;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Connections that publish: one that waits for its answer does not hold the rate back.
const PUBLISHERS: usize = 8;
/// No delivery for this long means that the missing ones are lost.
const STALLED_AFTER: Duration = Duration::from_secs(3);
/// Stands before the microsecond at which an event was due.
const MARK: &[u8] = b"\"due\":";

/// How to speak to a server.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) addr: SocketAddr,
    pub(crate) subscribe: &'static str,
    pub(crate) publish: &'static str,
}

/// What is to be done.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) subscribers: usize,
    /// Messages per second.
    pub(crate) rate: u32,
    pub(crate) duration: Duration,
    pub(crate) payload_bytes: usize,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) published: u64,
    pub(crate) refused: u64,
    pub(crate) received: u64,
    pub(crate) disconnected: u64,
    /// Until the last delivery.
    pub(crate) elapsed: Duration,
    pub(crate) latencies: Histogram,
}

/// Latencies in microseconds, to 3 % of each.
#[derive(Clone)]
pub(crate) struct Histogram(Vec<u64>);

impl Default for Histogram {
    fn default() -> Self {
        Self(vec![0; 64 * 32])
    }
}

impl Histogram {
    fn add(&mut self, us: u64) {
        let us = us.max(32);
        let power = us.ilog2();
        let within = (us >> (power - 5)) & 31;
        let place = power as usize * 32 + within as usize;
        if let Some(count) = self.0.get_mut(place) {
            *count += 1;
        }
    }

    /// The latency that `part` of all do not exceed, in milliseconds.
    pub(crate) fn quantile_ms(&self, part: f64) -> f64 {
        let total: u64 = self.0.iter().sum();
        let wanted = (total as f64 * part).ceil() as u64;
        let mut seen = 0;
        for (place, count) in self.0.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                let (power, within) = (place / 32, place % 32);
                return ((32 + within as u64) << (power - 5)) as f64 / 1e3;
            }
        }
        f64::NAN
    }
}

struct Board {
    began: Instant,
    outcome: RefCell<Outcome>,
}

impl Board {
    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Connects the subscribers, publishes, and waits for the last deliveries. `warm` is called when all are connected.
pub(crate) async fn run(site: &Site, load: Load, warm: impl FnOnce()) -> Result<Outcome> {
    let connecting = (0..load.subscribers).map(|_| async {
        timeout(CONNECT_TIMEOUT, subscribe(site))
            .await
            .context("a subscriber could not connect in time")?
    });
    let streams: Vec<Result<TcpStream>> = stream::iter(connecting)
        .buffer_unordered(CONNECTING)
        .collect()
        .await;
    let board = Rc::new(Board {
        began: Instant::now(),
        outcome: RefCell::default(),
    });
    let mut readers: Vec<JoinHandle<()>> = Vec::with_capacity(streams.len());
    for stream in streams {
        readers.push(spawn_local(read(stream?, Rc::clone(&board))));
    }
    sleep(Duration::from_millis(500)).await;
    warm();
    let start_us = board.now_us();
    let publishers = (0..PUBLISHERS).map(|number| publish(&board, site, load, start_us, number));
    for published in futures_util::future::join_all(publishers).await {
        published?;
    }
    let expected = board.outcome.borrow().published * load.subscribers as u64;
    let mut before = (board.outcome.borrow().received, Instant::now());
    loop {
        let received = board.outcome.borrow().received;
        if received >= expected {
            break;
        }
        if received != before.0 {
            before = (received, Instant::now());
        } else if before.1.elapsed() > STALLED_AFTER {
            break;
        }
        sleep(Duration::from_millis(2)).await;
    }
    for reader in readers {
        reader.abort();
    }
    let mut outcome = board.outcome.take();
    outcome.elapsed = outcome
        .elapsed
        .saturating_sub(Duration::from_micros(start_us));
    Ok(outcome)
}

async fn subscribe(site: &Site) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(site.addr).await?;
    let mut request = Vec::new();
    write_request(&mut request, "GET", site.subscribe, "", None);
    // nchan asks for it.
    let end = request.len() - 2;
    request.splice(end..end, *b"Accept: text/event-stream\r\n");
    stream.write_all(&request).await?;
    let mut head = Vec::new();
    let mut input = [0; 1024];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        let read = stream.read(&mut input).await?;
        if read == 0 {
            bail!("the stream was not opened");
        }
        head.extend_from_slice(input.get(..read).unwrap_or_default());
    }
    if !head.starts_with(b"HTTP/1.1 200") {
        bail!("refused: {}", String::from_utf8_lossy(&head));
    }
    Ok(stream)
}

/// Counts what arrives. Events are found by their mark, whatever the transfer coding puts between them: a frame is
/// always in one chunk.
async fn read(mut stream: TcpStream, board: Rc<Board>) {
    let mut input = vec![0; 16 * 1024];
    let mut filled = 0;
    loop {
        let read = match input.get_mut(filled..) {
            Some(free) => stream.read(free).await.unwrap_or(0),
            None => 0,
        };
        let mut outcome = board.outcome.borrow_mut();
        if read == 0 {
            outcome.disconnected += 1;
            return;
        }
        filled += read;
        let now = board.now_us();
        let (mut at, text) = (0, input.get(..filled).unwrap_or_default());
        while let Some((due, next)) = next_due(text, at) {
            outcome.received += 1;
            outcome.latencies.add(now.saturating_sub(due));
            at = next;
        }
        outcome.elapsed = Duration::from_micros(now);
        // An event that is not whole yet stays; what is longer has none.
        let keep = at.max(filled.saturating_sub(64));
        input.copy_within(keep..filled, 0);
        filled -= keep;
    }
}

/// The next due time behind `from` that is whole, and where it ends.
fn next_due(text: &[u8], from: usize) -> Option<(u64, usize)> {
    let rest = text.get(from..)?;
    let mark = rest.windows(MARK.len()).position(|part| part == MARK)?;
    let digits = rest.get(mark + MARK.len()..)?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    let number = digits.get(..end)?.iter().fold(0, |number: u64, digit| {
        number * 10 + u64::from(*digit - b'0')
    });
    Some((number, from + mark + MARK.len() + end))
}

/// One of several that send in turn, each message when it is due.
async fn publish(
    board: &Board,
    site: &Site,
    load: Load,
    start_us: u64,
    number: usize,
) -> Result<()> {
    let mut conn = Conn::new(site.addr);
    let mut request = Vec::new();
    let padding = "x".repeat(load.payload_bytes.saturating_sub(40));
    let total = u64::from(load.rate) * load.duration.as_millis() as u64 / 1_000;
    for n in (number as u64..total).step_by(PUBLISHERS) {
        let due = start_us + n * 1_000_000 / u64::from(load.rate);
        let wait = due.saturating_sub(board.now_us());
        if wait > 0 {
            sleep(Duration::from_micros(wait)).await;
        }
        let body = format!("{{\"n\":{n},\"due\":{due},\"text\":\"{padding}\"}}");
        write_request(&mut request, "POST", site.publish, "", Some(&body));
        let status = conn.exchange(&request).await?.status;
        let mut outcome = board.outcome.borrow_mut();
        if (200..300).contains(&status) {
            outcome.published += 1;
        } else {
            outcome.refused += 1;
        }
    }
    Ok(())
}
