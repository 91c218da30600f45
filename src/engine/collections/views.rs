//! Views: their fields come from their query, and follow the collections it reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use serde_json::Value as Json;

use crate::base::code::BODY_INVALID;
use crate::engine::checks::{blank, bytes_between};
use crate::engine::{Engine, Error};
use crate::model::field::SettingsContext;
use crate::model::{Collection, CollectionKind, Field, FieldErrors, Record, Schema};
use crate::store::{Conn, Tx, views};

/// Rows that a dry run shows.
const SAMPLE_ROWS: u64 = 10;
/// The longest query a dry run takes, in bytes, as in PocketBase.
const QUERY_BYTES_MAX: usize = 5000;

/// What a view of a query would hold.
#[derive(Debug)]
pub struct DryRun {
    pub fields: Vec<Field>,
    /// Up to ten rows.
    pub sample: Vec<Record>,
}

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
        sample(&mut conn, &self.schema(), query)
            .await
            .map_err(|error| match error {
                Error::BadRequest(reason) => Error::bad_request(format!(
                    "Invalid view query. Raw error: \n{reason}"
                )),
                other => other,
            })
    }
}

/// The fields of a view with this query.
///
/// # Errors
/// `BadRequest` with what the database, or the reading of the query, says.
pub(super) async fn fields(
    conn: &mut Conn,
    schema: &Schema,
    query: &str,
) -> Result<Vec<Field>, Error> {
    Ok(views::fields(conn, schema, query).await?)
}

/// Tries a query: fields with valid settings, and rows with ids of their own.
///
/// # Errors
/// `BadRequest` with the reason.
pub(super) async fn sample(
    conn: &mut Conn,
    schema: &Schema,
    query: &str,
) -> Result<DryRun, Error> {
    let fields = fields(conn, schema, query).await?;
    let mut view = Collection::new(CollectionKind::View, "temp_view");
    view.set_fields(fields.clone());
    for (index, field) in fields.iter().enumerate() {
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
    let sample = views::sample(conn, &Arc::new(view), query, SAMPLE_ROWS).await?;
    // No proof, but most mistakes show in the first rows.
    let mut ids: Vec<&str> = sample.iter().map(Record::id).collect();
    if ids.contains(&"") {
        return Err(Error::bad_request(
            "the query could return records with empty or invalid ids",
        ));
    }
    ids.sort_unstable();
    let total = ids.len();
    ids.dedup();
    if ids.len() < total {
        return Err(Error::bad_request(
            "the query could return records with non-unique ids",
        ));
    }
    Ok(DryRun { fields, sample })
}

/// Makes the view of a collection anew and takes over its fields.
pub(super) async fn save(
    tx: &mut Tx,
    original: Option<&Collection>,
    collection: &mut Collection,
) -> Result<(), Error> {
    let schema = Arc::clone(tx.schema());
    let fields = fields(tx, &schema, &collection.view_query).await?;
    if let Some(original) = original {
        views::drop_view(tx, &original.name).await?;
    }
    views::save(tx, &collection.name, &collection.view_query).await?;
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
        let mut views: Vec<Arc<Collection>> = tx
            .schema()
            .iter()
            .filter(|collection| collection.is_view() && collection.id != cause)
            .cloned()
            .collect();
        views.sort_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
        let mut outcome = Ok(());
        for view in views {
            let name = view.name.clone();
            let engine = engine.clone();
            let followed = tx
                .savepoint(move |tx| Box::pin(async move { follow_one(&engine, tx, view).await }))
                .await;
            if let (Err(error), true) = (followed, outcome.is_ok()) {
                outcome = Err(Error::bad_request(format!("[{name}] {error}")));
            }
        }
        outcome
    })
}

async fn follow_one(engine: &Engine, tx: &mut Tx, view: Arc<Collection>) -> Result<(), Error> {
    let schema = Arc::clone(tx.schema());
    let fields = fields(tx, &schema, &view.view_query).await?;
    if same_shape(&fields, view.fields()) {
        return Ok(());
    }
    let draft = Collection::clone(&view);
    engine
        .save_collection_in(tx, draft, Some(view), true)
        .await
        .map(drop)
}

/// Whether fields are alike but for their ids, which are made anew each time.
fn same_shape(new: &[Field], old: &[Field]) -> bool {
    new.len() == old.len()
        && new.iter().zip(old).all(|(new, old)| {
            let new = Field {
                id: old.id.clone(),
                ..new.clone()
            };
            new == *old
        })
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
