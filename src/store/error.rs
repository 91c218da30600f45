//! What can go wrong in the store.

/// An error of the database layer. None of the texts is meant for clients.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A unique index refused the row; `columns` are those of the index, without the table name.
    #[error("unique constraint on {table} ({})", columns.join(", "))]
    Unique { table: String, columns: Vec<String> },
    /// A filter or sort text that cannot be translated; the text says where and why and may be shown to superusers.
    #[error("invalid filter: {0}")]
    Filter(String),
    /// The statement ran longer than the query time limit.
    #[error("the query took too long")]
    Timeout,
    /// Another process holds the database for too long, or the queue of writers is full.
    #[error("the database is busy")]
    Busy,
    /// The store is shutting down.
    #[error("the database is closed")]
    Closed,
    /// What a user's SELECT or index statement got wrong.
    #[error("invalid statement: {0}")]
    Statement(String),
    /// A stored row that does not have the expected shape.
    #[error("corrupt data: {0}")]
    Corrupt(String),
    /// Everything else the database says.
    #[error("database failure")]
    Database(#[source] sqlx::Error),
}
