//! One database connection, for reading or inside a write transaction.

use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe};

use super::error::Error;
use super::sql::Sql;
use crate::model::Value;

/// A connection that query functions work on. Readers come from the pool; inside a write transaction it is the writer's.
pub struct Conn {
    pub(in crate::store) raw: SqliteConnection,
}

impl Conn {
    /// All rows of a query.
    ///
    /// # Errors
    /// Whatever the database says, by kind.
    pub(in crate::store) async fn fetch_all(&mut self, sql: &Sql) -> Result<Vec<SqliteRow>, Error> {
        sqlx::query_with(AssertSqlSafe(sql.text.clone()), arguments(&sql.args)?)
            .fetch_all(&mut self.raw)
            .await
            .map_err(Error::from_sqlx)
    }

    /// The first row of a query, if any.
    pub(in crate::store) async fn fetch_optional(
        &mut self,
        sql: &Sql,
    ) -> Result<Option<SqliteRow>, Error> {
        sqlx::query_with(AssertSqlSafe(sql.text.clone()), arguments(&sql.args)?)
            .fetch_optional(&mut self.raw)
            .await
            .map_err(Error::from_sqlx)
    }

    /// Runs a statement; gives the number of rows it changed.
    pub(in crate::store) async fn execute(&mut self, sql: &Sql) -> Result<u64, Error> {
        sqlx::query_with(AssertSqlSafe(sql.text.clone()), arguments(&sql.args)?)
            .execute(&mut self.raw)
            .await
            .map(|done| done.rows_affected())
            .map_err(Error::from_sqlx)
    }
}

fn arguments(values: &[Value]) -> Result<SqliteArguments, Error> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        match value {
            Value::Null => arguments.add(None::<String>),
            Value::Bool(value) => arguments.add(*value),
            Value::Number(value) => arguments.add(*value),
            Value::Text(text) | Value::Json(text) => arguments.add(text.clone()),
            Value::List(list) => arguments.add(serde_json::to_string(list).unwrap_or_default()),
            Value::Geo(point) => {
                arguments.add(serde_json::json!({"lon": point.lon, "lat": point.lat}).to_string())
            }
        }
        .map_err(|cause| Error::Database(sqlx::Error::Encode(cause)))?;
    }
    Ok(arguments)
}

impl Error {
    pub(in crate::store) fn from_sqlx(cause: sqlx::Error) -> Self {
        Self::Database(cause)
    }
}
