//! Rows that end at `expiresAt`, such as follows and memberships that are paid for a period. Reading never shows one whose
//! time has run out as active; noting it in the row, and telling whom it concerns, is done when the time has come, at once
//! when somebody looks at such a row, and every hour.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::base::DateTime;
use crate::engine::crons::Job;
use crate::engine::records::RecordQuery;
use crate::engine::{Engine, Error, Link};
use crate::filter::{Param, Params};
use crate::model::Record;
use crate::store::Tx;

const HOURLY: &str = "0 * * * *";
/// Rows that are noted in one transaction.
const BATCH: u64 = 200;
/// How long what could not be noted waits.
const RETRY: Duration = Duration::from_secs(60);
/// The longest sleep: clocks may be set.
const SLEEP_MAX: Duration = Duration::from_secs(600);
const EXPIRES_AT: &str = "expiresAt";
const DUE: &str = "status = {:status} && expiresAt != '' && expiresAt <= {:now} && id > {:after}";
const ENDING: &str = "status = {:status} && expiresAt != ''";

/// Notes in a row that its time has run out.
pub(super) type Note = Arc<
    dyn for<'t> Fn(Engine, &'t mut Tx, Record) -> BoxFuture<'t, Result<(), Error>> + Send + Sync,
>;

/// Which rows end, and what is done then.
#[derive(Clone)]
pub(super) struct Ending {
    /// The id of the hourly job.
    pub(super) job: &'static str,
    /// A collection with the fields `status` and `expiresAt`.
    pub(super) collection: &'static str,
    /// The states that end. Noting an end leads out of them.
    pub(super) statuses: &'static [&'static str],
    pub(super) note: Note,
}

/// Asks for rows to be noted as expired. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Expiry {
    wake: Arc<Notify>,
}

impl Expiry {
    /// Registers the hourly job, and starts the task that is nudged, until `stop`. Must run inside a runtime.
    pub(super) fn start(engine: &Engine, stop: CancellationToken, ending: Ending) -> Self {
        let hourly = ending.clone();
        let work: crate::engine::crons::Work = Arc::new(move |engine| {
            let ending = hourly.clone();
            Box::pin(async move { note_expired(&engine, &ending).await })
        });
        match Job::new(ending.job, HOURLY, work) {
            Ok(job) => engine.crons().add(job),
            Err(error) => {
                tracing::error!(cron.id = ending.job, %error, "a job cannot be scheduled");
            }
        }
        let expiry = Self::default();
        let (wake, engine) = (Arc::clone(&expiry.wake), engine.clone());
        tokio::spawn(stop.run_until_cancelled_owned(async move {
            loop {
                let wait = note_next(&engine, &ending).await.unwrap_or_else(|error| {
                    tracing::warn!(collection = ending.collection, %error, "ends are not noted");
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
async fn note_next(engine: &Engine, ending: &Ending) -> Result<Duration, Error> {
    let until = |next: DateTime| next.ms_since(engine.now());
    match next_end(engine, ending).await?.map(until) {
        None => return Ok(SLEEP_MAX),
        Some(ms) if ms > 0 => return Ok(sleep_of(ms)),
        Some(_) => note_expired(engine, ending).await?,
    }
    // What is still due could not be noted.
    let next = next_end(engine, ending).await?.map(until);
    Ok(match next {
        None => SLEEP_MAX,
        Some(ms) if ms > 0 => sleep_of(ms),
        Some(_) => RETRY,
    })
}

fn sleep_of(ms: i64) -> Duration {
    Duration::from_millis(ms.unsigned_abs()).min(SLEEP_MAX)
}

/// When the first row ends.
async fn next_end(engine: &Engine, ending: &Ending) -> Result<Option<DateTime>, Error> {
    let collection = engine.collection(ending.collection)?;
    let mut first: Option<DateTime> = None;
    for status in ending.statuses {
        let query = RecordQuery {
            filter: ENDING,
            params: params([("status", status)]),
            sort: EXPIRES_AT,
            limit: 1,
            offset: 0,
        };
        let mut link = Link::Pool(engine);
        let found = engine.find_by_filter(&mut link, &collection, &query);
        let ends = found.await?.into_iter().next();
        let ends = ends.and_then(|row| DateTime::parse(row.text(EXPIRES_AT)));
        first = [first, ends].into_iter().flatten().min();
    }
    Ok(first)
}

/// Notes all rows whose time has run out, in batches. One that is refused by those who take part in its write keeps none
/// of the others.
async fn note_expired(engine: &Engine, ending: &Ending) -> Result<(), Error> {
    for status in ending.statuses {
        let mut after = String::new();
        loop {
            let (inside, ending, from) = (engine.clone(), ending.clone(), after.clone());
            let last = engine.store().write(move |tx| {
                Box::pin(async move { note_batch(&inside, tx, &ending, (status, &from)).await })
            });
            match last.await? {
                Some(last) => after = last,
                None => break,
            }
        }
    }
    Ok(())
}

/// Notes the next rows of a state in the order of ids; gives the last one's id if there may be more.
async fn note_batch(
    engine: &Engine,
    tx: &mut Tx,
    ending: &Ending,
    (status, after): (&str, &str),
) -> Result<Option<String>, Error> {
    let Some(collection) = tx.schema().find(ending.collection).cloned() else {
        return Ok(None);
    };
    let now = engine.now().to_string();
    let query = RecordQuery {
        filter: DUE,
        params: params([("status", status), ("now", &now), ("after", after)]),
        sort: "id",
        limit: BATCH,
        offset: 0,
    };
    let mut link = Link::Tx(tx);
    let due = engine
        .find_by_filter(&mut link, &collection, &query)
        .await?;
    let is_full = due.len() as u64 == BATCH;
    let last = due.last().filter(|_| is_full);
    let last = last.map(|row| row.id().to_owned());
    for row in due {
        let (engine, note, id) = (
            engine.clone(),
            Arc::clone(&ending.note),
            row.id().to_owned(),
        );
        let noted: Result<_, Error> = tx
            .savepoint(|tx| Box::pin(async move { note(engine, tx, row).await }))
            .await;
        if let Err(error) = noted {
            tracing::warn!(collection = ending.collection, record.id = id, %error, "an end is not noted");
        }
    }
    Ok(last)
}

fn params<const N: usize>(texts: [(&str, &str); N]) -> Params {
    let texts = texts.map(|(name, text)| (name.to_owned(), Param::Text(text.to_owned())));
    Params::from(texts)
}
