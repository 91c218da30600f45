//! Files that wait to be stored with their record.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

/// A file to be stored with a record.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Name of the file field.
    pub field: String,
    /// The stored name: normalised, with a random suffix.
    pub name: String,
    /// The name the client gave.
    pub original_name: String,
    pub size: u64,
    /// Detected from the content, never taken from the client.
    pub content_type: String,
    pub source: UploadSource,
}

/// Where the bytes of an upload wait.
#[derive(Clone, Debug)]
pub enum UploadSource {
    Memory(Bytes),
    /// A temporary file that lives as long as its handle.
    File(Arc<TempFile>),
}

/// A temporary file, removed on drop.
#[derive(Debug)]
pub struct TempFile {
    pub path: PathBuf,
}

/// Where uploads go among the files that a field holds already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadMode {
    /// Instead of them.
    Replace,
    /// Behind them.
    Append,
    /// Before them.
    Prepend,
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
