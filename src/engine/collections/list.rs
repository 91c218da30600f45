//! Listing collections with the filter language.

use std::sync::{Arc, LazyLock};

use serde_json::json;

use crate::engine::events::{Event, Slot, Slots};
use crate::engine::listing::{self, Table};
use crate::engine::records::ListParams;
use crate::engine::{Engine, Error};
use crate::model::Collection;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    Table::new(
        "_collections",
        &[
            ("id", "text"),
            ("created", "date"),
            ("updated", "date"),
            ("name", "text"),
            ("system", "bool"),
            ("type", "text"),
        ],
    )
});

/// One page of collections.
#[derive(Debug)]
pub struct CollectionPage {
    pub page: u64,
    pub per_page: u64,
    /// -1 when not counted.
    pub total_items: i64,
    /// -1 when not counted.
    pub total_pages: i64,
    pub items: Vec<Arc<Collection>>,
}

impl Slots for CollectionPage {
    fn put(&mut self, event: &mut Event) {
        let result = json!({
            "page": self.page,
            "perPage": self.per_page,
            "totalItems": self.total_items,
            "totalPages": self.total_pages,
        });
        event.set("collections", Slot::Collections(self.items.clone()));
        event.set("result", Slot::Json(result));
    }

    fn take(&mut self, event: &mut Event) {
        if let Some(Slot::Collections(collections)) = event.take("collections") {
            self.items = collections;
        }
    }
}

impl Engine {
    /// A page of collections, filtered and sorted by id, created, updated, name, system and type.
    ///
    /// # Errors
    /// `BadRequest` for a filter or sort that does not compile.
    pub async fn list_collections(&self, params: &ListParams) -> Result<CollectionPage, Error> {
        let mut conn = self.store().read().await?;
        let rows = listing::page(self, &mut conn, &TABLE, params).await?;
        let schema = self.schema();
        let items = rows.items.iter();
        Ok(CollectionPage {
            page: rows.page,
            per_page: rows.per_page,
            total_items: rows.total_items,
            total_pages: rows.total_pages,
            items: items
                .filter_map(|row| schema.by_id(row.id()).cloned())
                .collect(),
        })
    }
}
