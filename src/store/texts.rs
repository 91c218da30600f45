//! The parts of statements that depend on nothing but a collection, made once per collection.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::Instant;

use super::dialect::Dialect;
use crate::model::Collection;

/// How many collections' texts are kept; beyond, those of dropped collections go, then all.
const KEPT_MAX: usize = 1024;

const DIALECT: Dialect = Dialect::Sqlite;

/// Fixed texts of one collection's table.
#[derive(Debug)]
pub(super) struct Texts {
    /// Quoted.
    pub(super) table: String,
    /// All columns of `r`, in the order of the fields.
    pub(super) columns: String,
    pub(super) insert: Arc<str>,
    pub(super) delete: Arc<str>,
    /// The columns by which PocketBase's lists with joins come, once somebody has asked the database about them.
    pub(super) joined_order: OnceLock<Vec<String>>,
    /// About how many rows the table has, and when that was found out.
    pub(super) rows: Mutex<Option<(Instant, f64)>>,
}

/// Keyed by address: a collection never changes once shared, and the weak reference keeps its address from being used again.
type Cache = HashMap<usize, (Weak<Collection>, Arc<Texts>)>;

static CACHE: LazyLock<RwLock<Cache>> = LazyLock::new(RwLock::default);

pub(super) fn texts_of(collection: &Arc<Collection>) -> Arc<Texts> {
    let address = Arc::as_ptr(collection) as usize;
    let known = CACHE.read().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, texts)) = known.get(&address) {
        return Arc::clone(texts);
    }
    drop(known);
    let texts = Arc::new(make(collection));
    let mut cache = CACHE.write().unwrap_or_else(PoisonError::into_inner);
    if cache.len() >= KEPT_MAX {
        cache.retain(|_, (collection, _)| collection.strong_count() > 0);
        if cache.len() >= KEPT_MAX {
            cache.clear();
        }
    }
    cache.insert(address, (Arc::downgrade(collection), Arc::clone(&texts)));
    texts
}

fn make(collection: &Collection) -> Texts {
    let table = DIALECT.quote_ident(&collection.name);
    let list = |column: &dyn Fn(&str) -> String| {
        let columns: Vec<String> = collection
            .fields()
            .iter()
            .map(|field| column(&field.name))
            .collect();
        columns.join(", ")
    };
    let columns = list(&|name| DIALECT.column("r", name));
    let names = list(&|name| DIALECT.quote_ident(name));
    let values = list(&|_| "?".to_owned());
    Texts {
        insert: format!("INSERT INTO {table} ({names}) VALUES ({values})").into(),
        delete: format!("DELETE FROM {table} WHERE `id` = ?").into(),
        table,
        columns,
        joined_order: OnceLock::new(),
        rows: Mutex::default(),
    }
}
