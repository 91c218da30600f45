//! Numbers of log rows over time.

use std::sync::Arc;

use sqlx::Row;

use super::conn::Conn;
use super::error::Error;
use super::search::{Condition, Form, Pieces};
use super::sql::Sql;
use crate::model::Collection;

/// How many rows of `_logs` satisfy a condition, for each hour that has any, oldest first. The dates are texts such as
/// `2024-01-01 10:00:00.000Z`. `table` is the collection that the condition was compiled for.
///
/// # Errors
/// What the database says.
pub async fn hourly(
    conn: &mut Conn,
    table: &Arc<Collection>,
    condition: &Condition,
) -> Result<Vec<(String, i64)>, Error> {
    if *condition == Condition::Never {
        return Ok(Vec::new());
    }
    debug_assert_eq!(table.name, "_logs");
    let mut pieces = Pieces::default();
    condition.write(Form::Many, &mut pieces);
    // The expression is that of the table's index.
    let mut text = format!(
        "SELECT strftime('%Y-%m-%d %H:00:00', `r`.`created`) AS hour, count(*) FROM `_logs` AS `r`{}",
        pieces.joins
    );
    if !pieces.conditions.is_empty() {
        text.push_str(" WHERE ");
        text.push_str(&pieces.conditions);
    }
    text.push_str(" GROUP BY hour");
    let mut sql = Sql::new(text);
    sql.args = pieces.join_args;
    sql.args.extend(pieces.condition_args);
    let rows = conn.fetch_all(&sql).await?;
    rows.iter()
        .map(|row| {
            let hour: Option<String> = row.try_get_unchecked(0).map_err(Error::from_sqlx)?;
            let total: i64 = row.try_get_unchecked(1).map_err(Error::from_sqlx)?;
            let date = hour.map_or_else(String::new, |hour| format!("{hour}.000Z"));
            Ok((date, total))
        })
        .collect()
}
