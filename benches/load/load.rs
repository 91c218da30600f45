//! A closed loop: so many connections, each with one request under way, for so long.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::client::Conn;

/// What came of a run.
#[derive(Default)]
pub(crate) struct Tally {
    /// How long each request with a 2xx answer took.
    pub(crate) latencies_us: Vec<u32>,
    /// How many requests failed, by status or cause.
    pub(crate) failures: BTreeMap<String, u64>,
    /// Requests given up because no answer came in time; they are among the failures too.
    pub(crate) timeouts: u64,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
}

impl Tally {
    fn fail(&mut self, cause: String) {
        *self.failures.entry(cause).or_default() += 1;
    }

    fn merge(&mut self, other: Self) {
        self.latencies_us.extend(other.latencies_us);
        self.timeouts += other.timeouts;
        for (cause, count) in other.failures {
            *self.failures.entry(cause).or_default() += count;
        }
    }
}

/// The connections of one workload, kept open from the warm-up to the measurement.
pub(crate) struct ClosedLoop {
    conns: Vec<Conn>,
    request_timeout: Duration,
    /// Numbers the requests; the same number makes the same request on either server.
    next: Cell<u64>,
}

impl ClosedLoop {
    pub(crate) fn new(
        addr: SocketAddr,
        connections: usize,
        request_timeout: Duration,
        first: u64,
    ) -> Self {
        Self {
            conns: (0..connections).map(|_| Conn::new(addr)).collect(),
            request_timeout,
            next: Cell::new(first),
        }
    }

    /// Sends requests for `duration`, at least one per connection; those under way at the end are waited for.
    pub(crate) async fn run(
        &mut self,
        duration: Duration,
        write: &dyn Fn(u64, &mut Vec<u8>),
    ) -> Tally {
        let Self {
            conns,
            request_timeout,
            next,
        } = self;
        let began = Instant::now();
        let drive = Drive {
            until: began + duration,
            request_timeout: *request_timeout,
            next,
            write,
        };
        let parts = join_all(conns.iter_mut().map(|conn| drive.one(conn))).await;
        let mut tally = Tally {
            elapsed: began.elapsed(),
            ..Tally::default()
        };
        for part in parts {
            tally.merge(part);
        }
        tally
    }
}

struct Drive<'a> {
    until: Instant,
    request_timeout: Duration,
    next: &'a Cell<u64>,
    write: &'a dyn Fn(u64, &mut Vec<u8>),
}

impl Drive<'_> {
    async fn one(&self, conn: &mut Conn) -> Tally {
        let mut tally = Tally::default();
        let mut request = Vec::new();
        loop {
            (self.write)(self.next.replace(self.next.get() + 1), &mut request);
            let sent = Instant::now();
            match timeout(self.request_timeout, conn.exchange(&request)).await {
                Ok(Ok(reply)) if (200..300).contains(&reply.status) => {
                    let took = u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX);
                    tally.latencies_us.push(took);
                }
                Ok(Ok(reply)) => tally.fail(format!("status {}", reply.status)),
                Ok(Err(error)) => {
                    tally.fail(error.kind().to_string());
                    // A server that refuses connections must not turn this into a busy loop.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(_) => {
                    conn.reset();
                    tally.timeouts += 1;
                    tally.fail("no answer in time".to_owned());
                }
            }
            if Instant::now() >= self.until {
                return tally;
            }
        }
    }
}
