//! The write transaction as a job sees it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::conn::Conn;
use super::error::Error;
use super::sql::Sql;
use crate::model::Schema;

/// Something to do once the transaction is durable, such as publishing its events. Runs on the writer's thread: it must
/// hand longer work to somebody else.
pub type AfterCommit = Box<dyn FnOnce() + Send>;

/// Work that the caller of [`super::Store::write`] waits for after the transaction has ended. It may use the store.
pub type Aftermath = BoxFuture<'static, ()>;

/// Why work that followed a commit failed. What was committed stays.
pub type Failure = Arc<dyn std::error::Error + Send + Sync>;

/// Work as the writer hands it on.
pub(super) type Task = BoxFuture<'static, Option<Failure>>;

fn task(work: Aftermath) -> Task {
    Box::pin(async move {
        work.await;
        None
    })
}

/// Gives the work that follows an undoing. Runs on the writer's thread.
pub type AfterRollback = Box<dyn FnOnce() -> Aftermath + Send>;

/// What a job leaves to be awaited after its end.
enum Pending {
    /// When the job is kept.
    Commit(Task),
    /// When the savepoint it was registered in, or the whole job, is undone.
    Rollback(AfterRollback),
    /// However the job ends.
    End(Aftermath),
}

/// A write transaction. Reads see what the job wrote; queries are those of [`Conn`].
///
/// Several jobs may share one transaction of the database, each in a savepoint of its own; a job notices nothing of it.
pub struct Tx {
    conn: Conn,
    schema: Arc<Schema>,
    /// What `schema` was before the job changed it.
    schema_before: Option<Arc<Schema>>,
    after_commit: Vec<AfterCommit>,
    pending: Vec<Pending>,
    /// Tables were changed by hand; other connections must learn of it.
    tables_touched: bool,
    depth: u32,
    /// A savepoint was left half-way: nobody knows what of it was done.
    abandoned: bool,
}

impl Tx {
    pub(super) fn new(conn: Conn, schema: Arc<Schema>) -> Self {
        Self {
            conn,
            schema,
            schema_before: None,
            after_commit: Vec::new(),
            pending: Vec::new(),
            tables_touched: false,
            depth: 0,
            abandoned: false,
        }
    }

    /// The collections as this transaction has them.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Replaces the collections: for the rest of this transaction, and for everybody once it is committed. No other job
    /// joins the transaction after one that did this.
    pub fn set_schema(&mut self, schema: Arc<Schema>) {
        let before = std::mem::replace(&mut self.schema, schema);
        self.schema_before.get_or_insert(before);
    }

    /// Registers something to do after the commit, before the caller gets its answer. Dropped when the transaction, or the
    /// savepoint it was registered in, is rolled back.
    pub fn on_commit(&mut self, action: AfterCommit) {
        self.after_commit.push(action);
    }

    /// Registers work that the job's caller waits for after the commit, before it gets its result; in the order of
    /// registration. The writer does not wait for it. Dropped when the transaction, or the savepoint it was registered
    /// in, is rolled back.
    pub fn after_commit(&mut self, work: Aftermath) {
        self.pending.push(Pending::Commit(task(work)));
    }

    /// As [`Tx::after_commit`], for work that may fail: the job's caller then gets the failure in place of the job's result,
    /// though all of the job is committed.
    pub fn after_commit_or_fail(&mut self, work: BoxFuture<'static, Result<(), Failure>>) {
        let work = Box::pin(async move { work.await.err() });
        self.pending.push(Pending::Commit(work));
    }

    /// Registers work for the case that the transaction, or the savepoint this is called in, is rolled back. The job's
    /// caller waits for it when the job has ended.
    pub fn after_rollback(&mut self, work: AfterRollback) {
        self.pending.push(Pending::Rollback(work));
    }

    /// Registers work that the job's caller waits for when the job has ended, whatever came of it or of the savepoint
    /// this is called in.
    pub fn after_end(&mut self, work: Aftermath) {
        self.pending.push(Pending::End(work));
    }

