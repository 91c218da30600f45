//! Uploaded files: storage and thumbs.
