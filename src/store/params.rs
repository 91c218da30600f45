//! Rows of `_params`: small documents by id, such as the settings.

use sqlx::Row;

use super::conn::Conn;
use super::error::Error;
use super::sql::Sql;

/// The value of a row: JSON, or the text it was encrypted to. `None` when there is no such row or it is empty.
///
/// # Errors
/// What the database says.
pub async fn get(conn: &mut Conn, id: &str) -> Result<Option<Vec<u8>>, Error> {
    let sql = Sql::new("SELECT value FROM _params WHERE id = ?").bind(id);
    let Some(row) = conn.fetch_optional(&sql).await? else {
        return Ok(None);
    };
    row.try_get_unchecked(0).map_err(Error::from_sqlx)
}

/// Writes a row; `now` is a date text.
///
/// # Errors
/// What the database says; [`Error::Corrupt`] when `value` is not UTF-8.
pub async fn set(conn: &mut Conn, id: &str, value: &[u8], now: &str) -> Result<(), Error> {
    let value = std::str::from_utf8(value)
        .map_err(|_| Error::Corrupt(format!("the value of _params.{id} is not UTF-8")))?;
    // PocketBase keeps the value as a BLOB; text would become a number or a string when the column converts it.
    let sql = Sql::new(
        "INSERT INTO _params (id, value, created, updated) VALUES (?1, CAST(?2 AS BLOB), ?3, ?3) \
         ON CONFLICT (id) DO UPDATE SET value = excluded.value, updated = excluded.updated",
    )
    .bind(id)
    .bind(value)
    .bind(now);
    conn.execute(&sql).await.map(drop)
}

/// Removes a row, if it is there.
///
/// # Errors
/// What the database says.
pub async fn remove(conn: &mut Conn, id: &str) -> Result<(), Error> {
    let sql = Sql::new("DELETE FROM _params WHERE id = ?").bind(id);
    conn.execute(&sql).await.map(drop)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::{Store, StoreOptions};

    #[tokio::test]
    async fn values_are_kept_as_bytes_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(dir.path())).await.unwrap();
        let kind = store
            .write(|tx| {
                Box::pin(async move {
                    set(tx, "x", b"12", "2024-01-01 00:00:00.000Z").await?;
                    set(tx, "x", b"{\"a\":1}", "2024-01-02 00:00:00.000Z").await?;
                    let sql = Sql::new(
                        "SELECT typeof(value) || created || updated FROM _params WHERE id = 'x'",
                    );
                    let row = tx.fetch_optional(&sql).await?;
                    Ok::<String, Error>(row.unwrap().get(0))
                })
            })
            .await;
        assert_eq!(
            kind.unwrap(),
            "blob2024-01-01 00:00:00.000Z2024-01-02 00:00:00.000Z"
        );
        let mut conn = store.read().await.unwrap();
        assert_eq!(get(&mut conn, "x").await.unwrap().unwrap(), b"{\"a\":1}");
        assert_eq!(get(&mut conn, "y").await.unwrap(), None);
    }
}
