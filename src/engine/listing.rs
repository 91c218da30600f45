//! Lists of rows that are no records, such as collections and logs, by means of the filter language.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value as Json};

use super::records::ListParams;
use super::{Engine, Error};
use crate::filter::{self, SortKey};
use crate::model::{Collection, CollectionKind, Field, Record, Schema};
use crate::store::Conn;
use crate::store::records::{self, ListQuery};
use crate::store::search::{Condition, Part, Scope, Sort};

/// The longest filter text in bytes, as in PocketBase.
const FILTER_BYTES_MAX: usize = 3500;

/// Filters see the table alone, no collections.
static NO_COLLECTIONS: LazyLock<Schema> = LazyLock::new(Schema::default);

/// A table as the filter language sees it: its columns as fields.
pub(super) struct Table(Arc<Collection>);

impl Table {
    /// A table and the types of its columns; columns that are left out cannot be filtered by.
    pub(super) fn new(name: &str, columns: &[(&str, &str)]) -> Self {
        let fields = columns.iter().filter_map(|(name, kind)| {
            let members = [("id", *name), ("name", *name), ("type", *kind)];
            let members = members.map(|(key, text)| (key.to_owned(), Json::from(text)));
            Field::from_json(&Map::from_iter(members)).ok()
        });
        let mut collection = Collection::with_id(CollectionKind::Base, name, name);
        collection.set_fields(fields.collect());
        Self(Arc::new(collection))
    }

    pub(super) fn collection(&self) -> &Arc<Collection> {
        &self.0
    }

    fn scope(&self) -> Scope<'_> {
        Scope {
            schema: &NO_COLLECTIONS,
            collection: &self.0,
            request: None,
            allow_hidden: false,
        }
    }

    /// The condition that a filter text puts on the rows.
    ///
    /// # Errors
    /// `BadRequest` when it does not compile.
    pub(super) fn condition(&self, engine: &Engine, filter: &str) -> Result<Condition, Error> {
        if filter.is_empty() {
            return Ok(Condition::Always);
        }
        if filter.len() > FILTER_BYTES_MAX {
            return Err(Error::bad_request(""));
        }
        Ok(engine.compiler().compile(filter, &self.scope())?)
    }

    /// The condition and order of a list.
    fn plan(&self, engine: &Engine, params: &ListParams) -> Result<(Condition, Sort), Error> {
        if params.filter.len() > FILTER_BYTES_MAX {
            return Err(Error::bad_request(""));
        }
        let keys = sort_keys(&params.sort)?;
        let part = Part {
            text: &params.filter,
            allow_hidden: true,
        };
        let parts = if params.filter.is_empty() {
            &[][..]
        } else {
            std::slice::from_ref(&part)
        };
        Ok(engine
            .compiler()
            .compile_list(parts, &keys, &self.scope())?)
    }
}

/// Reads sort keys within PocketBase's bounds.
///
/// # Errors
/// `BadRequest` beyond them.
pub(super) fn sort_keys(sort: &str) -> Result<Vec<SortKey>, Error> {
    if sort.is_empty() {
        return Ok(Vec::new());
    }
    let keys = filter::parse_sort(sort);
    let too_long = |key: &SortKey| key.path.len() > filter::SORT_PATH_BYTES_MAX;
    if keys.len() > filter::SORT_KEYS_MAX || keys.iter().any(too_long) {
        return Err(Error::bad_request(""));
    }
    Ok(keys)
}

/// One page of rows.
pub(super) struct Rows {
    pub(super) page: u64,
    pub(super) per_page: u64,
    /// -1 when not counted.
    pub(super) total_items: i64,
    /// -1 when not counted.
    pub(super) total_pages: i64,
    pub(super) items: Vec<Record>,
}

/// Reads a page of a table.
///
/// # Errors
/// `BadRequest` for a filter or sort that does not compile, else those of the database.
pub(super) async fn page(
    engine: &Engine,
    conn: &mut Conn,
    table: &Table,
    params: &ListParams,
) -> Result<Rows, Error> {
    let (condition, sort) = table.plan(engine, params)?;
    let page = params.page.max(1);
    let per_page = params.per_page.clamp(1, 1000);
    let query = ListQuery {
        collection: &table.0,
        condition: &condition,
        sort: &sort,
        limit: per_page,
        offset: (page - 1).saturating_mul(per_page),
    };
    let (items, total_items, total_pages) = if params.skip_total {
        (records::list(conn, &query).await?, -1, -1)
    } else {
        let (items, total) = records::list_and_count(conn, &query).await?;
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        (items, count(total), count(total.div_ceil(per_page)))
    };
    Ok(Rows {
        page,
        per_page,
        total_items,
        total_pages,
        items,
    })
}
