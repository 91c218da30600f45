//! The one writer. Jobs that wait at the same time share a transaction: one commit, hence one wait for the disk, for all.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::conn::Conn;
use super::error::Error;
use super::pool::Pool;
use super::tx::{AfterCommit, Failure, JobAftermath, Task, Tx};
use crate::base::within::{self, WITHIN, Within};
use crate::model::Schema;

/// Jobs that may wait; callers beyond them wait for a place.
const QUEUE: usize = 1024;

/// How long a caller waits for a place in the queue.
const QUEUE_PATIENCE: Duration = Duration::from_secs(30);

/// Bounds of one transaction: the first jobs in it wait for the last.
const GROUP_JOBS: usize = 256;
const GROUP_TIME: Duration = Duration::from_millis(8);

/// How long a job may take that shares its transaction: the others wait for it.
const JOB_TIME: Duration = Duration::from_secs(120);

/// How long a caller waits for what follows its job. The work itself goes on.
const AFTERMATH_PATIENCE: Duration = Duration::from_secs(60);

thread_local! {
    /// Whether this thread runs jobs.
    static RUNS_JOBS: Cell<bool> = const { Cell::new(false) };
}

/// Statistics for the query planner, and the write-ahead log into the database file.
const TIDY: &str = "PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)";

/// Hands jobs to the writer.
pub(super) struct Writer {
    queue: mpsc::Sender<Command>,
    /// Where the work that follows a job runs: never on the writer's own thread.
    runtime: Option<Handle>,
}

enum Command {
    Run(Job),
    /// Tidy up, outside of transactions.
    Upkeep(&'static str, oneshot::Sender<Result<(), Error>>),
    /// Finish: nothing behind this is run. Answered when the connection is closed.
    Close(oneshot::Sender<()>),
}

struct Job {
    run: Run,
    /// Whether the job has the transaction for itself.
    alone: bool,
}

type Run = Box<dyn for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Outcome> + Send>;

/// How a job ended.
struct Outcome {
    keep: bool,
    answer: Answer,
}

/// Gives the caller its result, or the error of the transaction when that did not come about.
type Answer = Box<dyn FnOnce(Result<(), Error>, Vec<Task>) + Send>;

/// The work that follows a job, on its way to the caller. A caller that is gone does not stop it.
struct Follows {
    work: Vec<Task>,
    /// On whose behalf the job was done.
    within: Option<Within>,
    runtime: Option<Handle>,
}

impl Follows {
    fn start(&mut self) -> Option<JoinHandle<Option<Failure>>> {
        let work = std::mem::take(&mut self.work);
        if work.is_empty() {
            return None;
        }
        let runtime = self.runtime.as_ref()?;
        let within = self.within.take();
        Some(runtime.spawn(WITHIN.scope(within, async move {
            let mut failed = None;
            for one in work {
                // A panic is reported by the panic hook; what comes after it still runs.
                if let Ok(Some(failure)) = AssertUnwindSafe(one).catch_unwind().await {
                    failed.get_or_insert(failure);
                }
            }
            failed
        })))
    }

    /// Waits for it; gives what of it failed first.
    async fn done(mut self) -> Option<Failure> {
        let task = self.start()?;
        let Ok(ended) = tokio::time::timeout(AFTERMATH_PATIENCE, task).await else {
            tracing::warn!("what follows a write takes long, its answer no longer waits for it");
            return None;
        };
        ended.ok().flatten()
    }
}

impl Drop for Follows {
    fn drop(&mut self) {
        self.start();
    }
}

impl Writer {
    /// Starts the writer of one database file on the runtime it is called in.
    pub(super) fn start(
        mut conn: Conn,
        reopen: Reopen,
        schema: Arc<ArcSwap<Schema>>,
        readers: Arc<Pool>,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, jobs) = mpsc::channel(QUEUE);
        conn.start_transactions();
        let worker = Worker {
            jobs,
            tx: Tx::new(conn, schema.load_full()),
            schema,
            readers,
            reopen,
        };
        let runtime = Handle::try_current().ok();
        (Self { queue, runtime }, worker.run())
    }

