//! On behalf of whom work is done, across tasks and threads.

use std::any::Any;
use std::sync::Arc;

/// A mark of the handler that waits for the work at hand. Scripts share a thread: a handler that is called on behalf of
/// one that waits must not queue behind it.
pub type Within = Arc<dyn Any + Send + Sync>;

tokio::task_local! {
    /// Set while work is done that a handler waits for. It follows the work into write transactions and what comes after
    /// them.
    pub static WITHIN: Option<Within>;
}

/// The mark in force here, if any.
#[must_use]
pub fn current() -> Option<Within> {
    WITHIN.try_with(Clone::clone).ok().flatten()
}
