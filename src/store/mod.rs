//! The only place with SQL: connections, transactions, migrations, queries and the translation of filters.

mod conn;
mod dialect;
mod error;
mod sql;

pub use conn::Conn;
pub use dialect::{Dialect, escape_like};
pub use error::Error;
pub use sql::Sql;
