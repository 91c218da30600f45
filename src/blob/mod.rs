//! Uploaded files: storage and thumbs.
//!
//! [`Storage`] keeps files under keys and knows neither records nor requests. [`Thumbs`] makes small images beside them.
//! [`serve`] decides with which headers a file is sent; [`mime`] tells what a file is, [`name`] how it is called.
//!
//! A local storage directory is PocketBase's: either program can go on with what the other wrote.

pub mod archive;
mod attributes;
pub mod key;
mod local;
pub mod mime;
pub mod name;
pub mod serve;
mod storage;
mod thumb;

pub use storage::{Blob, BlobStream, Content, DeletionHold, Entry, Metadata, NewBlob, Storage};
pub use thumb::{Fit, ThumbError, ThumbSize, Thumbs, is_thumbable};

use std::io;

use crate::base::Code;

/// Why an operation on stored files failed.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no such file.
    #[error("the file was not found")]
    NotFound,
    /// The key or prefix names nothing that may be stored.
    #[error("the file key is not allowed")]
    BadKey,
    /// The file is larger than the caller wants to read.
    #[error("the file is too large")]
    TooLarge,
    /// The storage failed.
    #[error("the file storage failed")]
    Io(#[source] io::Error),
}

impl BlobError {
    /// The code a client is told. A key that is not allowed names nothing, so to clients it is not found.
    pub const fn code(&self) -> Code {
        match self {
            Self::NotFound | Self::BadKey => Code::NotFound,
            Self::TooLarge => Code::TooLarge,
            Self::Io(_) => Code::Internal,
        }
    }
}

impl From<io::Error> for BlobError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory => Self::NotFound,
            _ => Self::Io(error),
        }
    }
}
