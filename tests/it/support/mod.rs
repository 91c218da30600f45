//! A real server over a fresh data directory, and clients that check what must hold of every answer.

mod app;
mod client;
mod events;
pub(crate) mod fields;
pub(crate) mod process;
pub(crate) mod raw;
mod stream;
pub(crate) mod taps;
mod template;
mod watch;

use std::time::Duration;

pub(crate) use app::{Builder, TestApp, is_peer};
pub(crate) use client::{Answer, Client, Form, column, id_of, record, records};
pub(crate) use events::{Events, with_options};
pub(crate) use stream::{Message, Stream};
pub(crate) use template::{PASSWORD, SUPERUSER};

/// How long anything may take before a test gives up; far beyond what a busy machine needs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// What the future gives, unless it takes too long.
pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// A fixed number of answers at once, in the order of the futures.
pub(crate) async fn all<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    in_time("all of them", futures_util::future::join_all(futures)).await
}

/// Looks again and again until the value is the expected one, for what the server does after it has answered.
pub(crate) async fn becomes<T: PartialEq + std::fmt::Debug>(expected: &T, look: impl Fn() -> T) {
    let started = std::time::Instant::now();
    loop {
        let seen = look();
        if seen == *expected {
            return;
        }
        assert!(
            started.elapsed() < DEADLINE,
            "still {seen:?}, not {expected:?}"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
