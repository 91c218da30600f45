//! The end of paid periods. Reading never shows a follow whose time has run out as active; noting it in the row, and
//! telling the follower, is done when the time has come, at once when somebody looks at such a row, and every hour.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::FOLLOWS;
use super::state::{EXPIRES_AT, Status, set_status};
use crate::base::DateTime;
use crate::engine::crons::Job;
use crate::engine::records::RecordQuery;
use crate::engine::{Engine, Error, Link};
use crate::filter::{Param, Params};
use crate::store::Tx;

/// The job's id and times.
const JOB: &str = "followsExpiry";
const HOURLY: &str = "0 * * * *";
/// Rows that are noted in one transaction.
const BATCH: u64 = 200;
/// How long what could not be noted waits.
const RETRY: Duration = Duration::from_secs(60);
/// The longest sleep: clocks may be set.
const SLEEP_MAX: Duration = Duration::from_secs(600);
const DUE: &str = "status = 'active' && expiresAt != '' && expiresAt <= {:now} && id > {:after}";
const ENDING: &str = "status = 'active' && expiresAt != ''";

/// Asks for rows to be noted as expired. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Expiry {
    wake: Arc<Notify>,
}

impl Expiry {
    /// Registers the hourly job, and starts the task that is nudged, until `stop`. Must run inside a runtime.
    pub(super) fn start(engine: &Engine, stop: CancellationToken) -> Self {
        let work: crate::engine::crons::Work =
            Arc::new(|engine| Box::pin(async move { note_expired(&engine).await }));
        match Job::new(JOB, HOURLY, work) {
            Ok(job) => engine.crons().add(job),
            Err(error) => tracing::error!(%error, "follows expire when they are read alone"),
        }
        let expiry = Self::default();
        let (wake, engine) = (Arc::clone(&expiry.wake), engine.clone());
        tokio::spawn(stop.run_until_cancelled_owned(async move {
            loop {
                let wait = note_next(&engine).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, "expired follows are not noted");
                    RETRY
                });
                tokio::select! {
                    () = wake.notified() => {}
                    () = tokio::time::sleep(wait) => {}
                }
            }
        }));
        expiry
    }

    /// Somebody has seen a row whose time has run out, or a row has got an end.
    pub(super) fn nudge(&self) {
        self.wake.notify_one();
    }
}

/// Notes what has run out; gives the time until there is more.
async fn note_next(engine: &Engine) -> Result<Duration, Error> {
    let until = |next: DateTime| next.ms_since(engine.now());
    match next_end(engine).await?.map(until) {
        None => return Ok(SLEEP_MAX),
        Some(ms) if ms > 0 => return Ok(sleep_of(ms)),
        Some(_) => note_expired(engine).await?,
    }
    // What is still due could not be noted.
    let next = next_end(engine).await?.map(until);
    Ok(match next {
        None => SLEEP_MAX,
        Some(ms) if ms > 0 => sleep_of(ms),
        Some(_) => RETRY,
    })
}

fn sleep_of(ms: i64) -> Duration {
    Duration::from_millis(ms.unsigned_abs()).min(SLEEP_MAX)
}

/// When the first active row ends.
async fn next_end(engine: &Engine) -> Result<Option<DateTime>, Error> {
    let follows = engine.collection(FOLLOWS)?;
    let query = RecordQuery {
        filter: ENDING,
        sort: EXPIRES_AT,
        limit: 1,
        ..RecordQuery::default()
    };
    let mut link = Link::Pool(engine);
    let found = engine.find_by_filter(&mut link, &follows, &query).await?;
    let first = found.first().map(|row| row.text(EXPIRES_AT));
    Ok(first.and_then(DateTime::parse))
}

/// Notes all rows whose time has run out, in batches. One that is refused by those who take part in its write keeps none
/// of the others.
pub(super) async fn note_expired(engine: &Engine) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let (inside, from) = (engine.clone(), after.clone());
        let last = engine
            .store()
            .write(move |tx| Box::pin(async move { note_batch(&inside, tx, &from).await }));
        match last.await? {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
}

/// Notes the next rows in the order of ids; gives the last one's id if there may be more.
async fn note_batch(engine: &Engine, tx: &mut Tx, after: &str) -> Result<Option<String>, Error> {
    let Some(follows) = tx.schema().find(FOLLOWS).cloned() else {
        return Ok(None);
    };
    let now = engine.now().to_string();
    let params = [("now", now.as_str()), ("after", after)];
    let params = params.map(|(name, text)| (name.to_owned(), Param::Text(text.to_owned())));
    let query = RecordQuery {
        filter: DUE,
        params: Params::from(params),
        sort: "id",
        limit: BATCH,
        offset: 0,
    };
    let mut link = Link::Tx(tx);
    let due = engine.find_by_filter(&mut link, &follows, &query).await?;
    let is_full = due.len() as u64 == BATCH;
    let last = due.last().filter(|_| is_full);
    let last = last.map(|row| row.id().to_owned());
    for mut row in due {
        set_status(&mut row, Status::Expired);
        let (engine, id) = (engine.clone(), row.id().to_owned());
        let noted: Result<_, Error> = tx
            .savepoint(|tx| Box::pin(async move { engine.save(tx, row).await }))
            .await;
        if let Err(error) = noted {
            tracing::warn!(record.id = id, %error, "an expired follow is not noted");
        }
    }
    Ok(last)
}
