//! The only place with SQL: connections, transactions, migrations, queries and the translation of filters.

mod conn;
mod dialect;
mod error;
pub mod records;
mod rows;
pub mod search;
mod sql;
mod texts;

pub use conn::Conn;
pub use dialect::{Dialect, escape_like};
pub use error::Error;
pub use sql::Sql;
