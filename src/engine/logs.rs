//! Reading the log. Other processes write to it, too, so nothing is kept in memory.

use std::sync::LazyLock;

use super::listing::{self, Table};
use super::records::ListParams;
use super::{Engine, Error};
use crate::model::Record;
use crate::store::log_stats;
use crate::store::records;
use crate::store::search::Condition;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    Table::new(
        "_logs",
        &[
            ("id", "text"),
            ("created", "date"),
            ("data", "json"),
            ("message", "text"),
            ("level", "number"),
        ],
    )
});

/// One page of log entries, as rows with id, created, data, message and level.
pub struct LogPage {
    pub page: u64,
    pub per_page: u64,
    /// -1 when not counted.
    pub total_items: i64,
    /// -1 when not counted.
    pub total_pages: i64,
    pub items: Vec<Record>,
}

impl Engine {
    /// A page of log entries, filtered and sorted by id, created, level, message, data and `data.*`.
    ///
    /// # Errors
    /// `BadRequest` for a filter or sort that does not compile.
    pub async fn list_logs(&self, params: &ListParams) -> Result<LogPage, Error> {
        let mut conn = self.store().read_logs().await?;
        let rows = listing::page(self, &mut conn, &TABLE, params).await?;
        Ok(LogPage {
            page: rows.page,
            per_page: rows.per_page,
            total_items: rows.total_items,
            total_pages: rows.total_pages,
            items: rows.items,
        })
    }

    /// One log entry.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn view_log(&self, id: &str) -> Result<Record, Error> {
        let mut conn = self.store().read_logs().await?;
        records::find(&mut conn, TABLE.collection(), id, &Condition::Always)
            .await?
            .ok_or_else(Error::not_found)
    }

    /// The number of log entries in each hour that has any, as date text and number.
    ///
    /// # Errors
    /// `BadRequest` for a filter that does not compile.
    pub async fn log_stats(&self, filter: &str) -> Result<Vec<(String, i64)>, Error> {
        let condition = TABLE.condition(self, filter).map_err(|error| match error {
            Error::BadRequest(_) => Error::bad_request("Invalid filter format."),
            other => other,
        })?;
        let mut conn = self.store().read_logs().await?;
        Ok(log_stats::hourly(&mut conn, TABLE.collection(), &condition).await?)
    }
}
