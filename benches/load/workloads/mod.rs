//! What is measured. A workload is a name, a number of connections and a way to write its n-th request; only the fan-out
//! and the start-up need more than that.

use std::time::Duration;

use crate::site::Site;

mod accounts;
pub(crate) mod fan_out;
mod records;
mod scripts;
pub(crate) mod startup;

/// Writes the n-th request of a workload into the buffer.
pub(crate) type WriteRequest = fn(&Site, u64, &mut Vec<u8>);

pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// What it does, for the report.
    pub(crate) what: &'static str,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    ClosedLoop {
        connections: usize,
        write: WriteRequest,
    },
    /// One SSE connection per subscriber, and events for all of them.
    FanOut,
}

/// A request without an answer after this long is given up and counted as such. It is below the 30 s after which
/// PocketBase ends a query by itself, so that a slow query shows as "no answer in time" and not as an error.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(28);

/// All workloads in the order of the report; those that write come last, so that reads meet the seeded tables.
pub(crate) fn all() -> Vec<Workload> {
    let mut all = records::reads();
    all.extend(accounts::all());
    all.push(Workload {
        name: "fan-out",
        what: "realtime events to the subscribers of a collection, delivered events counted",
        kind: Kind::FanOut,
    });
    all.extend(scripts::all());
    all.extend(records::writes());
    all
}
