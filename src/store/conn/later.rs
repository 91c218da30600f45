//! Statements whose outcome their job does not wait for.
//!
//! Most jobs end with one INSERT. Waiting for it costs two thread switches, more than the INSERT itself; so such statements
//! are collected and those of many jobs go to the connection together, at the latest before the commit. The job's caller
//! still learns of a failure: it gets its answer after the commit only.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Either, Executor};

use super::{Conn, RENEW, RENEW_STATEMENTS, State, add_arguments};
use crate::store::error::Error;
use crate::store::sql::Sql;

/// How many equal statements go together: few sizes, so that few texts are kept prepared.
const RUNS: [usize; 3] = [16, 4, 1];

/// Texts of repeated statements that are remembered.
const TEXTS_MAX: usize = 256;

#[derive(Default)]
pub(super) struct Later {
    queue: Vec<Statement>,
    /// Jobs that ended before one of their statements failed, with why.
    failed: Vec<(usize, Error)>,
    texts: HashMap<(Arc<str>, usize), Arc<str>>,
}

struct Statement {
    job: usize,
    sql: Sql,
}

/// How far the statements of one text got.
struct Stopped {
    /// Statements that ran, the renewing ones included.
    done: usize,
    cause: sqlx::Error,
}

impl Later {
    /// Drops what a job left to be done.
    pub(super) fn forget(&mut self, job: usize) {
        self.queue.retain(|statement| statement.job != job);
    }

    /// The statement `count` times, each in a savepoint of its own.
    fn text(&mut self, text: &Arc<str>, count: usize) -> Arc<str> {
        if self.texts.len() >= TEXTS_MAX {
            self.texts.clear();
        }
        let repeated = self
            .texts
            .entry((Arc::clone(text), count))
            .or_insert_with(|| [RENEW, text, ";"].concat().repeat(count).into());
        Arc::clone(repeated)
    }
}

impl Conn {
    /// Leaves a statement to be done after the job, and before anything else that runs on the connection. Its parameters are
    /// plain `?`: it shares a text with others.
    pub(in crate::store) fn do_later(&mut self, sql: Sql) {
        debug_assert!(!sql.text.contains("?1"), "numbered parameters");
        self.later.queue.push(Statement { job: self.job, sql });
    }

    /// Jobs that failed after they ended, with why.
    pub(in crate::store) fn take_failed(&mut self) -> Vec<(usize, Error)> {
        std::mem::take(&mut self.later.failed)
    }

    /// Does what was left to be done. What fails undoes its job, if that is over.
    ///
    /// # Errors
    /// Of a statement that the running job left.
    pub(in crate::store) async fn flush(&mut self) -> Result<(), Error> {
        if self.later.queue.is_empty() {
            return Ok(());
        }
        let queue = std::mem::take(&mut self.later.queue);
        let mut rest = queue.as_slice();
        let mut own = Ok(());
        while let Some(first) = rest.first() {
            if let Err(error) = self.ready().await {
                self.fail_all(rest, &error);
                return Err(error);
            }
            let renew = self.must_renew(first.job);
            let count = if renew { equal_run(rest) } else { 1 };
            let (run, after) = rest.split_at(count);
            match self.send(run, renew).await {
                Ok(()) => {
                    self.owner = run.last().map(|statement| statement.job);
                    rest = after;
                }
                Err(Stopped { done, cause }) => {
                    let each = if renew { RENEW_STATEMENTS + 1 } else { 1 };
                    let failed = run.get(done / each).map_or(first.job, |failed| failed.job);
                    self.owner = Some(failed);
                    let error = self.failed(cause);
                    self.check_transaction().await;
                    if failed == self.job {
                        own = Err(error);
                    } else {
                        self.later.failed.push((failed, error));
                        if self.state == State::Open {
                            // When this fails the transaction is lost, which the next round sees.
                            let _ = self.undo_job().await;
                        }
                    }
                    rest = rest.get(done / each + 1..).unwrap_or_default();
                    while rest.first().is_some_and(|next| next.job == failed) {
                        rest = rest.get(1..).unwrap_or_default();
                    }
                }
            }
        }
        own
    }

    /// Opens the transaction if need be.
    async fn ready(&mut self) -> Result<(), Error> {
        match self.state {
            State::Lost => Err(Error::Abandoned),
            State::Unopened => self.begin().await,
            State::Automatic | State::Open => Ok(()),
        }
    }

    fn fail_all(&mut self, statements: &[Statement], error: &Error) {
        for statement in statements {
            if statement.job != self.job {
                self.later.failed.push((statement.job, error.clone()));
            }
        }
    }

    /// Runs equal statements in one text.
    async fn send(&mut self, run: &[Statement], renew: bool) -> Result<(), Stopped> {
        let Some(first) = run.first() else {
            return Ok(());
        };
        let text = if renew {
            self.later.text(&first.sql.text, run.len())
        } else {
            Arc::clone(&first.sql.text)
        };
        let mut arguments = SqliteArguments::default();
        for (position, statement) in run.iter().enumerate() {
            if add_arguments(&mut arguments, &statement.sql.args).is_err() {
                // Cannot happen: texts and numbers always encode.
                return Err(Stopped {
                    done: position,
                    cause: sqlx::Error::Protocol("a value cannot be bound".to_owned()),
                });
            }
        }
        let mut done = 0;
        let query = sqlx::query_with(AssertSqlSafe(text), arguments);
        let mut results = self.raw.fetch_many(query);
        loop {
            match results.try_next().await {
                Ok(Some(Either::Left(_))) => done += 1,
                Ok(Some(Either::Right(_))) => {}
                Ok(None) if done == 0 => {
                    let cause = sqlx::Error::WorkerCrashed;
                    return Err(Stopped { done, cause });
                }
                Ok(None) => return Ok(()),
                Err(cause) => return Err(Stopped { done, cause }),
            }
        }
    }
}

/// How many statements from the first on have one text and each another job, cut to a size of [`RUNS`].
fn equal_run(statements: &[Statement]) -> usize {
    let Some(first) = statements.first() else {
        return 0;
    };
    let mut count = 1;
    let mut job = first.job;
    for next in statements.iter().skip(1) {
        if next.job == job || next.sql.text != first.sql.text {
            break;
        }
        job = next.job;
        count += 1;
    }
    RUNS.into_iter().find(|run| *run <= count).unwrap_or(1)
}
