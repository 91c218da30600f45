//! SQL from superusers.

use super::{Engine, Error};
use crate::store::Tx;
use crate::store::console::Answer;

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

    /// Looks anew at who is signed in after the commit: a statement may have changed any account.
    pub fn accounts_touched(&self, tx: &mut Tx) {
        let engine = self.clone();
        tx.on_commit(Box::new(move || engine.auth_cache().clear()));
    }
}
