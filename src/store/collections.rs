//! Rows of `_collections`.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::conn::Conn;
use super::error::Error;
use super::sql::Sql;
use crate::model::{Collection, CollectionRow, Value};

const COLUMNS: &str = "id, system, type, name, fields, indexes, listRule, viewRule, createRule, updateRule, deleteRule, \
                       options, created, updated";

/// All collections, oldest first.
///
/// # Errors
/// [`Error::Corrupt`] for a row that is no collection, else what the database says.
pub async fn load(conn: &mut Conn) -> Result<Vec<Collection>, Error> {
    let sql = Sql::new(format!("SELECT {COLUMNS} FROM _collections ORDER BY rowid"));
    let rows = conn.fetch_all(&sql).await?;
    rows.iter().map(read).collect()
}

/// Adds a collection's row. Its table or view is made by [`super::tables`] and [`super::views`].
///
/// # Errors
/// [`Error::Unique`] for a taken id or name, else what the database says.
pub async fn insert(conn: &mut Conn, collection: &Collection) -> Result<(), Error> {
    let mut sql = Sql::new(format!(
        "INSERT INTO _collections ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    ));
    for value in values(collection) {
        sql = sql.bind(value);
    }
    conn.execute(&sql).await.map(drop)
}

/// Replaces the row of the collection's id.
///
/// # Errors
/// [`Error::Unique`] for a taken name, else what the database says.
pub async fn update(conn: &mut Conn, collection: &Collection) -> Result<(), Error> {
    let mut sql = Sql::new(
        "UPDATE _collections SET system = ?2, type = ?3, name = ?4, fields = ?5, indexes = ?6, listRule = ?7, \
         viewRule = ?8, createRule = ?9, updateRule = ?10, deleteRule = ?11, options = ?12, created = ?13, \
         updated = ?14 WHERE id = ?1",
    );
    for value in values(collection) {
        sql = sql.bind(value);
    }
    conn.execute(&sql).await.map(drop)
}

/// Removes the row of a collection.
///
/// # Errors
/// What the database says.
pub async fn delete(conn: &mut Conn, id: &str) -> Result<(), Error> {
    let sql = Sql::new("DELETE FROM _collections WHERE id = ?").bind(id);
    conn.execute(&sql).await.map(drop)
}

fn read(row: &SqliteRow) -> Result<Collection, Error> {
    let text = |index: usize| -> Result<Option<String>, Error> {
        row.try_get_unchecked(index).map_err(Error::from_sqlx)
    };
    let name = text(3)?.unwrap_or_default();
    let stored = CollectionRow {
        id: text(0)?.unwrap_or_default(),
        system: row.try_get_unchecked(1).map_err(Error::from_sqlx)?,
        kind: text(2)?.unwrap_or_default(),
        name: name.clone(),
        fields: text(4)?.unwrap_or_default(),
        indexes: text(5)?.unwrap_or_default(),
        list_rule: text(6)?,
        view_rule: text(7)?,
        create_rule: text(8)?,
        update_rule: text(9)?,
        delete_rule: text(10)?,
        options: text(11)?.unwrap_or_default(),
        created: text(12)?.unwrap_or_default(),
        updated: text(13)?.unwrap_or_default(),
    };
    Collection::from_row(stored)
        .map_err(|reason| Error::Corrupt(format!("collection \"{name}\": {reason}")))
}

/// The values in the order of [`COLUMNS`].
fn values(collection: &Collection) -> [Value; 14] {
    let row = collection.to_row();
    let optional = |rule: Option<String>| rule.map_or(Value::Null, Value::Text);
    [
        row.id.into(),
        Value::Bool(row.system),
        row.kind.into(),
        row.name.into(),
        row.fields.into(),
        row.indexes.into(),
        optional(row.list_rule),
        optional(row.view_rule),
        optional(row.create_rule),
        optional(row.update_rule),
        optional(row.delete_rule),
        row.options.into(),
        row.created.into(),
        row.updated.into(),
    ]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::tables::tests::{collection, store};

    #[tokio::test]
    async fn rows_read_back_as_written() {
        let (store, _dir) = store().await;
        let mut posts = collection(json!({
            "name": "posts", "type": "base", "listRule": "a = 1 && b < \"x\"", "viewRule": "",
            "fields": [{"name": "a", "type": "select", "values": ["<&>"], "maxSelect": 2}],
            "indexes": ["CREATE INDEX `i` ON `posts` (`a`) WHERE a > ''"],
        }));
        let written = posts.clone();
        let loaded = store
            .write(move |tx| {
                Box::pin(async move {
                    insert(tx, &posts).await?;
                    posts.name = "articles".to_owned();
                    posts.delete_rule = Some(String::new());
                    update(tx, &posts).await?;
                    let loaded = load(tx).await?;
                    delete(tx, &posts.id).await?;
                    assert_eq!(load(tx).await?.len() + 1, loaded.len());
                    Ok::<_, Error>(loaded)
                })
            })
            .await
            .unwrap();
        let last = loaded.last().unwrap();
        assert_eq!(last.name, "articles");
        assert_eq!(last.delete_rule.as_deref(), Some(""));
        assert_eq!(last.create_rule, None);
        assert_eq!(last.list_rule, written.list_rule);
        assert_eq!(last.fields(), written.fields());
        assert_eq!(last.indexes, written.indexes);
    }
}