    /// Runs a job and waits for the commit. Once queued, it runs even if the caller stops waiting.
    /// `late` turns an error into the job's kind that comes after the job has ended.
    pub(super) async fn write<T, E, F>(
        &self,
        job: F,
        late: impl FnOnce(Error) -> E + Send + 'static,
        alone: bool,
    ) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        if RUNS_JOBS.get() {
            return Err(Error::Nested.into());
        }
        let (reply, result) = oneshot::channel();
        let runtime = self.runtime.clone();
        let within = within::current();
        let run: Run = Box::new(move |tx| {
            Box::pin(async move {
                let work = async {
                    match &within {
                        Some(_) => WITHIN.scope(within.clone(), job(tx)).await,
                        None => job(tx).await,
                    }
                };
                let work = AssertUnwindSafe(work).catch_unwind();
                let ended = if alone {
                    Ok(work.await)
                } else {
                    tokio::time::timeout(JOB_TIME, work).await
                };
                let result = match ended {
                    Ok(Ok(result)) => result,
                    Ok(Err(_)) => Err(E::from(Error::Abandoned)),
                    Err(_) => Err(E::from(Error::Timeout)),
                };
                Outcome {
                    keep: result.is_ok(),
                    answer: Box::new(move |commit, work| {
                        // An error of the job's own says more than that of the commit.
                        let result = match commit {
                            Err(error) if result.is_ok() => Err(late(error)),
                            _ => result,
                        };
                        let follows = Follows {
                            work,
                            within,
                            runtime,
                        };
                        let _ = reply.send((result, follows));
                    }),
                }
            })
        });
        self.send(Command::Run(Job { run, alone })).await?;
        let (result, follows) = result.await.map_err(|_| Error::Closed)?;
        match follows.done().await {
            Some(failure) if result.is_ok() => Err(Error::Followed(failure).into()),
            _ => result,
        }
    }

    /// Lets SQLite renew its statistics, and moves the write-ahead log into the database file.
    pub(super) async fn optimize(&self) -> Result<(), Error> {
        self.upkeep(TIDY).await
    }

    pub(super) async fn vacuum(&self) -> Result<(), Error> {
        self.upkeep("VACUUM").await
    }

    async fn upkeep(&self, statements: &'static str) -> Result<(), Error> {
        let (reply, result) = oneshot::channel();
        self.send(Command::Upkeep(statements, reply)).await?;
        result.await.map_err(|_| Error::Closed)?
    }

    /// Lets the jobs that wait finish, and closes the connection.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Command::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }

    async fn send(&self, command: Command) -> Result<(), Error> {
        use mpsc::error::{SendTimeoutError, TrySendError};
        match self.queue.try_send(command) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(Error::Closed),
            Err(TrySendError::Full(command)) => {
                match self.queue.send_timeout(command, QUEUE_PATIENCE).await {
                    Ok(()) => Ok(()),
                    Err(SendTimeoutError::Timeout(_)) => Err(Error::Busy),
                    Err(SendTimeoutError::Closed(_)) => Err(Error::Closed),
                }
            }
        }
    }
}

/// The task that owns the connection.
struct Worker {
    jobs: mpsc::Receiver<Command>,
    tx: Tx,
    schema: Arc<ArcSwap<Schema>>,
    readers: Arc<Pool>,
    reopen: Reopen,
}

/// How to get a new connection should the thread of the old one die.
pub(super) struct Reopen {
    pub(super) options: SqliteConnectOptions,
    pub(super) query_timeout: Duration,
}

impl Reopen {
    pub(super) async fn open(&self) -> Result<Conn, Error> {
        Conn::open(&self.options, self.query_timeout).await
    }
}

impl Worker {
    async fn run(mut self) {
        RUNS_JOBS.set(true);
        let mut done = None;
        let mut next = self.jobs.recv().await;
        loop {
            match next {
                Some(Command::Run(job)) => next = self.group(job).await,
                Some(Command::Upkeep(statements, reply)) => {
                    self.tx.stop_transactions();
                    let _ = reply.send(self.tx.run(statements).await);
                    self.tx.start_transactions();
                    next = None;
                }
                Some(Command::Close(reply)) => {
                    done = Some(reply);
                    break;
                }
                None => break,
            }
            if next.is_none() {
                next = self.jobs.recv().await;
            }
        }
        self.jobs.close();
        if let Err(error) = finish(self.tx.into_conn()).await {
            tracing::warn!(%error, "the database did not close cleanly");
        }
        if let Some(done) = done {
            let _ = done.send(());
        }
    }

