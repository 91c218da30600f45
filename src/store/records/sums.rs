//! Exact sums of numbers with a fixed number of decimals.

use std::sync::Arc;

use super::{DIALECT, known_field};
use crate::model::Collection;
use crate::store::conn::Conn;
use crate::store::error::Error;
use crate::store::rows;
use crate::store::search::{Condition, Form};
use crate::store::select::{Filter, select};
use crate::store::texts::texts_of;

/// The sum of a group of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSum {
    /// The text that the rows share.
    pub group: String,
    /// The sum in hundredths: each row's number is rounded to them first.
    pub hundredths: i64,
    pub rows: u64,
}

/// Sums the numbers of `field` over the rows that satisfy the condition, apart for each text of `group`. Sums of doubles
/// drift; those of whole hundredths do not.
///
/// # Errors
/// Those of the database; [`Error::Filter`] for an unknown field or a condition that reaches into several other rows.
pub async fn sums_by(
    conn: &mut Conn,
    collection: &Arc<Collection>,
    condition: &Condition,
    field: &str,
    group: &str,
) -> Result<Vec<GroupSum>, Error> {
    known_field(collection, field)?;
    known_field(collection, group)?;
    let texts = texts_of(collection);
    let (amount, group) = (DIALECT.column("r", field), DIALECT.column("r", group));
    let what = format!("{group}, SUM({}), COUNT(*)", DIALECT.hundredths(&amount));
    let Some(mut select) = select(&texts, what, Filter::default(), condition, Form::One) else {
        return Ok(Vec::new());
    };
    if select.pieces.distinct {
        return Err(Error::Filter("sums are over rows of one table".to_owned()));
    }
    select.group = Some(group);
    let found = conn.fetch_all(&select.build()).await?;
    let sums = found.iter().map(|row| {
        Ok(GroupSum {
            group: rows::text(row, 0)?,
            hundredths: rows::integer(row, 1)?,
            rows: u64::try_from(rows::integer(row, 2)?).unwrap_or_default(),
        })
    });
    sums.collect()
}
