//! A record: the values of one row, what they were when loaded, and uploads that wait to be stored.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::{Collection, Value};

/// A row of a collection. `values` are aligned with [`Collection::fields`].
#[derive(Clone, Debug)]
pub struct Record {
    collection: Arc<Collection>,
    values: Vec<Value>,
    stored: bool,
    /// The stored values, kept from the first change on: most loaded records are only read.
    original: Option<Box<[Value]>>,
    /// Files to be stored when the record is saved; their names are already in the file fields' values.
    pub uploads: Vec<Upload>,
}

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

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Record {
    /// A record that is not stored yet, with each field's zero value.
    #[must_use]
    pub fn new(collection: Arc<Collection>) -> Self {
        let values = collection
            .fields()
            .iter()
            .map(super::Field::zero_value)
            .collect();
        Self {
            collection,
            values,
            stored: false,
            original: None,
            uploads: Vec::new(),
        }
    }

    /// A record as loaded from the database; `values` must be aligned with the collection's fields.
    #[must_use]
    pub fn loaded(collection: Arc<Collection>, values: Vec<Value>) -> Self {
        debug_assert_eq!(values.len(), collection.fields().len());
        Self {
            collection,
            values,
            stored: true,
            original: None,
            uploads: Vec::new(),
        }
    }

    #[must_use]
    pub fn collection(&self) -> &Arc<Collection> {
        &self.collection
    }

    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    #[must_use]
    pub fn is_new(&self) -> bool {
        !self.stored
    }

    #[must_use]
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.collection
            .field_index(field)
            .and_then(|index| self.values.get(index))
    }

    /// The stored value of a field, before changes; `None` for a new record.
    #[must_use]
    pub fn original(&self, field: &str) -> Option<&Value> {
        if !self.stored {
            return None;
        }
        let index = self.collection.field_index(field)?;
        self.original.as_deref().unwrap_or(&self.values).get(index)
    }

    /// The text of a field; empty when there is no such field or it holds no text.
    #[must_use]
    pub fn text(&self, field: &str) -> &str {
        self.get(field).map_or("", Value::as_text)
    }

    #[must_use]
    pub fn flag(&self, field: &str) -> bool {
        matches!(self.get(field), Some(Value::Bool(true)))
    }

    #[must_use]
    pub fn id(&self) -> &str {
        self.text("id")
    }

    /// Sets an already normalised value; an unknown field is ignored.
    pub fn set(&mut self, field: &str, value: Value) {
        let Some(index) = self.collection.field_index(field) else {
            return;
        };
        if self.stored && self.original.is_none() {
            self.original = Some(self.values.clone().into());
        }
        if let Some(slot) = self.values.get_mut(index) {
            *slot = value;
        }
    }

    /// Marks the present values as stored and forgets the uploads.
    pub fn mark_saved(&mut self) {
        self.stored = true;
        self.original = None;
        self.uploads.clear();
    }
}
