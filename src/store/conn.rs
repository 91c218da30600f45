//! One database connection, for reading or inside a write transaction.

mod later;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, ConnectOptions, Connection, Either, Execute, Executor};

use self::later::Later;
use super::error::{self, Error};
use super::sql::Sql;
use crate::model::Value;

/// The virtual-machine steps between two looks at the clock; a millisecond or so.
const STEPS_PER_CHECK: i32 = 20_000;

/// Attempts to open a write transaction, each of which waits for SQLite's busy time-out.
const BEGIN_ATTEMPTS: u32 = 3;

/// Opens the transaction and the savepoint of its first job.
const BEGIN: &str = "BEGIN IMMEDIATE;SAVEPOINT job";

/// Goes before the first statement of each later job: keeps what the job before did and opens the savepoint anew. In one
/// text with the statement it costs no thread switch of its own.
const RENEW: &str = "RELEASE job;SAVEPOINT job;";

/// A connection that query functions work on. Readers come from the pool; inside a write transaction it is the writer's.
///
/// A query whose future is dropped ends early; the connection stays usable.
pub struct Conn {
    raw: SqliteConnection,
    limit: Arc<Limit>,
    timeout: Duration,
    /// A query was sent and its end not seen.
    in_flight: bool,
    state: State,
    /// A statement failed, and nobody looked yet whether the transaction survived it.
    suspect: bool,
    dead: bool,
    /// The job that runs, by its number in the transaction.
    job: usize,
    /// The job whose statements are in the savepoint; none while it is empty.
    owner: Option<usize>,
    later: Later,
}

/// Where a connection stands between statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Each statement is its own transaction.
    Automatic,
    /// The next statement opens the write transaction.
    Unopened,
    /// In the write transaction, with the savepoint of a job.
    Open,
    /// SQLite ended the transaction by itself: everything in it is gone.
    Lost,
}

/// When a running statement is stopped. Read by the connection's own thread.
struct Limit {
    start: Instant,
    /// Milliseconds since `start`; `NEVER` while no limit holds, 0 to stop at once.
    deadline_ms: AtomicU64,
}

const NEVER: u64 = u64::MAX;

impl Limit {
    fn set(&self, timeout: Duration) {
        let deadline = (self.start.elapsed() + timeout).as_millis();
        let deadline = u64::try_from(deadline).unwrap_or(NEVER);
        self.deadline_ms.store(deadline, Ordering::Relaxed);
    }

    fn lift(&self) {
        self.deadline_ms.store(NEVER, Ordering::Relaxed);
    }

    fn stop(&self) {
        self.deadline_ms.store(0, Ordering::Relaxed);
    }

    fn allows(&self) -> bool {
        let deadline = self.deadline_ms.load(Ordering::Relaxed);
        deadline == NEVER || self.start.elapsed().as_millis() < u128::from(deadline)
    }
}

impl Conn {
    /// Opens a connection; `timeout` bounds each of its queries.
    pub(super) async fn open(
        options: &SqliteConnectOptions,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let mut raw = options.connect().await.map_err(Error::from_sqlx)?;
        let limit = Arc::new(Limit {
            start: Instant::now(),
            deadline_ms: AtomicU64::new(NEVER),
        });
        let seen = Arc::clone(&limit);
        raw.lock_handle()
            .await
            .map_err(Error::from_sqlx)?
            .set_progress_handler(STEPS_PER_CHECK, move || seen.allows());
        Ok(Self {
            raw,
            limit,
            timeout,
            in_flight: false,
            state: State::Automatic,
            suspect: false,
            dead: false,
            job: 0,
            owner: None,
            later: Later::default(),
        })
    }

    /// All rows of a query.
    ///
    /// # Errors
    /// [`Error::Timeout`] beyond the time limit, else whatever the database says, by kind.
    pub(in crate::store) async fn fetch_all(&mut self, sql: &Sql) -> Result<Vec<SqliteRow>, Error> {
        let (text, arguments) = self.prepare(sql).await?;
        self.limit.set(self.timeout);
        self.in_flight = true;
        let query = sqlx::query_with(AssertSqlSafe(text), arguments).persistent(sql.cached);
        let result = all_rows(&mut self.raw, query).await;
        self.in_flight = false;
        self.limit.lift();
        match result {
            Ok(rows) => Ok(rows),
            Err(cause) => Err(self.failed(cause)),
        }
    }

    /// The first row of a query, if any.
    ///
    /// # Errors
    /// [`Error::Timeout`] beyond the time limit, else whatever the database says, by kind.
    pub(in crate::store) async fn fetch_optional(
        &mut self,
        sql: &Sql,
    ) -> Result<Option<SqliteRow>, Error> {
        let (text, arguments) = self.prepare(sql).await?;
        self.limit.set(self.timeout);
        self.in_flight = true;
        let result = sqlx::query_with(AssertSqlSafe(text), arguments)
            .persistent(sql.cached)
            .fetch_optional(&mut self.raw)
            .await;
        self.in_flight = false;
        self.limit.lift();
        match result {
            Ok(row) => Ok(row),
            Err(cause) => Err(self.failed(cause)),
        }
    }

