//! What the writes of all modules share.

use futures_util::future::BoxFuture;

use crate::engine::{Engine, Error, RequestInfo};
use crate::model::Record;
use crate::store::Tx;

/// The priority of modules' record hooks: scripts see what modules have filled in.
pub(super) const AHEAD_OF_SCRIPTS: i32 = -2_000;

/// The id of the caller, if it is a record of `users`.
pub(super) fn owner_of(request: &RequestInfo) -> Option<&str> {
    let auth = request.auth.as_ref()?;
    (auth.collection().name == "users").then(|| auth.id())
}

/// Puts fields back that no update of a client's changes.
pub(super) fn keep(record: &mut Record, fields: &[&str]) {
    for field in fields {
        if let Some(value) = record.original(field).cloned() {
            record.set(field, value);
        }
    }
}

/// Runs an operation in the caller's transaction or, without one, in one of its own.
///
/// # Errors
/// Those of the operation.
pub(super) async fn within<T, E>(
    engine: &Engine,
    tx: Option<&mut Tx>,
    work: impl for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
) -> Result<T, Error>
where
    T: Send + 'static,
    E: Send + 'static,
    Error: From<E>,
{
    match tx {
        Some(tx) => Ok(work(tx).await?),
        None => {
            engine
                .store()
                .write(move |tx| Box::pin(async move { work(tx).await.map_err(Error::from) }))
                .await
        }
    }
}
