//! What the server sets on records by itself, and the checks before they are stored.

use std::sync::Arc;

use super::Record;
use crate::base::{DateTime, id};
use crate::model::{FieldErrors, FieldKind, Value};

/// Characters of a token key when its field generates none.
const TOKEN_KEY_CHARS: usize = 50;

impl Record {
    /// Fills in what the server sets on a new record: generated texts (id and token key among them) and dates, where
    /// nothing was set.
    pub fn on_create(&mut self, now: DateTime) {
        let collection = Arc::clone(&self.collection);
        for (index, field) in collection.fields().iter().enumerate() {
            if !self.values.get(index).is_some_and(Value::is_zero) {
                continue;
            }
            match &field.kind {
                FieldKind::Text(options) => {
                    if let Some(text) = options.generate() {
                        self.set_at(index, Value::Text(text));
                    }
                }
                FieldKind::Autodate(options) if options.on_create => {
                    self.set_at(index, Value::Text(now.to_string()));
                }
                _ => {}
            }
        }
    }

    /// Sets the dates that follow an update, but for those set on purpose.
    pub fn on_update(&mut self, now: DateTime) {
        let collection = Arc::clone(&self.collection);
        for (index, field) in collection.fields().iter().enumerate() {
            if matches!(&field.kind, FieldKind::Autodate(options) if options.on_update)
                && !self.has_changed(&field.name)
            {
                self.set_at(index, Value::Text(now.to_string()));
            }
        }
    }

    /// Makes a new token key, which ends all sessions of an auth record.
    pub fn refresh_token_key(&mut self) {
        let generated = match self.collection.field("tokenKey").map(|field| &field.kind) {
            Some(FieldKind::Text(options)) => options.generate(),
            _ => return,
        };
        let key = generated.unwrap_or_else(|| id::random_string(TOKEN_KEY_CHARS));
        self.set("tokenKey", Value::Text(key));
    }

    /// The names of stored files that no field names any more.
    #[must_use]
    pub fn dropped_files(&self) -> Vec<String> {
        let mut dropped = Vec::new();
        if !self.stored || self.original.is_none() {
            return dropped;
        }
        for field in self.collection.fields() {
            if field.as_file().is_none() {
                continue;
            }
            let kept = |name: &str| {
                self.get(&field.name)
                    .is_some_and(|value| value.items().any(|kept| kept == name))
            };
            if let Some(before) = self.original(&field.name) {
                dropped.extend(before.items().filter(|name| !kept(name)).map(str::to_owned));
            }
        }
        dropped
    }

    /// The ids that a relation field holds and that its collection must have, when they changed: by field, with the id
    /// of the related collection.
    pub fn relation_ids_to_check(&self) -> impl Iterator<Item = (&str, &str, Vec<&str>)> {
        self.collection.fields().iter().filter_map(|field| {
            let options = field.as_relation()?;
            if !self.has_changed(&field.name) {
                return None;
            }
            let ids: Vec<&str> = self.get(&field.name)?.items().collect();
            (!ids.is_empty()).then_some((field.name.as_str(), options.collection_id.as_str(), ids))
        })
    }

    /// Checks all values. What only the store knows is left: whether related records exist, whether values are unique.
    ///
    /// # Errors
    /// By field, with PocketBase's codes and messages.
    pub fn validate(&self) -> Result<(), FieldErrors> {
        let mut errors = FieldErrors::new();
        for (field, value) in self.collection.fields().iter().zip(&self.values) {
            errors.check(&field.name, field.check_value(self, value));
        }
        errors.into_result()
    }
}
