//! Users who are deleted: nothing of theirs stays open, and what is booked stays without their name.

use futures_util::future::BoxFuture;

use crate::engine::{self, Next, Op, RecordEvent, RecordHook, Stage};
use crate::model::Collection;
use crate::modules::AHEAD_OF_SCRIPTS;
use crate::modules::market::Market;

/// Deletions of users.
pub(super) struct Users {
    market: Market,
}

impl Users {
    pub(super) fn new(market: Market) -> Self {
        Self { market }
    }
}

impl RecordHook for Users {
    fn priority(&self) -> i32 {
        AHEAD_OF_SCRIPTS
    }

    fn wants(&self, collection: &Collection) -> bool {
        collection.name == "users"
    }

    fn handle<'a>(
        &'a self,
        stage: Stage,
        event: &'a mut RecordEvent<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Result<(), engine::Error>> {
        if stage != Stage::Write || event.op != Op::Delete {
            return next.run(event);
        }
        Box::pin(async move {
            let user = event.record.id().to_owned();
            self.market.part_with(event.tx, &user).await?;
            next.run(event).await
        })
    }
}
