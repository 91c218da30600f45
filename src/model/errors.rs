//! Validation errors by field, in PocketBase's shape.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::base::text;

/// Why one value was refused: `{"code":"validation_required","message":"Cannot be blank.","params":{..}?}`.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// Stable and machine readable, such as `validation_required`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// Values that stand in the message, such as `{"min": 3}`; left out of the answer when empty.
    pub params: Map<String, Json>,
}

impl FieldError {
    /// An error whose message is made a sentence: first letter upper case, a full stop unless it ends in `.`, `?` or `!`.
    #[must_use]
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: text::sentenize(&message.into()),
            params: Map::new(),
        }
    }

    /// Adds a parameter of the message; parameters print in alphabetical order.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.params.insert(name.to_owned(), value.into());
        self.params.sort_keys();
        self
    }
}

/// Errors by field name; those of array items and nested objects hang below their parent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldErrors {
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, PartialEq)]
enum Entry {
    Leaf(FieldError),
    Node(FieldErrors),
}

/// `owner: (id: Is missing); title: Cannot be blank.`
impl std::fmt::Display for FieldErrors {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (name, entry)) in self.entries.iter().enumerate() {
            if index > 0 {
                out.write_str("; ")?;
            }
            match entry {
                Entry::Leaf(error) => {
                    write!(out, "{name}: {}", error.message.trim_end_matches('.'))?;
                }
                Entry::Node(errors) => write!(out, "{name}: ({errors})")?,
            }
        }
        out.write_str(".")
    }
}

impl FieldErrors {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One field's error on its own.
    #[must_use]
    pub fn one(field: &str, error: FieldError) -> Self {
        let mut errors = Self::new();
        errors.add(field, error);
        errors
    }

    /// Records an error; the first error of a field stays.
    pub fn add(&mut self, field: &str, error: FieldError) {
        self.entries
            .entry(field.to_owned())
            .or_insert(Entry::Leaf(error));
    }

    /// Records the outcome of one check.
    pub fn check(&mut self, field: &str, outcome: Option<FieldError>) {
        if let Some(error) = outcome {
            self.add(field, error);
        }
    }

    /// Hangs `nested` below `field`, unless it is empty or the field has an error already.
    pub fn nest(&mut self, field: &str, nested: Self) {
        if !nested.is_empty() {
            self.entries
                .entry(field.to_owned())
                .or_insert(Entry::Node(nested));
        }
    }

    /// Takes over the entries of `other` for fields without an error.
    pub fn merge(&mut self, other: Self) {
        for (field, entry) in other.entries {
            self.entries.entry(field).or_insert(entry);
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[must_use]
    pub fn contains(&self, field: &str) -> bool {
        self.entries.contains_key(field)
    }

    /// `Err(self)` when there is any error.
    ///
    /// # Errors
    /// The collected errors.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }

    /// The errors of this level that are not nested, by field name in alphabetical order.
    pub fn leaves(&self) -> impl Iterator<Item = (&str, &FieldError)> {
        self.entries
            .iter()
            .filter_map(|(field, entry)| match entry {
                Entry::Leaf(error) => Some((field.as_str(), error)),
                Entry::Node(_) => None,
            })
    }

    /// The error of that field, unless there is none or it has nested ones.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&FieldError> {
        match self.entries.get(field) {
            Some(Entry::Leaf(error)) => Some(error),
            _ => None,
        }
    }

    /// The nested errors of that field.
    #[must_use]
    pub fn nested(&self, field: &str) -> Option<&Self> {
        match self.entries.get(field) {
            Some(Entry::Node(nested)) => Some(nested),
            _ => None,
        }
    }

    /// The value of `data` in an error body, keys sorted.
    #[must_use]
    pub fn to_json(&self) -> Map<String, Json> {
        let mut data = Map::new();
        for (field, entry) in &self.entries {
            let value = match entry {
                Entry::Node(nested) => Json::Object(nested.to_json()),
                Entry::Leaf(error) => {
                    let mut object = Map::new();
                    object.insert("code".into(), error.code.clone().into());
                    object.insert("message".into(), error.message.clone().into());
                    if !error.params.is_empty() {
                        object.insert("params".into(), Json::Object(error.params.clone()));
                    }
                    Json::Object(object)
                }
            };
            data.insert(field.clone(), value);
        }
        data
    }
}
