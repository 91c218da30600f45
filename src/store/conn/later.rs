//! Statements whose outcome their job does not wait for.
//!
//! Most jobs end with one INSERT. Waiting for it costs two thread switches, more than the INSERT itself; so such statements
//! are collected, and those of many jobs become one INSERT of many rows, at the latest before the commit. The job's caller
//! still learns of a failure: it gets its answer after the commit only.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteArguments;

use super::{Conn, RENEW, State, add_arguments, last_change};
use crate::store::error::Error;
use crate::store::sql::Sql;

/// How many rows go together: few sizes, so that few texts are kept prepared.
const RUNS: [usize; 3] = [16, 4, 1];

/// Texts of combined statements that are remembered.
const TEXTS_MAX: usize = 256;

#[derive(Default)]
pub(super) struct Later {
    queue: Vec<Statement>,
    /// Jobs that ended before one of their statements failed, with why.
    failed: Vec<(usize, Error)>,
    /// By the text for one row and the number of rows; `None` for statements that cannot be combined.
    texts: HashMap<(Arc<str>, usize), Option<Arc<str>>>,
}

struct Statement {
    job: usize,
    sql: Sql,
}

/// Statements that are sent together.
struct Run<'a> {
    statements: &'a [Statement],
    text: Arc<str>,
    /// Each is all that its job does: SQLite undoes it by itself.
    alone: bool,
}

impl Later {
    /// Drops what a job left to be done.
    pub(super) fn forget(&mut self, job: usize) {
        self.queue.retain(|statement| statement.job != job);
    }

    /// The INSERT of `count` rows, if the statement is an INSERT of one row of plain parameters.
    fn text(&mut self, text: &Arc<str>, count: usize) -> Option<Arc<str>> {
        if count == 1 {
            return Some(Arc::clone(text));
        }
        if self.texts.len() >= TEXTS_MAX {
            self.texts.clear();
        }
        self.texts
            .entry((Arc::clone(text), count))
            .or_insert_with(|| combine(text, count).map(Into::into))
            .clone()
    }
}

impl Conn {
    /// Leaves a statement to be done after the job, and before anything else that runs on the connection. Its parameters are
    /// plain `?`: an INSERT may be combined with others.
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
            let run = self.next_run(rest, first);
            let count = run.statements.len();
            let Err(cause) = self.send(&run).await else {
                self.owner = run.statements.last().map(|statement| statement.job);
                rest = rest.get(count..).unwrap_or_default();
                continue;
            };
            let error = self.failed(cause);
            self.check_transaction().await;
            if count > 1 && self.state == State::Open {
                // One of them is to blame: each on its own.
                self.send_each(run.statements).await;
                rest = rest.get(count..).unwrap_or_default();
                continue;
            }
            if first.job == self.job {
                own = Err(error);
            } else {
                self.later.failed.push((first.job, error));
                if !run.alone && self.state == State::Open {
                    self.owner = Some(first.job);
                    // When this fails the transaction is lost, which the next round sees.
                    let _ = self.undo_job().await;
                }
            }
            let more = rest.iter().take_while(|next| next.job == first.job).count();
            rest = rest.get(more..).unwrap_or_default();
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

    /// The statements to send next.
    fn next_run<'a>(&mut self, rest: &'a [Statement], first: &Statement) -> Run<'a> {
        let alone = self.is_alone(rest);
        if alone {
            let equal = self.equal_run(rest);
            for count in RUNS.into_iter().filter(|count| *count <= equal) {
                if let Some(text) = self.later.text(&first.sql.text, count) {
                    return Run {
                        statements: rest.get(..count).unwrap_or(rest),
                        text,
                        alone,
                    };
                }
            }
        }
        let text = if !alone && self.must_renew(first.job) {
            [RENEW, &first.sql.text].concat().into()
        } else {
            Arc::clone(&first.sql.text)
        };
        Run {
            statements: rest.get(..1).unwrap_or(rest),
            text,
            alone,
        }
    }

    /// Whether the first statement is the only one of a job that is over.
    fn is_alone(&self, rest: &[Statement]) -> bool {
        match rest {
            [first, second, ..] if first.job == second.job => false,
            [first, ..] => first.job != self.job && self.owner != Some(first.job),
            [] => false,
        }
    }

    /// How many statements from the first on are equal and each alone.
    fn equal_run(&self, statements: &[Statement]) -> usize {
        let Some(first) = statements.first() else {
            return 0;
        };
        let [most, ..] = RUNS;
        (0..statements.len().min(most))
            .take_while(|at| {
                let rest = statements.get(*at..).unwrap_or_default();
                rest.first()
                    .is_some_and(|next| next.sql.text == first.sql.text)
                    && self.is_alone(rest)
            })
            .count()
    }

    /// Runs statements that are each alone in their job one by one.
    async fn send_each(&mut self, statements: &[Statement]) {
        for statement in statements {
            let run = Run {
                statements: std::slice::from_ref(statement),
                text: Arc::clone(&statement.sql.text),
                alone: true,
            };
            match self.send(&run).await {
                Ok(()) => self.owner = Some(statement.job),
                Err(cause) => {
                    let error = self.failed(cause);
                    self.later.failed.push((statement.job, error));
                    self.check_transaction().await;
                    if self.state != State::Open {
                        // Lost with everything in it, which the commit reports.
                        return;
                    }
                }
            }
        }
    }

    async fn send(&mut self, run: &Run<'_>) -> Result<(), sqlx::Error> {
        let mut arguments = SqliteArguments::default();
        for statement in run.statements {
            add_arguments(&mut arguments, &statement.sql.args)
                .map_err(|_| sqlx::Error::Protocol("a value cannot be bound".to_owned()))?;
        }
        let query = sqlx::query_with(AssertSqlSafe(Arc::clone(&run.text)), arguments);
        last_change(&mut self.raw, query).await.map(drop)
    }
}

/// `INSERT INTO t (a, b) VALUES (?, ?)` with the values repeated.
fn combine(text: &str, count: usize) -> Option<String> {
    let (_, row) = text.split_once(" VALUES ")?;
    let plain = text.starts_with("INSERT INTO ")
        && row.starts_with('(')
        && row
            .chars()
            .all(|c| matches!(c, '(' | '?' | ',' | ' ' | ')'));
    plain.then(|| format!("{text}{}", format!(", {row}").repeat(count - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_inserts_are_combined() {
        assert_eq!(
            combine("INSERT INTO `t` (`a`, `b`) VALUES (?, ?)", 3).as_deref(),
            Some("INSERT INTO `t` (`a`, `b`) VALUES (?, ?), (?, ?), (?, ?)")
        );
        for other in [
            "INSERT INTO t (a) VALUES (?) ON CONFLICT DO NOTHING",
            "INSERT INTO t (a) VALUES (lower(?))",
            "UPDATE t SET a = ?",
            "INSERT INTO ` VALUES ` (a) VALUES (?)",
        ] {
            assert_eq!(combine(other, 2), None, "{other}");
        }
    }
}