    /// Leaves a statement to be done after the job and before the commit, together with those of other jobs; cheaper than
    /// [`Conn::execute`] by two thread switches. If it fails, the job is undone and its caller gets the error in place of
    /// the job's result. Anything else that the job runs comes after it. Inside a savepoint it runs at once.
    ///
    /// # Errors
    /// Of the statement, when it runs at once.
    pub(in crate::store) async fn execute_later(&mut self, sql: Sql) -> Result<(), Error> {
        if self.depth > 0 {
            return self.conn.execute(&sql).await.map(drop);
        }
        self.conn.do_later(sql);
        Ok(())
    }

    /// Runs a part that is undone alone when it fails: its writes, its schema change and its `on_commit` actions.
    ///
    /// The returned future must be driven to its end; dropping it half-way rolls the whole job back.
    ///
    /// # Errors
    /// The error of `part`, or of the database when the savepoint itself fails.
    pub async fn savepoint<T, E, F>(&mut self, part: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Self) -> BoxFuture<'t, Result<T, E>>,
        E: From<Error>,
    {
        let depth = self.depth + 1;
        let schema = (Arc::clone(&self.schema), self.schema_before.clone());
        let (actions, pending) = (self.after_commit.len(), self.pending.len());
        self.conn.savepoint("SAVEPOINT", depth).await?;
        self.depth = depth;
        self.abandoned = true;
        let result = part(self).await;
        if result.is_err() {
            self.conn.savepoint("ROLLBACK TO", depth).await?;
            (self.schema, self.schema_before) = schema;
            self.after_commit.truncate(actions);
            let undone = self.pending.split_off(pending);
            self.pending
                .extend(undone.into_iter().filter_map(Pending::undone));
        }
        self.conn.savepoint("RELEASE", depth).await?;
        self.depth = depth - 1;
        self.abandoned = false;
        result
    }

    /// Lets everybody take notice of tables that a statement has changed: what was prepared for them is stale.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn tables_touched(&mut self) -> Result<(), Error> {
        self.tables_touched = true;
        self.conn.tables_changed().await
    }

    /// Whether tables were changed by hand since the last time.
    pub(super) fn take_tables_touched(&mut self) -> bool {
        std::mem::take(&mut self.tables_touched)
    }

    /// Takes what the job left to be awaited.
    pub(super) fn take_aftermath(&mut self) -> JobAftermath {
        JobAftermath(std::mem::take(&mut self.pending))
    }

    /// Ends a job; gives its actions when it is kept.
    pub(super) async fn end_job(&mut self, keep: bool) -> Result<Vec<AfterCommit>, Error> {
        let actions = std::mem::take(&mut self.after_commit);
        let abandoned = std::mem::take(&mut self.abandoned);
        self.depth = 0;
        if keep && self.schema_before.is_some() {
            // A schema is published with the commit: its job must not fail after its end.
            self.conn.flush().await?;
        }
        if (!keep || abandoned)
            && let Some(before) = self.schema_before.take()
        {
            self.schema = before;
        }
        self.conn.end_job(keep && !abandoned).await?;
        if keep && abandoned {
            return Err(Error::Abandoned);
        }
        Ok(actions)
    }

    pub(super) fn schema_changed(&self) -> bool {
        self.schema_before.is_some()
    }

    /// Sets the collections to start the next transaction with.
    pub(super) fn reset_schema(&mut self, schema: Arc<Schema>) {
        self.schema = schema;
        self.schema_before = None;
    }

    pub(super) fn into_conn(self) -> Conn {
        self.conn
    }
}

impl Pending {
    /// What is left of it when its part of the job was undone.
    fn undone(self) -> Option<Self> {
        match self {
            Self::Commit(_) => None,
            Self::Rollback(work) => Some(Self::End(work())),
            Self::End(work) => Some(Self::End(work)),
        }
    }
}

/// What a job left to be awaited, while it is not known yet whether the job counts.
pub(super) struct JobAftermath(Vec<Pending>);

impl JobAftermath {
    /// The work that follows.
    pub(super) fn of(self, kept: bool) -> Vec<Task> {
        let follows = self.0.into_iter().filter_map(|pending| match pending {
            Pending::Commit(work) => kept.then_some(work),
            Pending::Rollback(work) => (!kept).then(|| task(work())),
            Pending::End(work) => Some(task(work)),
        });
        follows.collect()
    }
}

impl Deref for Tx {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}
