//! Lists of rows that are no records, such as collections and logs, by means of the filter language.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value as Json};

use super::records::ListParams;
use super::{Engine, Error};
use crate::filter::{self, Expr, Limits, Operand, OperandKind, SortKey};
use crate::model::{Collection, CollectionKind, Field, Record, Schema};
use crate::store::Conn;
use crate::store::records::{self, ListQuery};
use crate::store::search::{Condition, Part, Scope, Sort};

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

    /// Refuses filters that are too long or speak of anything but columns, such as requests and other collections.
    ///
    /// # Errors
    /// `BadRequest`.
    fn check(&self, filter: &str) -> Result<(), Error> {
        if filter.is_empty() {
            return Ok(());
        }
        let tree = filter::parse(filter, &Limits::REQUEST).map_err(|error| unreadable(&error))?;
        if self.covers(&tree) {
            Ok(())
        } else {
            Err(Error::bad_request(""))
        }
    }

    fn covers(&self, tree: &Expr) -> bool {
        match tree {
            Expr::And(items) | Expr::Or(items) => items.iter().all(|item| self.covers(item)),
            Expr::Compare(comparison) => {
                self.knows(&comparison.left) && self.knows(&comparison.right)
            }
        }
    }

    fn knows(&self, operand: &Operand) -> bool {
        match &operand.kind {
            OperandKind::Text(_) | OperandKind::Number(_) => true,
            OperandKind::Call { args, .. } => args.iter().all(|arg| self.knows(arg)),
            OperandKind::Path(path) => {
                let column = path.segments().next().unwrap_or_default();
                let (column, _) = filter::split_modifier(column);
                path.as_macro().is_some()
                    || path.as_literal().is_some()
                    || self.0.field(column).is_some()
            }
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
        self.check(filter)?;
        let compiled = engine.compiler().compile(filter, &self.scope());
        compiled.map_err(|error| unreadable(&error))
    }

    /// The condition and order of a list.
    fn plan(&self, engine: &Engine, params: &ListParams) -> Result<(Condition, Sort), Error> {
        self.check(&params.filter)?;
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
        let compiled = engine.compiler().compile_list(parts, &keys, &self.scope());
        compiled.map_err(|error| unreadable(&error))
    }
}

/// PocketBase gives no reason here.
fn unreadable(error: &impl std::fmt::Display) -> Error {
    tracing::debug!(%error, "a filter or sort is refused");
    Error::bad_request("")
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
