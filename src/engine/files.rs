//! Files that belong to records: stored before the transaction, kept only if it commits, removed after it.

use std::sync::Arc;

use super::{Engine, Error};
use crate::blob::{Content, NewBlob};
use crate::model::{Collection, Record, UploadSource};
use crate::store::{Tx, records, views};

/// Uploads that are in storage while their record is not committed yet. Dropping it without settling removes them.
pub(super) struct StoredUploads {
    engine: Engine,
    keys: Vec<String>,
}

impl StoredUploads {
    /// Stores the uploads of a valid record under `<collectionId>/<recordId>/<file>`. Stored names are random, so
    /// nothing is overwritten.
    ///
    /// # Errors
    /// `Internal` when the storage fails; what was stored before is removed.
    pub(super) async fn put(engine: &Engine, record: &Record) -> Result<Self, Error> {
        Self::put_but(engine, record, &[]).await
    }

    /// As [`StoredUploads::put`], without those that are stored already.
    ///
    /// # Errors
    /// As [`StoredUploads::put`].
    pub(super) async fn put_but(
        engine: &Engine,
        record: &Record,
        done: &[String],
    ) -> Result<Self, Error> {
        let mut stored = Self {
            engine: engine.clone(),
            keys: Vec::new(),
        };
        for upload in &record.uploads {
            if done.contains(&upload.name) {
                continue;
            }
            let key = key(record, &upload.name);
            let source = match &upload.source {
                UploadSource::Memory(bytes) => Content::Bytes(bytes.clone()),
                UploadSource::File(file) => Content::CopyOf(file.path.clone()),
            };
            let note = NewBlob {
                content_type: Some(upload.content_type.clone()),
                original_name: Some(upload.original_name.clone()),
            };
            stored.keys.push(key.clone());
            engine
                .files()
                .put(&key, source, note)
                .await
                .map_err(|error| Error::internal("failed to store an uploaded file", error))?;
        }
        Ok(stored)
    }

    /// Ties the files to a transaction: they stay if it commits. The job must own them: it runs to its end even when the
    /// client has left.
    pub(super) fn settle_with(self, tx: &mut Tx) {
        if self.keys.is_empty() {
            return;
        }
        let mut stored = self;
        tx.on_commit(Box::new(move || stored.keys.clear()));
    }
}

impl Drop for StoredUploads {
    fn drop(&mut self) {
        let keys = std::mem::take(&mut self.keys);
        if keys.is_empty() {
            return;
        }
        let engine = self.engine.clone();
        spawn(async move {
            for key in &keys {
                remove(&engine, key).await;
            }
        });
    }
}

/// Removes files of a record once the transaction has committed: those named, or all.
pub(super) fn remove_after_commit(
    engine: &Engine,
    tx: &mut Tx,
    record: &Record,
    names: Option<Vec<String>>,
) {
    let has_files = record
        .collection()
        .fields()
        .iter()
        .any(|field| field.as_file().is_some());
    if !has_files {
        return;
    }
    let folder = format!("{}/{}/", record.collection().id, record.id());
    let engine = engine.clone();
    tx.on_commit(Box::new(move || {
        spawn(async move {
            let Some(names) = names else {
                if let Err(error) = engine.files().delete_prefix(&folder).await {
                    tracing::warn!(%error, file.folder = %folder, "files of a deleted record stay behind");
                }
                return;
            };
            for name in names {
                remove(&engine, &format!("{folder}{name}")).await;
                let thumbs = format!("{folder}thumbs_{name}/");
                if let Err(error) = engine.files().delete_prefix(&thumbs).await {
                    tracing::warn!(%error, file.folder = %thumbs, "thumbs of a deleted file stay behind");
                }
            }
        });
    }));
}

/// Removes a folder of the storage, with all below it, once the transaction has committed.
pub(super) fn remove_folder_after_commit(engine: &Engine, tx: &mut Tx, folder: String) {
    let engine = engine.clone();
    tx.on_commit(Box::new(move || {
        spawn(async move {
            if let Err(error) = engine.files().delete_prefix(&folder).await {
                tracing::warn!(%error, file.folder = %folder, "files stay behind in storage");
            }
        });
    }));
}

impl Engine {
    /// The folder of the record that a view's file really belongs to; `None` when it cannot be found.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn view_file_folder(
        &self,
        view: &Arc<Collection>,
        field: &str,
        name: &str,
    ) -> Result<Option<String>, Error> {
        let schema = self.schema();
        let Some((source, field)) = views::source(&schema, view, field) else {
            return Ok(None);
        };
        let mut conn = self.read().await?;
        let owners = records::referencing(&mut conn, &source, &field, name, 1).await?;
        Ok(owners
            .first()
            .map(|owner| format!("{}/{}", source.id, owner.id())))
    }
}

fn key(record: &Record, name: &str) -> String {
    format!("{}/{}/{name}", record.collection().id, record.id())
}

async fn remove(engine: &Engine, key: &str) {
    if let Err(error) = engine.files().delete(key).await {
        tracing::warn!(%error, file.key = %key, "a file stays behind");
    }
}

/// Runs clean-up beside the caller; without a runtime (at shutdown) it is left out, which leaves an orphan file only.
fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(work);
    }
}
