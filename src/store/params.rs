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
