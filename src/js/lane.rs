//! The queues in front of the script thread.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bell::Bell;
use super::thread::Turn;

/// Work for the script thread.
pub type Job = Box<dyn FnOnce(&mut Turn<'_>) + Send>;

/// A queue of jobs, first in, first out.
pub(super) struct Lane {
    jobs: Mutex<VecDeque<Job>>,
    bell: Arc<Bell>,
    jobs_max: usize,
}

/// The script thread has more work than it can take on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the script thread has too much to do")]
pub struct Overloaded;

impl Lane {
    pub(super) fn new(bell: Arc<Bell>, jobs_max: usize) -> Self {
        Self {
            jobs: Mutex::default(),
            bell,
            jobs_max,
        }
    }

    pub(super) fn push(&self, job: Job) -> Result<(), Overloaded> {
        {
            let mut jobs = self.lock();
            if jobs.len() >= self.jobs_max {
                return Err(Overloaded);
            }
            jobs.push_back(job);
        }
        self.bell.ring();
        Ok(())
    }

    /// Queues what was accepted before: the end of a wait, a timer.
    pub(super) fn push_unbounded(&self, job: Job) {
        self.lock().push_back(job);
        self.bell.ring();
    }

    /// Drops what waits.
    pub(super) fn clear(&self) {
        let jobs = std::mem::take(&mut *self.lock());
        drop(jobs);
    }

    pub(super) fn pop(&self) -> Option<Job> {
        self.lock().pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The private lane of one wait: calls that the awaited work itself makes run on the thread that waits for it.
#[derive(Clone)]
pub struct Chain(pub(super) Arc<Lane>);

/// Which queue a job goes to.
#[derive(Clone)]
pub enum Route {
    /// Everything that nobody on the script thread waits for.
    General,
    /// On behalf of the transaction that holds the writer. Whatever the script thread waits for, it serves these: the
    /// writer may stand between it and what it waits for.
    Writer,
    /// On behalf of a wait.
    Chain(Chain),
}
