//! The collections of modules that do not run. They stay where they are, and nobody but superusers, modules and scripts
//! writes to them: their rules count on hooks that are not there.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;

use crate::engine::{Error, Next, Op, RecordEvent, RecordHook, Stage};
use crate::model::Collection;

/// Writes of collections whose module is off.
pub(super) struct Dormant {
    pub(super) collections: BTreeSet<String>,
}

impl RecordHook for Dormant {
    fn priority(&self) -> i32 {
        super::AHEAD_OF_SCRIPTS
    }

    fn wants(&self, collection: &Collection) -> bool {
        self.collections.contains(&collection.name)
    }

    fn completes(&self, _: &Collection) -> bool {
        true
    }

    fn handle<'a>(
        &'a self,
        stage: Stage,
        event: &'a mut RecordEvent<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        // What goes with a deleted account goes as ever.
        let is_write = match event.op {
            Op::Create => true,
            Op::Update => event.validate,
            Op::Delete => false,
        };
        let is_client = event
            .request
            .as_ref()
            .is_some_and(|info| !info.is_superuser());
        if stage == Stage::Write && is_write && is_client {
            return Box::pin(async { Err(Error::not_found()) });
        }
        next.run(event)
    }
}