    /// Runs a statement; gives the number of rows it changed. Has no time limit: stopping a write half-way would undo the
    /// jobs that share its transaction.
    ///
    /// # Errors
    /// Whatever the database says, by kind.
    pub(in crate::store) async fn execute(&mut self, sql: &Sql) -> Result<u64, Error> {
        let (text, arguments) = self.prepare(sql).await?;
        let query = sqlx::query_with(AssertSqlSafe(text), arguments).persistent(sql.cached);
        self.in_flight = true;
        let result = last_change(&mut self.raw, query).await;
        self.in_flight = false;
        match result {
            Ok(changes) => Ok(changes),
            Err(cause) => Err(self.failed(cause)),
        }
    }

    /// Runs fixed statements without parameters, several if separated by semicolons, and keeps none of them prepared.
    pub(in crate::store) async fn run(&mut self, text: impl Into<Arc<str>>) -> Result<(), Error> {
        self.execute(&Sql::new(text).uncached()).await.map(drop)
    }

    /// Whether a query was given up before its end.
    pub(super) fn is_interrupted(&self) -> bool {
        self.in_flight
    }

    /// Stops what still runs and waits until the connection is idle. Without it, the next user would wait for the rest.
    pub(super) async fn settle(&mut self) -> Result<(), Error> {
        self.limit.stop();
        let idle = self.raw.ping().await;
        self.limit.lift();
        self.in_flight = false;
        idle.map_err(Error::from_sqlx)
    }

    /// Takes notice of changed tables: the columns that the driver keeps with prepared statements are stale, and it does
    /// not survive a row with more columns than it knows of.
    pub(super) async fn tables_changed(&mut self) -> Result<(), Error> {
        self.raw
            .clear_cached_statements()
            .await
            .map_err(Error::from_sqlx)?;
        // Any look at the file makes SQLite read the definitions again.
        self.control("SELECT 1 FROM sqlite_schema LIMIT 1")
            .await
            .map_err(Error::from_sqlx)
    }

    /// Whether the connection belongs to the writer.
    pub(super) fn is_writer(&self) -> bool {
        self.state != State::Automatic
    }

    /// Whether the thread of the connection is gone; nothing can be done with it.
    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }

    pub(super) async fn close(self) -> Result<(), Error> {
        self.raw.close().await.map_err(Error::from_sqlx)
    }

    /// The text to send, with what has to go before it, and its values.
    async fn prepare(&mut self, sql: &Sql) -> Result<(Arc<str>, SqliteArguments), Error> {
        let mut values = SqliteArguments::default();
        add_arguments(&mut values, &sql.args)?;
        self.flush().await?;
        self.check_transaction().await;
        match self.state {
            State::Lost => return Err(Error::Abandoned),
            State::Unopened => self.begin().await?,
            State::Automatic | State::Open => {}
        }
        // From here to the sending of the statement nothing waits: the state and the connection agree.
        let text = if self.must_renew(self.job) {
            [RENEW, &sql.text].concat().into()
        } else {
            Arc::clone(&sql.text)
        };
        if self.state == State::Open {
            self.owner = Some(self.job);
        }
        Ok((text, values))
    }

    /// Whether the savepoint holds what another job did.
    fn must_renew(&self, job: usize) -> bool {
        self.state == State::Open && self.owner.is_some_and(|owner| owner != job)
    }
}

/// Transaction control, for the writer.
impl Conn {
    /// Makes the next statement open a write transaction.
    pub(super) fn start_transactions(&mut self) {
        self.state = State::Unopened;
    }

    /// Makes each statement its own transaction again.
    pub(super) fn stop_transactions(&mut self) {
        self.state = State::Automatic;
    }

    /// Whether SQLite ended the transaction by itself.
    pub(super) fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    async fn begin(&mut self) -> Result<(), Error> {
        let mut attempt = 1;
        loop {
            match self.control(BEGIN).await {
                Ok(()) => {
                    self.state = State::Open;
                    self.owner = None;
                    return Ok(());
                }
                Err(cause) if error::is_busy(&cause) && attempt < BEGIN_ATTEMPTS => attempt += 1,
                Err(cause) => return Err(self.failed(cause)),
            }
        }
    }

    /// Names the job whose statements come next.
    pub(super) fn start_job(&mut self, job: usize) {
        self.job = job;
    }

