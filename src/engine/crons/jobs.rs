//! The jobs every server has, under PocketBase's ids.

use std::sync::Arc;

use super::{Job, Work};
use crate::engine::{Engine, Error};
use crate::model::AuthOptions;
use crate::store::{Tx, logs, records};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

pub(super) fn builtin() -> Vec<Job> {
    let jobs: [(&str, &str, Work); 4] = [
        (
            "__pbDBOptimize__",
            "0 0 * * *",
            Arc::new(|engine| Box::pin(optimize(engine))),
        ),
        (
            "__pbMFACleanup__",
            "0 * * * *",
            Arc::new(|engine| Box::pin(delete_expired_mfas(engine))),
        ),
        (
            "__pbOTPCleanup__",
            "0 * * * *",
            Arc::new(|engine| Box::pin(delete_expired_otps(engine))),
        ),
        (
            "__pbLogsCleanup__",
            "0 */6 * * *",
            Arc::new(|engine| Box::pin(delete_old_logs(engine))),
        ),
    ];
    jobs.into_iter()
        .filter_map(|(id, expression, work)| Job::new(id, expression, work).ok())
        .collect()
}

/// Renews the query planner's statistics and moves the write-ahead logs into the database files.
async fn optimize(engine: Engine) -> Result<(), Error> {
    Ok(engine.store().optimize().await?)
}

impl Engine {
    /// Removes half-done sign-ins with several factors that can no longer be completed.
    ///
    /// # Errors
    /// Those of the database, or what a hook refused.
    pub async fn delete_expired_mfas_in(&self, tx: &mut Tx) -> Result<(), Error> {
        delete_expired(self, tx, "_mfas", |auth| auth.mfa.duration).await
    }

    /// Removes one-time passwords that are too old.
    ///
    /// # Errors
    /// Those of the database, or what a hook refused.
    pub async fn delete_expired_otps_in(&self, tx: &mut Tx) -> Result<(), Error> {
        delete_expired(self, tx, "_otps", |auth| auth.otp.duration).await
    }
}

/// Removes what is older than `duration_s`, its lifetime in a collection.
async fn delete_expired(
    engine: &Engine,
    tx: &mut Tx,
    name: &'static str,
    duration_s: fn(&AuthOptions) -> i64,
) -> Result<(), Error> {
    let schema = Arc::clone(tx.schema());
    let Some(pending) = schema.find(name).cloned() else {
        return Ok(());
    };
    for owner in schema.iter() {
        let Some(auth) = &owner.auth else { continue };
        let oldest = engine.now().add_seconds(-duration_s(auth)).to_string();
        let filter = [("collectionRef", owner.id.as_str().into())];
        for record in records::find_all_by_fields(tx, &pending, &filter).await? {
            if record.text("created") < oldest.as_str() {
                engine.delete_in(tx, record, None).await?;
            }
        }
    }
    Ok(())
}

async fn delete_expired_mfas(engine: Engine) -> Result<(), Error> {
    let store = engine.store().clone();
    store
        .write(move |tx| Box::pin(async move { engine.delete_expired_mfas_in(tx).await }))
        .await
}

async fn delete_expired_otps(engine: Engine) -> Result<(), Error> {
    let store = engine.store().clone();
    store
        .write(move |tx| Box::pin(async move { engine.delete_expired_otps_in(tx).await }))
        .await
}

/// Keeps the log as long as the settings say.
async fn delete_old_logs(engine: Engine) -> Result<(), Error> {
    let days = engine.settings().logs.max_days;
    let until = engine
        .now()
        .add_ms(days.saturating_mul(-DAY_MS))
        .to_string();
    engine
        .store()
        .write_logs(move |tx| {
            Box::pin(async move {
                logs::delete_until(tx, &until).await?;
                Ok(())
            })
        })
        .await
}
