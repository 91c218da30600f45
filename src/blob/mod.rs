//! Uploaded files: storage and thumbs.

pub mod key;
pub mod mime;
pub mod name;

/// Why an operation on stored files failed.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no such file.
    #[error("the file was not found")]
    NotFound,
    /// The key or prefix names nothing that may be stored.
    #[error("the file key is not allowed")]
    BadKey,
}
