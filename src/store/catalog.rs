//! What the database file holds besides the rows of collections.

use sqlx::Row;

use super::conn::Conn;
use super::error::Error;
use super::sql::Sql;

/// The names in a database, as they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// Tables and views.
    pub tables: Vec<String>,
    /// Indexes, each with its table.
    pub indexes: Vec<(String, String)>,
}

/// Reads the names of all tables, views and indexes.
///
/// # Errors
/// What the database says.
pub async fn read(conn: &mut Conn) -> Result<Catalog, Error> {
    let sql = Sql::new(
        "SELECT type, name, tbl_name FROM sqlite_schema WHERE type IN ('table', 'view', 'index')",
    );
    let mut catalog = Catalog::default();
    for row in conn.fetch_all(&sql).await? {
        let text = |index: usize| -> Result<String, Error> {
            row.try_get_unchecked(index).map_err(Error::from_sqlx)
        };
        if text(0)? == "index" {
            catalog.indexes.push((text(1)?, text(2)?));
        } else {
            catalog.tables.push(text(1)?);
        }
    }
    Ok(catalog)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, StoreOptions};

    #[tokio::test]
    async fn tables_and_indexes_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(dir.path())).await.unwrap();
        store
            .write_exclusive(|tx| {
                Box::pin(async move {
                    tx.run("CREATE TABLE Posts (a); CREATE INDEX idx_a ON Posts (a); CREATE VIEW v AS SELECT a FROM Posts")
                        .await
                })
            })
            .await
            .unwrap();
        let mut conn = store.read().await.unwrap();
        let catalog = read(&mut conn).await.unwrap();
        for name in ["Posts", "v"] {
            assert!(catalog.tables.iter().any(|table| table == name), "{name}");
        }
        assert!(
            catalog
                .indexes
                .contains(&("idx_a".to_owned(), "Posts".to_owned()))
        );
    }
}