    /// Ends a job: what it did stays in the transaction, or is undone.
    ///
    /// # Errors
    /// [`Error::Abandoned`] when the whole transaction is gone, with all jobs before in it.
    pub(super) async fn end_job(&mut self, keep: bool) -> Result<(), Error> {
        if keep {
            self.check_transaction().await;
        } else {
            self.later.forget(self.job);
        }
        self.suspect = false;
        if self.state == State::Lost {
            return Err(Error::Abandoned);
        }
        if !keep && self.owner == Some(self.job) {
            self.undo_job().await?;
        }
        Ok(())
    }

    /// Empties the savepoint.
    async fn undo_job(&mut self) -> Result<(), Error> {
        self.owner = None;
        self.control("ROLLBACK TO job").await.map_err(|_| {
            self.state = State::Lost;
            Error::Abandoned
        })
    }

    /// Commits what the jobs did. The next statement opens a new transaction, whether this succeeds or not.
    pub(super) async fn commit(&mut self) -> Result<(), Error> {
        // The last job is over: nothing is to be returned to it.
        self.job = usize::MAX;
        let flushed = self.flush().await;
        let state = std::mem::replace(&mut self.state, State::Unopened);
        self.owner = None;
        match state {
            State::Unopened | State::Automatic => flushed,
            State::Lost => Err(Error::Abandoned),
            State::Open => {
                let result = self.control("COMMIT").await;
                if let Err(cause) = result {
                    // Fails when COMMIT itself has ended the transaction; then there is nothing left to undo.
                    let _ = self.control("ROLLBACK").await;
                    return Err(self.failed(cause));
                }
                Ok(())
            }
        }
    }

    /// Opens, keeps or undoes a savepoint inside a job.
    pub(super) async fn savepoint(&mut self, action: &str, depth: u32) -> Result<(), Error> {
        self.run(format!("{action} nested{depth}")).await
    }

    /// Runs a statement of transaction control, whatever the state.
    async fn control(&mut self, text: &'static str) -> Result<(), sqlx::Error> {
        sqlx::query(text).execute(&mut self.raw).await.map(drop)
    }

    /// After an error inside a transaction: SQLite may have ended all of it, as on a full disk or by `OR ROLLBACK`.
    /// Anything that ran then would be committed at once, on its own.
    async fn check_transaction(&mut self) {
        // BEGIN succeeds only outside a transaction.
        if std::mem::take(&mut self.suspect) && self.control("BEGIN").await.is_ok() {
            let _ = self.control("ROLLBACK").await;
            self.state = State::Lost;
        }
    }

    fn failed(&mut self, cause: sqlx::Error) -> Error {
        self.suspect = self.state == State::Open;
        self.dead |= matches!(cause, sqlx::Error::WorkerCrashed);
        Error::from_sqlx(cause)
    }
}

/// Adds values to those of a statement.
fn add_arguments(arguments: &mut SqliteArguments, values: &[Value]) -> Result<(), Error> {
    arguments.reserve(values.len(), 0);
    for value in values {
        match value {
            Value::Null => arguments.add(None::<String>),
            Value::Bool(value) => arguments.add(*value),
            Value::Number(value) => arguments.add(*value),
            Value::Text(text) | Value::Json(text) => arguments.add(text.clone()),
            Value::List(_) | Value::Geo(_) => {
                let mut json = Vec::new();
                value.write_json(&mut json);
                arguments.add(String::from_utf8(json).unwrap_or_default())
            }
        }
        .map_err(|cause| Error::from_sqlx(sqlx::Error::Encode(cause)))?;
    }
    Ok(())
}

/// Runs all statements of a text; gives the changes of the last. (SAVEPOINT and the like repeat the count of the
/// statement before them, so that a sum would be wrong.)
async fn last_change<'q>(
    raw: &mut SqliteConnection,
    query: impl Execute<'q, sqlx::Sqlite> + 'q,
) -> Result<u64, sqlx::Error> {
    let mut changes = None;
    {
        let mut results = raw.fetch_many(query);
        while let Some(result) = results.try_next().await? {
            if let Either::Left(done) = result {
                changes = Some(done.rows_affected());
            }
        }
    }
    match changes {
        Some(changes) => Ok(changes),
        // Either there was nothing to run, or the thread of the connection is gone.
        None => raw.ping().await.map(|()| 0),
    }
}

/// The rows of all statements of a text. A connection whose thread died ends the stream early, without an error.
async fn all_rows<'q>(
    raw: &mut SqliteConnection,
    query: impl Execute<'q, sqlx::Sqlite> + 'q,
) -> Result<Vec<SqliteRow>, sqlx::Error> {
    let mut results = raw.fetch_many(query);
    let mut rows = Vec::new();
    let mut ended = false;
    while let Some(result) = results.try_next().await? {
        match result {
            Either::Right(row) => rows.push(row),
            Either::Left(_) => ended = true,
        }
    }
    if ended {
        Ok(rows)
    } else {
        Err(sqlx::Error::WorkerCrashed)
    }
}
