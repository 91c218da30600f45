//! What is measured of a session.

use std::time::Instant;

use super::Task;
use crate::session::PeerStats;

impl Task {
    pub(super) fn stats(&mut self, _now: Instant) -> Vec<PeerStats> {
        Vec::new()
    }
}
