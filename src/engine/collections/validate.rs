//! What the model has to know from elsewhere to validate a collection.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::hooks::CollectionEvent;
use super::views::{SAMPLE_ROWS, sample};
use crate::engine::Error;
use crate::engine::auth::providers;
use crate::model::{Collection, Schema, SchemaFacts};
use crate::store::search::{Compiler, Scope};
use crate::store::{self, Tx, catalog, views};

/// Validates the collection of an event against the transaction.
pub(super) async fn run(event: &mut CollectionEvent<'_>) -> Result<(), Error> {
    let original = event.original.clone();
    if event.collection.is_view() {
        // What a client sends as the fields of a view does not count.
        let schema = Arc::clone(event.tx.schema());
        let fields = views::infer_fields(event.tx, &schema, &event.collection.view_query).await;
        event.collection.set_fields(fields.unwrap_or_default());
    }
    check(event.tx, &event.collection, original.as_deref()).await
}

/// Validates a collection as it is.
///
/// # Errors
/// `Validation` by member.
pub(super) async fn check(
    tx: &mut Tx,
    collection: &Collection,
    original: Option<&Collection>,
) -> Result<(), Error> {
    let facts = Facts::gather(tx, collection).await?;
    collection.validate(original, &facts)?;
    Ok(())
}

struct Facts {
    schema: Arc<Schema>,
    /// In lower case.
    tables: HashSet<String>,
    /// The table of each index, by the index's name in lower case.
    indexes: HashMap<String, String>,
    /// The outcome of trying the collection's view query.
    view_query: Result<(), String>,
    /// Apart from the engine's: what is compiled for a collection that is not stored must not stay.
    compiler: Compiler,
    collection: Arc<Collection>,
}

impl Facts {
    async fn gather(tx: &mut Tx, collection: &Collection) -> Result<Self, Error> {
        let schema = Arc::clone(tx.schema());
        let catalog = catalog::read(tx).await?;
        let view_query = if collection.is_view() && !collection.view_query.is_empty() {
            sample(tx, &schema, &collection.view_query, SAMPLE_ROWS)
                .await
                .map(drop)
                .map_err(|error| error.to_string())
        } else {
            Ok(())
        };
        Ok(Self {
            schema,
            tables: catalog
                .tables
                .into_iter()
                .map(|name| name.to_lowercase())
                .collect(),
            indexes: catalog
                .indexes
                .into_iter()
                .map(|(name, table)| (name.to_lowercase(), table))
                .collect(),
            view_query,
            compiler: Compiler::default(),
            collection: Arc::new(collection.clone()),
        })
    }
}

impl SchemaFacts for Facts {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn has_table(&self, name: &str) -> bool {
        self.tables.contains(&name.to_lowercase())
    }

    fn index_table(&self, index: &str) -> Option<String> {
        self.indexes.get(&index.to_lowercase()).cloned()
    }

    fn check_rule(&self, _: &Collection, rule: &str) -> Result<(), String> {
        let scope = Scope {
            schema: &self.schema,
            collection: &self.collection,
            request: None,
            allow_hidden: true,
        };
        self.compiler
            .compile(rule, &scope)
            .map(drop)
            .map_err(|error| match error {
                store::Error::Filter(reason) => reason,
                other => other.to_string(),
            })
    }

    fn check_view_query(&self, _: &str) -> Result<(), String> {
        self.view_query.clone()
    }

    fn has_provider(&self, name: &str) -> bool {
        providers::find(name).is_some()
    }
}
