//! Log rows in auxiliary.db. Nothing is kept in memory: other processes write here, too.

use super::conn::Conn;
use super::error::Error;
use super::sql::Sql;
use crate::model::Value;

/// Rows of one INSERT: few texts to keep prepared, and fewer switches to the connection's thread.
const ROWS_PER_STATEMENT: usize = 32;

/// One line of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogEntry {
    pub id: String,
    /// -4 debug, 0 info, 4 warning, 8 error.
    pub level: i32,
    pub message: String,
    /// A JSON object as text.
    pub data: String,
    /// A date text.
    pub created: String,
}

/// Appends lines; `conn` belongs to a transaction of [`super::Store::write_logs`].
///
/// # Errors
/// What the database says.
pub async fn insert(conn: &mut Conn, entries: &[LogEntry]) -> Result<(), Error> {
    let mut full = entries.chunks_exact(ROWS_PER_STATEMENT);
    for chunk in full.by_ref() {
        conn.execute(&statement(chunk)).await?;
    }
    for entry in full.remainder() {
        conn.execute(&statement(std::slice::from_ref(entry)))
            .await?;
    }
    Ok(())
}

/// Removes lines created at or before `date`, a date text. Gives their number.
///
/// # Errors
/// What the database says.
pub async fn delete_until(conn: &mut Conn, date: &str) -> Result<u64, Error> {
    let sql = Sql::new("DELETE FROM _logs WHERE created <= ?").bind(date);
    conn.execute(&sql).await
}

/// Removes all lines.
///
/// # Errors
/// What the database says.
pub async fn clear(conn: &mut Conn) -> Result<u64, Error> {
    conn.execute(&Sql::new("DELETE FROM _logs")).await
}

fn statement(entries: &[LogEntry]) -> Sql {
    let mut text =
        "INSERT INTO _logs (id, level, message, data, created) VALUES (?, ?, ?, ?, ?)".to_owned();
    text.push_str(&", (?, ?, ?, ?, ?)".repeat(entries.len() - 1));
    let mut sql = Sql::new(text);
    for entry in entries {
        sql = sql
            .bind(entry.id.as_str())
            .bind(Value::Number(f64::from(entry.level)))
            .bind(entry.message.as_str())
            .bind(entry.data.as_str())
            .bind(entry.created.as_str());
    }
    sql
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use sqlx::Row;

    use super::*;
    use crate::store::{Store, StoreOptions};

    #[tokio::test]
    async fn lines_are_added_in_batches_and_old_ones_removed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(dir.path())).await.unwrap();
        let entries: Vec<_> = (0..70)
            .map(|n| LogEntry {
                id: format!("r{n}"),
                level: n % 9 - 4,
                message: "m".to_owned(),
                data: r#"{"a":1}"#.to_owned(),
                created: format!("2024-01-{:02} 00:00:00.000Z", n % 28 + 1),
            })
            .collect();
        let removed = store
            .write_logs(move |tx| {
                Box::pin(async move {
                    insert(tx, &entries).await?;
                    delete_until(tx, "2024-01-14 00:00:00.000Z").await
                })
            })
            .await
            .unwrap();
        assert_eq!(removed, 42);
        let mut conn = store.read_logs().await.unwrap();
        let sql = Sql::new("SELECT count(*), typeof(max(level)), max(data) FROM _logs");
        let row = conn.fetch_optional(&sql).await.unwrap().unwrap();
        assert_eq!(row.get::<i64, _>(0), 28);
        assert_eq!(row.get::<String, _>(1), "integer");
        assert_eq!(row.get::<String, _>(2), r#"{"a":1}"#);
    }
}
