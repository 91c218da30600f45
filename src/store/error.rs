//! What can go wrong in the store.

use std::sync::Arc;

/// An error of the database layer. None of the texts is meant for clients, unless its variant says so.
///
/// Cheap to clone: when a commit fails, every job in it gets the error.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A unique index refused the row. `columns` are those of the index, without the table name. For an index on an
    /// expression SQLite names only the `index`; then `table` and `columns` are empty.
    #[error("unique constraint on {table} ({})", index.as_deref().map_or_else(|| columns.join(", "), str::to_owned))]
    Unique {
        table: String,
        columns: Vec<String>,
        index: Option<String>,
    },
    /// A filter or sort text that cannot be translated; the text says where and why and may be shown to superusers.
    #[error("invalid filter: {0}")]
    Filter(String),
    /// The statement ran longer than the query time limit.
    #[error("the query took too long")]
    Timeout,
    /// Another process holds the database for too long, the queue of writers is full, or no reader came free.
    #[error("the database is busy")]
    Busy,
    /// The store is shutting down.
    #[error("the database is closed")]
    Closed,
    /// A job panicked, or gave up a savepoint half-way; it is rolled back.
    #[error("the transaction was abandoned")]
    Abandoned,
    /// A job waits for another write, which waits for the job.
    #[error("a write inside a write job would wait for itself")]
    Nested,
    /// What a user's SELECT or index statement got wrong. The text may be shown to superusers.
    #[error("invalid statement: {0}")]
    Statement(String),
    /// Indexes of a collection that cannot be made. The texts may be shown to superusers.
    #[error("invalid indexes: {}", .0.iter().map(|failure| failure.message.as_str()).collect::<Vec<_>>().join(" "))]
    Indexes(Vec<IndexFailure>),
    /// The data directory needs another program first; the text says which.
    #[error("{0}")]
    Unsupported(String),
    /// A stored row that does not have the expected shape.
    #[error("corrupt data: {0}")]
    Corrupt(String),
    /// A file or folder of the data directory cannot be used.
    #[error("cannot use {path}")]
    Io {
        path: String,
        #[source]
        cause: Arc<std::io::Error>,
    },
    /// All was committed, and what followed the commit failed.
    #[error("what followed the commit failed")]
    Followed(#[source] super::tx::Failure),
    /// Everything else the database says.
    #[error("database failure")]
    Database(#[source] Arc<sqlx::Error>),
}

/// SQLite's primary result codes (the low byte of the extended ones), <https://www.sqlite.org/rescode.html>.
pub(super) mod code {
    pub(in crate::store) const READONLY: u32 = 8;
    pub(super) const BUSY: u32 = 5;
    pub(super) const LOCKED: u32 = 6;
    pub(super) const INTERRUPT: u32 = 9;
    pub(super) const CONSTRAINT_PRIMARYKEY: u32 = 1555;
    pub(super) const CONSTRAINT_UNIQUE: u32 = 2067;
    pub(super) const CONSTRAINT_ROWID: u32 = 2579;
}

impl Error {
    pub(in crate::store) fn from_sqlx(cause: sqlx::Error) -> Self {
        let Some(extended) = result_code(&cause) else {
            return match cause {
                sqlx::Error::WorkerCrashed | sqlx::Error::PoolClosed => Self::Closed,
                other => Self::Database(Arc::new(other)),
            };
        };
        match (extended, extended & 0xff) {
            (code::CONSTRAINT_UNIQUE | code::CONSTRAINT_PRIMARYKEY | code::CONSTRAINT_ROWID, _) => {
                let message = cause
                    .as_database_error()
                    .map_or("", sqlx::error::DatabaseError::message);
                parse_unique(message).unwrap_or_else(|| Self::Database(Arc::new(cause)))
            }
            (_, code::INTERRUPT) => Self::Timeout,
            (_, code::BUSY | code::LOCKED) => Self::Busy,
            _ => Self::Database(Arc::new(cause)),
        }
    }

    /// For statements that a superuser wrote: what the database says about them is theirs to know.
    pub(in crate::store) fn into_statement(self) -> Self {
        match &self {
            Self::Database(cause) => match cause.as_database_error() {
                Some(error) => Self::Statement(error.message().to_owned()),
                None => self,
            },
            // A unique index over rows that are not unique.
            Self::Unique { .. } => Self::Statement(self.to_string()),
            _ => self,
        }
    }
}

/// Why one index of a collection cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexFailure {
    /// Position in the collection's indexes.
    pub position: usize,
    /// A sentence for superusers.
    pub message: String,
}

/// Whether another connection holds the lock.
pub(super) fn is_busy(cause: &sqlx::Error) -> bool {
    result_code(cause).is_some_and(|extended| matches!(extended & 0xff, code::BUSY | code::LOCKED))
}

pub(super) fn result_code(cause: &sqlx::Error) -> Option<u32> {
    cause.as_database_error()?.code()?.parse().ok()
}

/// Reads `UNIQUE constraint failed: posts.title, posts.author` and `UNIQUE constraint failed: index 'name'`.
fn parse_unique(message: &str) -> Option<Error> {
    let (_, subject) = message.split_once("constraint failed: ")?;
    if let Some(name) = subject
        .strip_prefix("index '")
        .and_then(|rest| rest.strip_suffix('\''))
    {
        return Some(Error::Unique {
            table: String::new(),
            columns: Vec::new(),
            index: Some(name.replace("''", "'")),
        });
    }
    let mut table = "";
    let mut columns = Vec::new();
    for part in subject.split(", ") {
        let (owner, column) = part.split_once('.')?;
        table = owner;
        columns.push(column.to_owned());
    }
    Some(Error::Unique {
        table: table.to_owned(),
        columns,
        index: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unique(message: &str) -> (String, Vec<String>, Option<String>) {
        match parse_unique(message) {
            Some(Error::Unique {
                table,
                columns,
                index,
            }) => (table, columns, index),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn unique_messages_name_table_and_columns() {
        assert_eq!(
            unique("UNIQUE constraint failed: posts.title, posts.author"),
            ("posts".into(), vec!["title".into(), "author".into()], None)
        );
        assert_eq!(
            unique("UNIQUE constraint failed: index 'idx_lower'"),
            (String::new(), vec![], Some("idx_lower".into()))
        );
    }

    #[test]
    fn other_messages_are_left_alone() {
        assert!(parse_unique("NOT NULL constraint failed").is_none());
        assert!(parse_unique("UNIQUE constraint failed: nothing").is_none());
    }
}
