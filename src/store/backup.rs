//! Copies of the databases while they are in use.

use std::path::Path;
use std::sync::Arc;

use sqlx::{ConnectOptions, Connection, Executor};

use super::error::Error;
use super::handle::Store;
use super::options::{Role, StoreOptions};

/// The names of the two database files in a data directory.
pub const DATABASES: [&str; 2] = ["data.db", "auxiliary.db"];

impl Store {
    /// Writes a copy of each database into `folder`, which must hold none yet. Each is what was committed at one moment
    /// after the call; writers do not wait.
    ///
    /// SQLite makes the copies: a program that opened the files itself would lose its locks on them when it closed them
    /// (<https://www.sqlite.org/howtocorrupt.html>, section 2.2).
    ///
    /// # Errors
    /// What the database says, [`Error::Io`] for a path that is not UTF-8.
    pub async fn copy_into(&self, folder: &Path) -> Result<(), Error> {
        let options = self.options();
        for (file, name) in [options.data_file(), options.logs_file()]
            .iter()
            .zip(DATABASES)
        {
            copy(options, file, &folder.join(name)).await?;
        }
        Ok(())
    }
}

async fn copy(options: &StoreOptions, source: &Path, target: &Path) -> Result<(), Error> {
    // Absolute, since SQLite reads `file:` as the beginning of a URI.
    let target = std::path::absolute(target).map_err(|cause| Error::Io {
        path: target.display().to_string(),
        cause: Arc::new(cause),
    })?;
    let Some(target) = target.to_str() else {
        return Err(Error::Unsupported(
            "the path of the data directory is not UTF-8".to_owned(),
        ));
    };
    let mut raw = options
        .connect(source, Role::Reader)
        .connect()
        .await
        .map_err(Error::from_sqlx)?;
    let copied = raw.execute(sqlx::query("VACUUM INTO ?").bind(target)).await;
    let closed = raw.close().await;
    copied.map_err(Error::from_sqlx)?;
    closed.map_err(Error::from_sqlx)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::Sql;

    async fn count(store: &Store) -> i64 {
        use sqlx::Row;
        let mut conn = store.read().await.unwrap();
        let rows = conn.fetch_all(&Sql::new("SELECT count(*) FROM t")).await;
        rows.unwrap().first().unwrap().get(0)
    }

    #[tokio::test]
    async fn copies_are_whole_and_writers_go_on_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(dir.path().join("a")))
            .await
            .unwrap();
        store
            .write_exclusive(|tx| Box::pin(tx.run("CREATE TABLE t (id TEXT PRIMARY KEY, x)")))
            .await
            .unwrap();
        let insert = |id: usize| {
            let store = store.clone();
            async move {
                let sql = Sql::new("INSERT INTO t VALUES (?, zeroblob(2000))").bind(id.to_string());
                store
                    .write(|tx| Box::pin(async move { tx.execute(&sql).await }))
                    .await
                    .unwrap();
            }
        };
        for id in 0..500 {
            insert(id).await;
        }
        let folder = dir.path().join("b");
        std::fs::create_dir(&folder).unwrap();
        let (copied, ()) = tokio::join!(store.copy_into(&folder), async {
            for id in 500..520 {
                insert(id).await;
            }
        });
        copied.unwrap();
        assert_eq!(count(&store).await, 520);
        let copy = Store::open(StoreOptions::new(&folder)).await.unwrap();
        let found = count(&copy).await;
        assert!((500..=520).contains(&found), "{found}");
        copy.read_logs().await.unwrap();
        // A copy never goes over an existing file.
        copy.close().await;
        assert!(store.copy_into(&folder).await.is_err());
    }
}
