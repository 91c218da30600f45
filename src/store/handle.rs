//! The store as the rest of the program sees it.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use sqlx::sqlite::SqliteSynchronous;
use tokio::sync::oneshot;

use super::conn::Conn;
use super::error::Error;
use super::options::{Role, StoreOptions};
use super::pool::{Pool, ReadGuard};
use super::tx::Tx;
use super::writer::{Reopen, Writer};
use super::{collections, migrations};
use crate::model::Schema;

/// Stack of the writers' thread. Hooks may save records whose hooks save records, to a depth that scripts bound.
const WRITER_STACK_BYTES: usize = 16 << 20;

/// Connections for reading auxiliary.db.
const LOG_READERS: usize = 4;

/// An open data directory: `data.db` with the collections and `auxiliary.db` with the logs. A cheap handle.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    options: StoreOptions,
    data: Database,
    logs: Database,
    schema: Arc<ArcSwap<Schema>>,
}

/// One database file: many readers, one writer.
struct Database {
    readers: Arc<Pool>,
    writer: Writer,
}

impl Store {
    /// Opens a data directory and makes what it lacks.
    ///
    /// # Errors
    /// [`Error::Io`] when the directory cannot be made, else what the database says.
    pub async fn open(options: StoreOptions) -> Result<Self, Error> {
        make_dir(&options.dir)?;
        let data = options.data_file();
        let logs = options.logs_file();
        let synchronous = SqliteSynchronous::Full;
        let (mut data_conn, data_reopen) = open_writer(&options, &data, synchronous).await?;
        // Losing the last log lines when the power fails is no harm.
        let (mut logs_conn, logs_reopen) =
            open_writer(&options, &logs, SqliteSynchronous::Normal).await?;
        data_conn.start_transactions();
        migrations::migrate_data(&mut data_conn).await?;
        let collections = collections::load(&mut data_conn).await?;
        data_conn.commit().await?;
        logs_conn.start_transactions();
        migrations::migrate_auxiliary(&mut logs_conn).await?;
        logs_conn.commit().await?;
        let schema = Schema::new(1, collections.into_iter().map(Arc::new));
        let schema = Arc::new(ArcSwap::from_pointee(schema));
        let data_readers = pool(&options, &data, options.readers);
        let logs_readers = pool(&options, &logs, LOG_READERS);
        let (data_writer, data_task) = Writer::start(
            data_conn,
            data_reopen,
            Arc::clone(&schema),
            Arc::clone(&data_readers),
        );
        let (logs_writer, logs_task) = Writer::start(
            logs_conn,
            logs_reopen,
            Arc::default(),
            Arc::clone(&logs_readers),
        );
        spawn_writers(data_task, logs_task).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                options,
                data: Database {
                    readers: data_readers,
                    writer: data_writer,
                },
                logs: Database {
                    readers: logs_readers,
                    writer: logs_writer,
                },
                schema,
            }),
        })
    }

    /// The data directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.options.dir
    }

    pub(super) fn options(&self) -> &StoreOptions {
        &self.inner.options
    }

    /// The collections as last committed.
    #[must_use]
    pub fn schema(&self) -> Arc<Schema> {
        self.inner.schema.load_full()
    }

    /// Lends a connection for reading. Each query on it sees what was committed when the query began.
    ///
    /// # Errors
    /// [`Error::Busy`] when none comes free within the query time limit; [`Error::Closed`].
    pub async fn read(&self) -> Result<ReadGuard, Error> {
        self.inner.data.readers.acquire().await
    }

    /// Runs `job` in the write transaction and waits until what it did is durable. When the job gives an error, what it
    /// did is undone, and nothing else; other jobs may share the transaction without being noticed.
    ///
    /// Once queued, the job runs to its end even when the caller stops waiting. It should do no slow work besides its
    /// statements: all writers wait for it, two minutes at most. It must not call this function.
    ///
    /// # Errors
    /// The job's own error; [`Error::Abandoned`] when it panics; [`Error::Timeout`], [`Error::Busy`], [`Error::Nested`],
    /// [`Error::Closed`], or why the commit failed.
    pub async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.inner.data.writer.write(job, E::from, false).await
    }

    /// As [`Store::write`], for jobs that leave statements to be done later ([`super::records::insert_later`]): `late`
    /// turns the error of such a statement, or of the commit, into one of the job's kind.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn write_deferring<T, E, F>(
        &self,
        job: F,
        late: impl FnOnce(Error) -> E + Send + 'static,
    ) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.inner.data.writer.write(job, late, false).await
    }

    /// As [`Store::write`], with a transaction of its own: for changes of tables and for long jobs.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn write_exclusive<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.inner.data.writer.write(job, E::from, true).await
    }

    /// As [`Store::read`], for auxiliary.db.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub async fn read_logs(&self) -> Result<ReadGuard, Error> {
        self.inner.logs.readers.acquire().await
    }

    /// As [`Store::write`], for auxiliary.db.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn write_logs<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.inner.logs.writer.write(job, E::from, false).await
    }

    /// Renews the statistics of the query planner and moves the write-ahead logs into the database files; from time to time.
    ///
    /// # Errors
    /// What the database says.
    pub async fn optimize(&self) -> Result<(), Error> {
        self.inner.data.writer.optimize().await?;
        self.inner.logs.writer.optimize().await
    }

    /// Writes data.db anew without the room that deleted rows have left; other writes wait meanwhile.
    ///
    /// # Errors
    /// What the database says.
    pub async fn vacuum(&self) -> Result<(), Error> {
        self.inner.data.writer.vacuum().await
    }

    /// As [`Store::vacuum`], for auxiliary.db.
    ///
    /// # Errors
    /// What the database says.
    pub async fn vacuum_logs(&self) -> Result<(), Error> {
        self.inner.logs.writer.vacuum().await
    }

    /// Finishes queued jobs, waits a while for readers, moves the write-ahead logs into the database files and closes them.
    /// Later calls give [`Error::Closed`].
    pub async fn close(&self) {
        for database in [&self.inner.data, &self.inner.logs] {
            database.readers.close().await;
            database.writer.close().await;
        }
    }
}

