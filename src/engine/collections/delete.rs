//! Deleting collections, and deleting all records of one.

use std::sync::Arc;

use super::hooks::CollectionEvent;
use super::{save, views};
use crate::engine::files;
use crate::engine::hooks::Op;
use crate::engine::{Engine, Error};
use crate::model::{Collection, Schema};
use crate::store::records::{self, ListQuery};
use crate::store::search::{Condition, Sort};
use crate::store::{Tx, collections, tables};

/// Records that a truncation reads at once.
const BATCH: u64 = 500;

/// Collections whose records name the collection that they belong to in `collectionRef`.
const DEPENDENTS: [&str; 4] = ["_externalAuths", "_mfas", "_otps", "_authOrigins"];

impl Engine {
    /// Deletes a collection with its records and files.
    ///
    /// # Errors
    /// `NotFound`; `BadRequest` for system collections, and while relations or views refer to it.
    pub async fn delete_collection(&self, id_or_name: &str) -> Result<(), Error> {
        let engine = self.clone();
        let id_or_name = id_or_name.to_owned();
        self.store()
            .write_exclusive(move |tx| {
                Box::pin(async move {
                    let schema = Arc::clone(tx.schema());
                    let collection = find(tx, &id_or_name)?;
                    let deleted = engine
                        .delete_collection_in(tx, Arc::clone(&collection), true)
                        .await;
                    // Who refers to it is asked in the state before the attempt.
                    deleted.map_err(|error| explain(&schema, &collection, error))
                })
            })
            .await
    }

    /// Deletes a collection inside a transaction; an unchecked delete does not ask who refers to it.
    ///
    /// # Errors
    /// `BadRequest` with the reason.
    pub async fn delete_collection_in(
        &self,
        tx: &mut Tx,
        collection: Arc<Collection>,
        checked: bool,
    ) -> Result<(), Error> {
        let event = CollectionEvent {
            engine: self.clone(),
            tx,
            op: Op::Delete,
            collection: Collection::clone(&collection),
            original: Some(collection),
            checked,
        };
        save::run(event).await.map(drop)
    }

    /// Deletes all records of a collection one by one, with what cascades from them, in one transaction.
    ///
    /// # Errors
    /// `NotFound`; `BadRequest` for views and when a required reference holds a record.
    pub async fn truncate_collection(&self, id_or_name: &str) -> Result<(), Error> {
        let engine = self.clone();
        let id_or_name = id_or_name.to_owned();
        self.store()
            .write_exclusive(move |tx| {
                Box::pin(async move {
                    let collection = find(tx, &id_or_name)?;
                    engine.truncate_in(tx, &collection).await.map_err(|error| match error {
                        Error::BadRequest(text) if collection.is_view() => Error::BadRequest(text),
                        Error::BadRequest(_) | Error::Validation { .. } => Error::bad_request(
                            "Failed to truncate collection (most likely due to required cascade delete record references).",
                        ),
                        other => other,
                    })
                })
            })
            .await
    }

    /// Deletes all records of a collection one by one inside a transaction, with what cascades from them.
    ///
    /// # Errors
    /// `BadRequest` for views and when a required reference holds a record.
    pub async fn truncate_in(
        &self,
        tx: &mut Tx,
        collection: &Arc<Collection>,
    ) -> Result<(), Error> {
        if collection.is_view() {
            return Err(Error::bad_request(
                "View collections cannot be truncated since they don't store their own records.",
            ));
        }
        let query = ListQuery {
            collection,
            condition: &Condition::Always,
            sort: &Sort::default(),
            limit: BATCH,
            offset: 0,
        };
        loop {
            let batch = records::list(tx, &query).await?;
            if batch.is_empty() {
                return Ok(());
            }
            for record in batch {
                // A cascade may have deleted it meanwhile.
                let ids = [record.id()];
                if !records::exists_ids(tx, collection, &ids).await?.is_empty() {
                    self.delete_in(tx, record, None).await?;
                }
            }
        }
    }
}

/// Finds a collection in the transaction's schema.
pub(super) fn find(tx: &Tx, id_or_name: &str) -> Result<Arc<Collection>, Error> {
    tx.schema()
        .find(id_or_name)
        .cloned()
        .ok_or_else(Error::not_found)
}

/// What clients read when a delete is refused: never the reason itself, but who refers to the collection.
fn explain(schema: &Schema, collection: &Collection, error: Error) -> Error {
    if !matches!(error, Error::BadRequest(_) | Error::Validation { .. }) {
        return error;
    }
    tracing::debug!(collection.name = collection.name, error = %error, "a collection is not deleted");
    let mut message = "Failed to delete collection".to_owned();
    let names = referring(schema, collection);
    if !names.is_empty() {
        message.push_str(" probably due to existing reference in ");
        message.push_str(&names.join(", "));
    }
    Error::bad_request(message)
}

/// The names of other collections with relations to this one.
fn referring(schema: &Schema, collection: &Collection) -> Vec<String> {
    let refers = |other: &Collection| {
        other.fields().iter().any(|field| {
            field
                .as_relation()
                .is_some_and(|relation| relation.collection_id == collection.id)
        })
    };
    let mut names: Vec<String> = schema
        .iter()
        .filter(|other| other.id != collection.id && refers(other))
        .map(|other| other.name.clone())
        .collect();
    names.sort();
    names
}

/// The stage's own work: the table or view, the row, and what is kept elsewhere about the collection.
pub(super) async fn execute(event: &mut CollectionEvent<'_>) -> Result<(), Error> {
    let CollectionEvent {
        engine,
        tx,
        collection,
        checked,
        ..
    } = event;
    let name = &collection.name;
    if collection.system {
        return Err(Error::bad_request(format!(
            "[{name}] system collections cannot be deleted"
        )));
    }
    if *checked {
        let names = referring(tx.schema(), collection);
        if !names.is_empty() {
            return Err(Error::bad_request(format!(
                "[{name}] failed to delete due to existing relation references: {}",
                names.join(", ")
            )));
        }
    }
    if collection.is_view() {
        crate::store::views::remove(tx, name).await?;
    } else {
        tables::remove(tx, name).await?;
    }
    collections::delete(tx, &collection.id).await?;
    views::publish(tx, |all| {
        all.retain(|other| other.id != collection.id);
    });
    if *checked {
        views::follow(engine, tx, &collection.id)
            .await
            .map_err(|error| {
                Error::bad_request(format!(
                    "[{name}] failed to delete due to existing view dependency: {error}"
                ))
            })?;
    }
    if collection.is_auth() {
        delete_dependents(engine, tx, &collection.id).await?;
    }
    let has_files = collection
        .fields()
        .iter()
        .any(|field| field.as_file().is_some());
    if has_files && !collection.is_view() {
        files::remove_folder_after_commit(engine, tx, format!("{}/", collection.id));
    }
    Ok(())
}

/// External identities, second factors, one-time passwords and known devices of all the collection's records.
async fn delete_dependents(engine: &Engine, tx: &mut Tx, id: &str) -> Result<(), Error> {
    for name in DEPENDENTS {
        let Some(dependents) = tx.schema().find(name).cloned() else {
            continue;
        };
        let found =
            records::find_all_by_fields(tx, &dependents, &[("collectionRef", id.into())]).await?;
        for record in found {
            engine.delete_in(tx, record, None).await?;
        }
    }
    Ok(())
}
