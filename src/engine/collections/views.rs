//! Views: their fields come from their query, and follow the collections it reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use serde_json::Value as Json;

use crate::base::code::BODY_INVALID;
use crate::engine::checks::{blank, bytes_between};
use crate::engine::{Engine, Error};
use crate::model::field::SettingsContext;
use crate::model::{Collection, CollectionKind, FieldErrors, Schema};
use crate::store::views::{self, DryRun};
use crate::store::{Conn, Tx};

/// Rows that a dry run shows.
pub(super) const SAMPLE_ROWS: u32 = 10;
/// The longest query a dry run takes, in bytes, as in PocketBase.
const QUERY_BYTES_MAX: usize = 5000;

impl Engine {
    /// Tries a query without storing anything.
    ///
    /// # Errors
    /// `Validation` for an empty or overlong query, `BadRequest` with the reason when it does not make a view.
    pub async fn dry_run_view(&self, query: &str) -> Result<DryRun, Error> {
        let mut errors = FieldErrors::new();
        if query.is_empty() {
            errors.add("query", blank());
        } else if let Some(error) = bytes_between(query, 0, QUERY_BYTES_MAX) {
            errors.add("query", error);
        }
        errors
            .into_result()
            .map_err(|fields| Error::validation(BODY_INVALID, fields))?;
        let mut conn = self.read().await?;
        sample(&mut conn, &self.schema(), query, SAMPLE_ROWS)
            .await
            .map_err(|error| match error {
                Error::BadRequest(reason) => {
                    Error::bad_request(format!("Invalid view query. Raw error: \n{reason}"))
                }
                other => other,
            })
    }
}

impl Engine {
    /// Tries a query in the transaction or connection at hand; gives its fields and up to `rows` records.
    ///
    /// # Errors
    /// `BadRequest` with the reason why it does not make a view.
    pub async fn sample_view(
        &self,
        conn: &mut Conn,
        schema: &Schema,
        query: &str,
        rows: u32,
    ) -> Result<DryRun, Error> {
        sample(conn, schema, query, rows).await
    }
}

/// Tries a query: fields with valid settings, and rows with ids of their own.
///
/// # Errors
/// `BadRequest` with the reason.
pub(super) async fn sample(
    conn: &mut Conn,
    schema: &Schema,
    query: &str,
    rows: u32,
) -> Result<DryRun, Error> {
    let run = views::dry_run(conn, schema, query, rows).await?;
    let mut view = Collection::new(CollectionKind::View, "temp_view");
    view.set_fields(run.fields.clone());
    for (index, field) in run.fields.iter().enumerate() {
        let context = SettingsContext {
            collection: &view,
            original: None,
            schema,
        };
        if let Err(errors) = field.validate_settings(&context) {
            let reason = Json::Object(errors.to_json());
            return Err(Error::bad_request(format!(
                "invalid field {:?} ({index}): {reason}",
                field.name
            )));
        }
    }
    Ok(run)
}

/// Makes the view of a collection anew and takes over its fields.
pub(super) async fn save(
    tx: &mut Tx,
    original: Option<&Collection>,
    collection: &mut Collection,
) -> Result<(), Error> {
    let schema = Arc::clone(tx.schema());
    let old_name = original.map(|original| original.name.as_str());
    let fields = views::sync(tx, &schema, collection, old_name).await?;
    collection.set_fields(fields);
    Ok(())
}

/// Saves those views again whose fields changed with a collection that they read.
///
/// # Errors
/// The first view that cannot follow; the others have.
pub(super) fn follow<'a>(
    engine: &'a Engine,
    tx: &'a mut Tx,
    cause: &'a str,
) -> BoxFuture<'a, Result<(), Error>> {
    Box::pin(async move {
        let schema = Arc::clone(tx.schema());
        let mut outdated = views::outdated(tx, &schema, cause).await?;
        outdated.sort_by(|(a, _), (b, _)| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
        let mut outcome = Ok(());
        for (view, fields) in outdated {
            let name = view.name.clone();
            let followed = match fields {
                Err(error) => Err(error.into()),
                Ok(_) => save_again(engine, tx, view).await,
            };
            if let (Err(error), true) = (followed, outcome.is_ok()) {
                outcome = Err(Error::bad_request(format!("[{name}] {error}")));
            }
        }
        outcome
    })
}

/// Saves a view as it is, which gives it its new fields; a view that fails keeps what it had.
async fn save_again(engine: &Engine, tx: &mut Tx, view: Arc<Collection>) -> Result<(), Error> {
    let engine = engine.clone();
    tx.savepoint(move |tx| {
        Box::pin(async move {
            // Another view that followed may have saved it already.
            let stored = tx.schema().by_id(&view.id).cloned().unwrap_or(view);
            let draft = Collection::clone(&stored);
            engine
                .save_collection_in(tx, draft, Some(stored), true)
                .await
                .map(drop)
        })
    })
    .await
}

/// Changes the collections that the transaction sees, and everybody once it is committed.
pub(super) fn publish(tx: &mut Tx, change: impl FnOnce(&mut Vec<Arc<Collection>>)) {
    /// Never used twice, not even when a transaction is rolled back: compiled filters are kept by version.
    static VERSION: AtomicU64 = AtomicU64::new(0);
    let before = tx.schema();
    let mut all: Vec<Arc<Collection>> = before.iter().cloned().collect();
    change(&mut all);
    VERSION.fetch_max(before.version, Ordering::Relaxed);
    let version = VERSION.fetch_add(1, Ordering::Relaxed) + 1;
    tx.set_schema(Arc::new(Schema::new(version, all)));
}