fn make_dir(dir: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(dir).map_err(|cause| io_error(dir, cause))
}

fn io_error(path: &Path, cause: std::io::Error) -> Error {
    Error::Io {
        path: path.display().to_string(),
        cause: Arc::new(cause),
    }
}

async fn open_writer(
    options: &StoreOptions,
    file: &Path,
    synchronous: SqliteSynchronous,
) -> Result<(Conn, Reopen), Error> {
    let reopen = Reopen {
        options: options.connect(file, Role::Writer { synchronous }),
        query_timeout: options.query_timeout,
    };
    Ok((reopen.open().await?, reopen))
}

fn pool(options: &StoreOptions, file: &Path, size: usize) -> Arc<Pool> {
    let connect = options.connect(file, Role::Reader);
    Pool::new(connect, size, options.query_timeout)
}

/// Runs the writers on a thread of their own: a busy server does not delay the commit that everybody waits for.
async fn spawn_writers(
    data: impl Future<Output = ()> + Send + 'static,
    logs: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let (started, start) = oneshot::channel();
    let io = |cause| io_error(Path::new("the writer's thread"), cause);
    std::thread::Builder::new()
        .name("store-writer".to_owned())
        .stack_size(WRITER_STACK_BYTES)
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build();
            match runtime {
                Ok(runtime) => {
                    let _ = started.send(Ok(()));
                    runtime.block_on(async { tokio::join!(data, logs) });
                }
                Err(cause) => {
                    let _ = started.send(Err(cause));
                }
            }
        })
        .map_err(io)?;
    start.await.map_err(|_| Error::Closed)?.map_err(io)
}
