//! A record: the values of one row, what they were when loaded, and uploads that wait to be stored.

mod export;
mod input;
mod lifecycle;
mod upload;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::{Collection, Value};

pub use export::{Expand, ExpandedRecord, ExpandedValue, ExportView, WriteExpand};
pub use input::Modifier;
pub use upload::{TempFile, Upload, UploadMode, UploadSource};

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
    extras: Option<Box<Extras>>,
}

/// What few records have.
#[derive(Clone, Debug, Default)]
struct Extras {
    /// Passwords set anew, by field; forgotten once saved.
    plain_passwords: BTreeMap<String, String>,
    /// Members shown or hidden against the collection's settings.
    visibility: BTreeMap<String, bool>,
    /// Members that are no fields, exported when `export_custom` is set.
    custom: Map<String, Json>,
    export_custom: bool,
    ignore_email_visibility: bool,
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
            extras: None,
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
            extras: None,
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
        if let Some(index) = self.collection.field_index(field) {
            self.set_at(index, value);
        }
    }

    fn set_at(&mut self, index: usize, value: Value) {
        if self.stored && self.original.is_none() {
            self.original = Some(self.values.clone().into());
        }
        if let Some(slot) = self.values.get_mut(index) {
            *slot = value;
        }
    }

    /// Marks the present values as stored and forgets uploads and plain passwords.
    pub fn mark_saved(&mut self) {
        self.stored = true;
        self.original = None;
        self.uploads.clear();
        if let Some(extras) = &mut self.extras {
            extras.plain_passwords.clear();
        }
    }

    /// Says whether the record counts as stored, against what is known of it.
    pub fn mark_stored(&mut self, stored: bool) {
        self.stored = stored;
        if !stored {
            self.original = None;
        }
    }

    /// The stored values; the zero values of a record that is not stored yet.
    #[must_use]
    pub fn stored_values(&self) -> Box<[Value]> {
        match &self.original {
            Some(values) => values.clone(),
            None if self.stored => self.values.clone().into(),
            None => Self::new(Arc::clone(&self.collection)).values.into(),
        }
    }

    /// Lets a stored record tell of other values as the stored ones, such as those before it was saved.
    /// They must be aligned with the collection's fields.
    pub fn remember(&mut self, stored: Box<[Value]>) {
        debug_assert_eq!(stored.len(), self.values.len());
        self.original = Some(stored);
    }

    /// Takes over from another state of the same record which values are stored.
    pub fn settle_as(&mut self, other: &Self) {
        self.stored = other.stored;
        self.original = match &other.original {
            Some(values) => Some(values.clone()),
            None if !other.stored || self.values == other.values => None,
            None => Some(other.values.clone().into()),
        };
    }

    /// Drops everything but values and uploads: custom members, visibility, plain passwords.
    pub fn forget_extras(&mut self) {
        self.extras = None;
    }

    /// Whether the field holds another value than the stored one; true for a new record.
    #[must_use]
    pub fn has_changed(&self, field: &str) -> bool {
        self.original(field) != self.get(field)
    }

    /// The same collection, stored values and no changes; nothing for a new record.
    #[must_use]
    pub fn to_original(&self) -> Option<Self> {
        if !self.stored {
            return None;
        }
        let values = match &self.original {
            Some(values) => values.to_vec(),
            None => self.values.clone(),
        };
        Some(Self::loaded(Arc::clone(&self.collection), values))
    }

    fn extras_mut(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }
}