    /// Runs a job and those that wait behind it in one transaction. Gives a command that must come after it.
    async fn group(&mut self, first: Job) -> Option<Command> {
        let started = Instant::now();
        let mut group = Group::default();
        let mut job = first;
        let left = loop {
            let alone = job.alone;
            self.job(job, &mut group).await;
            if alone
                || self.tx.is_lost()
                || self.tx.schema_changed()
                || group.jobs.len() >= GROUP_JOBS
                || started.elapsed() >= GROUP_TIME
            {
                break None;
            }
            match self.jobs.try_recv() {
                Ok(Command::Run(next)) if !next.alone => job = next,
                Ok(command) => break Some(command),
                Err(_) => break None,
            }
        };
        self.finish(group).await;
        left
    }

    async fn job(&mut self, job: Job, group: &mut Group) {
        self.tx.start_job(group.jobs.len());
        let Outcome { keep, answer } = (job.run)(&mut self.tx).await;
        let aftermath = self.tx.take_aftermath();
        let ended = self.tx.end_job(keep).await;
        let kept = keep && ended.is_ok();
        // Whether the job is kept or not: statements may have been prepared in between.
        let touched = self.tx.take_tables_touched();
        group.alone |= touched || kept && job.alone;
        let (actions, result) = match ended {
            Ok(actions) if keep => (actions, Ok(())),
            Ok(_) => (Vec::new(), Ok(())),
            Err(error) => (Vec::new(), Err(error)),
        };
        group.jobs.push(Ended {
            answer,
            actions,
            aftermath,
            keep,
            result,
        });
    }

    /// Commits, publishes what changed, and answers.
    async fn finish(&mut self, mut group: Group) {
        let committed = self.tx.commit().await;
        for (job, error) in self.tx.take_failed() {
            if let Some(job) = group.jobs.get_mut(job) {
                job.actions.clear();
                job.result = Err(error);
            }
        }
        if committed.is_ok() {
            if self.tx.schema_changed() {
                self.schema.store(Arc::clone(self.tx.schema()));
            }
            if self.tx.schema_changed() || group.alone {
                self.readers.tables_changed();
                if let Err(error) = self.tx.tables_changed().await {
                    tracing::warn!(%error, "the writer may use stale statements");
                }
            }
            let actions = group.jobs.iter_mut().flat_map(|job| job.actions.drain(..));
            for action in actions {
                // A panic is reported by the panic hook; it must not take the writer along.
                let _ = std::panic::catch_unwind(AssertUnwindSafe(action));
            }
        }
        let schema = self.schema.load_full();
        if self.tx.is_dead() {
            match self.reopen.open().await {
                Ok(mut conn) => {
                    conn.start_transactions();
                    self.tx = Tx::new(conn, schema);
                }
                Err(error) => tracing::error!(%error, "the writer's connection is lost"),
            }
        } else {
            self.tx.reset_schema(schema);
        }
        for job in group.jobs {
            let committed = job.result.and_then(|()| committed.clone());
            let follows = job.aftermath.of(job.keep && committed.is_ok());
            (job.answer)(committed, follows);
        }
    }
}

/// The jobs of one transaction.
#[derive(Default)]
struct Group {
    jobs: Vec<Ended>,
    /// A job that had the transaction for itself was kept: it may have changed tables.
    alone: bool,
}

/// A job that ran.
struct Ended {
    answer: Answer,
    actions: Vec<AfterCommit>,
    aftermath: JobAftermath,
    /// What the job itself wants.
    keep: bool,
    result: Result<(), Error>,
}

/// Moves the write-ahead log into the database file, so that a copy of the file is whole, and closes.
async fn finish(mut conn: Conn) -> Result<(), Error> {
    conn.stop_transactions();
    conn.run(TIDY).await?;
    conn.close().await
}

#[cfg(test)]
mod tests;
