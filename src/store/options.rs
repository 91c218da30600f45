//! How the databases are opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

/// How long SQLite itself waits for the lock of another process before it reports that the database is busy.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Rows that the thread of a connection may produce ahead of the task that takes them. High, since a full buffer costs
/// two thread switches per row; the memory is taken as rows come.
const ROW_BUFFER: usize = 16 * 1024;

/// Statements kept prepared per connection.
const STATEMENT_CACHE: usize = 512;

/// Where the data is and how much the store may use of the machine.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The data directory; made if it does not exist.
    pub dir: PathBuf,
    /// Connections for reading data.db, opened as they are needed; at least 1.
    pub readers: usize,
    /// How long one query may run, and how long a caller waits for a free reader.
    pub query_timeout: Duration,
    /// Page cache of each connection in KiB.
    pub cache_kib: u32,
    /// How much of data.db each connection maps into memory, in bytes; 0 turns mapping off.
    pub mmap_bytes: u64,
}

impl StoreOptions {
    /// The defaults for a data directory.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self {
            dir: dir.into(),
            readers: (cores * 2).clamp(4, 64),
            query_timeout: Duration::from_secs(30),
            cache_kib: 8 * 1024,
            mmap_bytes: 0,
        }
    }

    /// The file with the collections.
    pub(super) fn data_file(&self) -> PathBuf {
        self.dir.join("data.db")
    }

    /// The file with the logs.
    pub(super) fn logs_file(&self) -> PathBuf {
        self.dir.join("auxiliary.db")
    }

    /// The connection options of one of the two database files.
    pub(super) fn connect(&self, file: &Path, role: Role) -> SqliteConnectOptions {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .busy_timeout(BUSY_TIMEOUT)
            // PocketBase's tables have no foreign keys, and a user's own statements must not meet them either.
            .foreign_keys(false)
            .pragma("temp_store", "MEMORY")
            .pragma("cache_size", format!("-{}", self.cache_kib))
            .pragma("mmap_size", self.mmap_bytes.to_string())
            .statement_cache_capacity(STATEMENT_CACHE)
            .row_buffer_size(ROW_BUFFER)
            .disable_statement_logging();
        match role {
            Role::Reader => options.read_only(true),
            Role::Writer { synchronous } => options
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .pragma("journal_size_limit", "67108864")
                .synchronous(synchronous),
        }
        .thread_name(thread_name(file))
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    Reader,
    Writer { synchronous: SqliteSynchronous },
}

/// Names the connection threads after the file, for debuggers and `top -H`.
fn thread_name(file: &Path) -> impl Fn(u64) -> String + Send + Sync + 'static {
    let stem: Arc<str> = file
        .file_stem()
        .map_or_else(|| "db".into(), |stem| stem.to_string_lossy().into());
    move |number| format!("{stem}-{number}")
}
