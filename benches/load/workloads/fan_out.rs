//! Realtime fan-out: a thousand SSE connections subscribe to a collection, records are created, deliveries are counted.
//!
//! Publishing is held back to the pace of delivery: at most [`WINDOW`] events are not yet at every subscriber. A driver
//! that publishes without looking would measure queue overflow. An event that never arrives therefore ends the run, and
//! the report shows what is missing.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::timeout;

use crate::client::{Conn, Dechunk, write_request};
use crate::load::Tally;
use crate::site::Site;

/// Events that may be under way at a time, and connections that create them.
const WINDOW: usize = 8;
const PUBLISHERS: usize = 4;
/// Subscribers that connect at a time.
const CONNECTING: usize = 32;
/// No delivery for this long means that the missing ones are lost.
const STALLED_AFTER: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A run's subscribers, connected and subscribed.
pub(crate) struct FanOut {
    board: Rc<Board>,
    readers: Vec<JoinHandle<()>>,
    site: Site,
}

pub(crate) struct Delivered {
    /// Latencies are from sending the create to the arrival at the last subscriber, one per complete event.
    pub(crate) tally: Tally,
    pub(crate) delivered: u64,
    pub(crate) expected: u64,
}

/// The score of all subscribers. One thread runs everything, so plain cells do.
struct Board {
    subscribers: u64,
    delivered: Cell<u64>,
    lost_connections: Cell<u64>,
    /// When the k-th event was sent, and at how many subscribers it is.
    events: RefCell<Vec<(Instant, u64)>>,
    complete: RefCell<Vec<u32>>,
    window: Semaphore,
}

impl FanOut {
    pub(crate) async fn subscribe(site: &Site, subscribers: usize) -> Result<Self> {
        let connecting = (0..subscribers).map(|_| async {
            timeout(CONNECT_TIMEOUT, subscriber(site))
                .await
                .context("a subscriber could not connect in time")?
        });
        let streams: Vec<Result<Reader>> = stream::iter(connecting)
            .buffer_unordered(CONNECTING)
            .collect()
            .await;
        let board = Rc::new(Board {
            subscribers: subscribers as u64,
            delivered: Cell::new(0),
            lost_connections: Cell::new(0),
            events: RefCell::new(Vec::new()),
            complete: RefCell::new(Vec::new()),
            window: Semaphore::new(WINDOW),
        });
        let mut readers = Vec::with_capacity(subscribers);
        for reader in streams {
            let (reader, board) = (reader?, Rc::clone(&board));
            readers.push(spawn_local(reader.run(board)));
        }
        Ok(Self {
            board,
            readers,
            site: site.clone(),
        })
    }

    /// Publishes for `duration` and waits for the last deliveries.
    pub(crate) async fn run(&mut self, duration: Duration, first: u64) -> Delivered {
        let board = &self.board;
        let (events_before, delivered_before) =
            (board.events.borrow().len(), board.delivered.get());
        board.complete.borrow_mut().clear();
        let began = Instant::now();
        let numbers = Cell::new(first);
        let publishers =
            (0..PUBLISHERS).map(|_| publish(board, &self.site, &numbers, began + duration));
        let parts = futures_util::future::join_all(publishers).await;
        let mut tally = Tally::default();
        for cause in parts.into_iter().flatten() {
            *tally.failures.entry(cause).or_default() += 1;
        }
        let expected = (board.events.borrow().len() - events_before) as u64 * board.subscribers;
        while board.delivered.get() - delivered_before < expected {
            let before = board.delivered.get();
            tokio::time::sleep(Duration::from_millis(5)).await;
            if board.delivered.get() == before && self.is_stalled(before).await {
                break;
            }
        }
        tally.elapsed = began.elapsed();
        tally.latencies_us = board.complete.take();
        if board.lost_connections.get() > 0 {
            let lost = board.lost_connections.get();
            tally
                .failures
                .insert("subscriber disconnected".to_owned(), lost);
        }
        Delivered {
            tally,
            delivered: board.delivered.get() - delivered_before,
            expected,
        }
    }

    async fn is_stalled(&self, before: u64) -> bool {
        let began = Instant::now();
        while began.elapsed() < STALLED_AFTER {
            tokio::time::sleep(Duration::from_millis(5)).await;
            if self.board.delivered.get() != before {
                return false;
            }
        }
        true
    }
}

impl Drop for FanOut {
    fn drop(&mut self) {
        for reader in &self.readers {
            reader.abort();
        }
    }
}

impl Board {
    /// The subscriber that has had `seen` events has now had one more.
    fn deliver(&self, seen: usize) {
        self.delivered.set(self.delivered.get() + 1);
        let mut events = self.events.borrow_mut();
        // The event can be here before the create's answer, but never before the create was sent.
        let Some((sent, count)) = events.get_mut(seen) else {
            return;
        };
        *count += 1;
        if *count == self.subscribers {
            let took = u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX);
            self.complete.borrow_mut().push(took);
            self.window.add_permits(1);
        }
    }
}

