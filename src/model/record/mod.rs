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
    /// What the record was before it was saved.
    former: Option<Box<[Value]>>,
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

    /// Keeps what the record was before it was saved, for those who look at it afterwards. It says nothing about what is
    /// stored. The values must be aligned with the collection's fields.
    pub fn remember(&mut self, former: Box<[Value]>) {
        debug_assert_eq!(former.len(), self.values.len());
        self.extras_mut().former = Some(former);
    }

    /// Forgets what [`Record::remember`] kept.
    pub fn forget_former(&mut self) {
        if let Some(extras) = &mut self.extras {
            extras.former = None;
        }
    }

    /// The record as it was before it was saved, if that was kept, or as it is stored; a new record where neither is.
    #[must_use]
    pub fn to_former(&self) -> Self {
        let former = self
            .extras
            .as_ref()
            .and_then(|extras| extras.former.as_deref());
        let former = match former {
            Some(values) => Some(Self::loaded(Arc::clone(&self.collection), values.to_vec())),
            None => self.to_original(),
        };
        // What a record was before it was created has no id.
        let former = former.filter(|former| !former.id().is_empty());
        former.unwrap_or_else(|| Self::new(Arc::clone(&self.collection)))
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
