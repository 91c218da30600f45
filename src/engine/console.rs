//! SQL from superusers and scripts.

use serde_json::{Map, Value as Json};

use super::{Engine, Error, Link};
use crate::store::Tx;
use crate::store::console::Answer;
use crate::store::raw::{self, Statement};

impl Engine {
    /// Runs SQL that a superuser wrote; callers must have made sure of that. No rules, hooks or events: what it changes
    /// of collections and settings is read anew at the next start.
    ///
    /// # Errors
    /// `BadRequest` with SQLite's words.
    pub async fn run_sql(&self, text: &str) -> Result<Answer, Error> {
        let result = self.store().run_console(text).await;
        // A text that failed may have committed a part of itself.
        if result.as_ref().map_or(true, |answer| answer.wrote) {
            self.auth_cache().clear();
        }
        Ok(result?)
    }

    /// The rows of a statement that reads, as objects by column name.
    ///
    /// # Errors
    /// `BadRequest` with SQLite's words, also for a statement that writes.
    pub async fn query_sql(
        &self,
        link: &mut Link<'_>,
        statement: &Statement,
    ) -> Result<Vec<Map<String, Json>>, Error> {
        let mut conn = link.conn().await?;
        Ok(raw::query(&mut conn, statement).await?)
    }

    /// Runs a statement inside a transaction; gives the number of rows it changed. No rules, hooks or events.
    ///
    /// # Errors
    /// `BadRequest` with SQLite's words.
    pub async fn execute_sql(&self, tx: &mut Tx, statement: &Statement) -> Result<u64, Error> {
        let changed = raw::execute(tx, statement).await?;
        let engine = self.clone();
        tx.on_commit(Box::new(move || engine.auth_cache().clear()));
        Ok(changed)
    }
}