/// Creates records until the time is up; gives the failures.
async fn publish(board: &Board, site: &Site, numbers: &Cell<u64>, until: Instant) -> Vec<String> {
    let mut conn = Conn::new(site.addr);
    let mut request = Vec::new();
    let mut failures = Vec::new();
    while Instant::now() < until {
        // A run that has stalled ends here: the wait for a free place in the window has a limit.
        match timeout(STALLED_AFTER, board.window.acquire()).await {
            Ok(Ok(permit)) => permit.forget(),
            _ => break,
        }
        let n = numbers.replace(numbers.get() + 1);
        let body = json!({"title": format!("News {n}"), "body": "Lorem ipsum dolor sit amet, consetetur."});
        let path = "/api/collections/news/records";
        write_request(
            &mut request,
            "POST",
            path,
            &site.token,
            Some(&body.to_string()),
        );
        board.events.borrow_mut().push((Instant::now(), 0));
        let cause = match conn.exchange(&request).await {
            Ok(reply) if (200..300).contains(&reply.status) => continue,
            Ok(reply) => format!("create: status {}", reply.status),
            Err(error) => format!("create: {}", error.kind()),
        };
        // Whichever entry goes, the number of events is right again; the run is reported as failed in any case.
        board.events.borrow_mut().pop();
        board.window.add_permits(1);
        failures.push(cause);
        if failures.len() > 10 {
            break;
        }
    }
    failures
}

/// Opens an event stream and subscribes it to the collection.
async fn subscriber(site: &Site) -> Result<Reader> {
    let mut request = Vec::new();
    write_request(&mut request, "GET", "/api/realtime", &site.token, None);
    let (stream, seen) = Conn::new(site.addr).into_stream(&request).await?;
    let mut reader = Reader {
        stream,
        dechunk: Dechunk::default(),
        events: Events::default(),
        text: Some(Vec::new()),
    };
    reader.take(&seen)?;
    let mut input = vec![0; 4096];
    while reader.events.count == 0 {
        let read = reader.stream.read(&mut input).await?;
        if read == 0 {
            bail!("the event stream ended before PB_CONNECT");
        }
        reader.take(input.get(..read).unwrap_or_default())?;
    }
    let text = reader.text.take().unwrap_or_default();
    let client_id =
        client_id(&String::from_utf8_lossy(&text)).context("PB_CONNECT has no clientId")?;
    let body = json!({"clientId": client_id, "subscriptions": ["news/*"]});
    let mut conn = Conn::new(site.addr);
    conn.json("POST", "/api/realtime", &site.token, Some(&body))
        .await?;
    reader.events = Events::default();
    Ok(reader)
}

fn client_id(text: &str) -> Option<String> {
    let data = text.lines().find_map(|line| line.strip_prefix("data:"))?;
    let value: Value = serde_json::from_str(data).ok()?;
    Some(value.get("clientId")?.as_str()?.to_owned())
}

/// One subscriber's event stream.
struct Reader {
    stream: TcpStream,
    dechunk: Dechunk,
    events: Events,
    /// The text so far, while the greeting is being read.
    text: Option<Vec<u8>>,
}

impl Reader {
    fn take(&mut self, input: &[u8]) -> Result<()> {
        let Self {
            dechunk,
            events,
            text,
            ..
        } = self;
        dechunk.feed(input, |part| {
            if let Some(text) = text {
                text.extend_from_slice(part);
            }
            events.feed(part);
        })?;
        Ok(())
    }

    async fn run(mut self, board: Rc<Board>) {
        let mut input = vec![0; 8 * 1024];
        let mut seen = 0;
        loop {
            let read = self.stream.read(&mut input).await.unwrap_or(0);
            if read == 0 || self.take(input.get(..read).unwrap_or_default()).is_err() {
                board.lost_connections.set(board.lost_connections.get() + 1);
                return;
            }
            for _ in 0..std::mem::take(&mut self.events.count) {
                board.deliver(seen);
                seen += 1;
            }
        }
    }
}

/// Counts the events of an SSE stream: blank lines that end something other than comments.
#[derive(Default)]
struct Events {
    count: u64,
    in_line: bool,
    has_field: bool,
}

impl Events {
    fn feed(&mut self, input: &[u8]) {
        for line in input.split_inclusive(|&byte| byte == b'\n') {
            let content = line.strip_suffix(b"\n").unwrap_or(line);
            if !self.in_line && content.first().is_some_and(|&byte| byte != b':') {
                self.has_field = true;
            }
            let blank = content.is_empty() && !self.in_line;
            self.in_line = line.len() == content.len();
            if blank && !self.in_line && std::mem::take(&mut self.has_field) {
                self.count += 1;
            }
        }
    }
}
