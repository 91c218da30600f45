//! The only place with SQL: connections, transactions, migrations, queries and the translation of filters.
//!
//! [`Store::read`] lends one of many connections for reading. [`Store::write`] hands a job to the one writer, which runs
//! all jobs that wait in one transaction ([`writer`]). Nothing outside this folder sees SQL or the driver.

pub mod backup;
pub mod catalog;
pub mod collections;
mod conn;
pub mod console;
mod dialect;
mod error;
mod handle;
pub mod log_stats;
pub mod logs;
#[cfg(test)]
mod measurements;
pub mod migrations;
mod options;
pub mod params;
mod pool;
pub mod records;
mod rows;
mod scan;
pub mod search;
mod select;
mod sql;
pub mod statement;
pub mod tables;
mod texts;
mod tx;
pub mod views;
mod writer;

pub use conn::Conn;
pub use dialect::{Dialect, escape_like};
pub use error::{Error, IndexFailure};
pub use handle::Store;
pub use options::StoreOptions;
pub use pool::ReadGuard;
pub use sql::Sql;
pub use tx::{AfterCommit, AfterRollback, Aftermath, Failure, Tx};
