//! The end of paid periods. Reading never shows a follow whose time has run out as active; noting it in the row, and
//! telling the follower, is done every hour, and soon after somebody has looked at such a row.

use std::sync::Arc;

use tokio::sync::Notify;

use super::FOLLOWS;
use super::state::{Status, set_status};
use crate::engine::crons::Job;
use crate::engine::records::RecordQuery;
use crate::engine::{Engine, Error, Link};
use crate::filter::{Param, Params};

/// The job's id and times.
const JOB: &str = "followsExpiry";
const HOURLY: &str = "0 * * * *";
/// Rows that are noted in one transaction.
const BATCH: u64 = 200;
const DUE: &str = "status = 'active' && expiresAt != '' && expiresAt <= {:now}";

/// Asks for rows to be noted as expired. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Expiry {
    wake: Arc<Notify>,
}

impl Expiry {
    /// Registers the hourly job, and starts the task that is nudged. Must run inside a runtime.
    pub(super) fn start(engine: &Engine) -> Self {
        let work: crate::engine::crons::Work =
            Arc::new(|engine| Box::pin(async move { note_expired(&engine).await }));
        match Job::new(JOB, HOURLY, work) {
            Ok(job) => engine.crons().add(job),
            Err(error) => tracing::error!(%error, "follows expire when they are read alone"),
        }
        let expiry = Self::default();
        let (wake, engine) = (Arc::clone(&expiry.wake), engine.clone());
        tokio::spawn(async move {
            loop {
                wake.notified().await;
                if let Err(error) = note_expired(&engine).await {
                    tracing::warn!(%error, "expired follows are not noted");
                }
            }
        });
        expiry
    }

    /// Somebody has seen a row whose time has run out.
    pub(super) fn nudge(&self) {
        self.wake.notify_one();
    }
}

/// Notes all rows whose time has run out, in batches.
pub(super) async fn note_expired(engine: &Engine) -> Result<(), Error> {
    loop {
        let inside = engine.clone();
        let noted = engine.store().write(move |tx| {
            Box::pin(async move {
                let Some(follows) = tx.schema().find(FOLLOWS).cloned() else {
                    return Ok(0);
                };
                let now = Param::Text(inside.now().to_string());
                let query = RecordQuery {
                    filter: DUE,
                    params: Params::from([("now".to_owned(), now)]),
                    limit: BATCH,
                    ..RecordQuery::default()
                };
                let mut link = Link::Tx(tx);
                let due = inside.find_by_filter(&mut link, &follows, &query).await?;
                let count = due.len() as u64;
                for mut row in due {
                    set_status(&mut row, Status::Expired);
                    inside.save(tx, row).await?;
                }
                Ok::<u64, Error>(count)
            })
        });
        if noted.await? < BATCH {
            return Ok(());
        }
    }
}
