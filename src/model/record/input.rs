//! What clients send becomes values: plain keys, modifiers, uploads, passwords.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::{Record, Upload, UploadMode};
use crate::model::{FieldKind, Value, cast, field::Field};

/// How a key changes its field, as the key's prefix or suffix says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modifier {
    /// `name`
    Set,
    /// `name+`: adds to a number, appends to a list.
    Append,
    /// `+name`: puts before a list.
    Prepend,
    /// `name-`: subtracts from a number, removes from a list.
    Remove,
    /// `name:autogenerate`: the value with a generated text behind it.
    Autogenerate,
}

impl Modifier {
    /// Splits a body key into the field's name and the modifier.
    #[must_use]
    pub fn split(key: &str) -> (&str, Self) {
        if let Some(name) = key.strip_suffix('+') {
            (name, Self::Append)
        } else if let Some(name) = key.strip_suffix('-') {
            (name, Self::Remove)
        } else if let Some(name) = key.strip_prefix('+') {
            (name, Self::Prepend)
        } else if let Some(name) = key.strip_suffix(":autogenerate") {
            (name, Self::Autogenerate)
        } else {
            (key, Self::Set)
        }
    }

    /// Whether fields of that type take the modifier.
    #[must_use]
    pub fn fits(self, kind: &FieldKind) -> bool {
        match self {
            Self::Set => true,
            Self::Append | Self::Remove => is_list(kind) || matches!(kind, FieldKind::Number(_)),
            Self::Prepend => is_list(kind),
            Self::Autogenerate => matches!(kind, FieldKind::Text(_)),
        }
    }
}

fn is_list(kind: &FieldKind) -> bool {
    matches!(
        kind,
        FieldKind::Select(_) | FieldKind::Relation(_) | FieldKind::File(_)
    )
}

impl Record {
    /// Applies a request body: keys may carry modifiers; keys that name no field are left alone. Plain keys go before
    /// their modifiers (shorter keys first), so that `{"n+":1,"n":5}` gives 6. Dates that the server keeps stay.
    ///
    /// File fields take names; a name that belongs to [`Record::uploads`] is a new file. Uploads whose name does not end
    /// up in a field are dropped. Plain passwords are kept apart: see [`Record::plain_passwords`].
    ///
    /// Gives the body with modifiers resolved: the fields' resulting values under their plain names, as rules read them
    /// in `@request.body`.
    pub fn apply(&mut self, body: &Map<String, Json>) -> Map<String, Json> {
        let collection = Arc::clone(&self.collection);
        let mut resolved = Map::with_capacity(body.len());
        let mut touched = Vec::with_capacity(body.len());
        for (key, value) in body {
            match collection.resolve_key(key) {
                Some((index, modifier)) => touched.push((key.len(), index, modifier, value)),
                None => {
                    resolved.insert(key.clone(), value.clone());
                }
            }
        }
        touched.sort_by_key(|(length, ..)| *length);
        for (_, index, modifier, value) in &touched {
            if let Some(field) = collection.fields().get(*index) {
                self.apply_one(field, *index, *modifier, value);
            }
        }
        for (_, index, ..) in touched {
            if let Some(field) = collection.fields().get(index) {
                resolved.insert(field.name.clone(), self.input_json(field, index));
            }
        }
        self.drop_stray_uploads();
        resolved
    }

    /// Sets one field from loosely typed input, as [`Record::apply`] does for one key. Gives whether the key names a field.
    pub fn apply_key(&mut self, key: &str, value: &Json) -> bool {
        let collection = Arc::clone(&self.collection);
        let Some((index, modifier)) = collection.resolve_key(key) else {
            return false;
        };
        if let Some(field) = collection.fields().get(index) {
            self.apply_one(field, index, modifier, value);
        }
        true
    }

    fn apply_one(&mut self, field: &Field, index: usize, modifier: Modifier, input: &Json) {
        let value = match (&field.kind, modifier) {
            (FieldKind::Autodate(_), _) => return,
            (FieldKind::Password(_), _) => {
                self.set_password(&field.name, &cast::to_text(input));
                return;
            }
            (FieldKind::Text(options), Modifier::Autogenerate) => {
                let mut text = cast::to_text(input);
                text.push_str(&options.generate().unwrap_or_default());
                Value::Text(text)
            }
            (FieldKind::Number(_), Modifier::Append) => {
                Value::Number(self.number_at(index) + cast::to_number(input))
            }
            (FieldKind::Number(_), Modifier::Remove) => {
                Value::Number(self.number_at(index) - cast::to_number(input))
            }
            (_, Modifier::Set) => field.cast(input),
            _ => field.list_value(self.changed_list(field, index, modifier, input)),
        };
        self.set_at(index, value);
    }

    fn number_at(&self, index: usize) -> f64 {
        match self.values.get(index) {
            Some(Value::Number(number)) => *number,
            _ => 0.0,
        }
    }

    fn list_at(&self, index: usize) -> Vec<String> {
        self.values
            .get(index)
            .map(|value| value.items().map(str::to_owned).collect())
            .unwrap_or_default()
    }

    fn changed_list(
        &self,
        field: &Field,
        index: usize,
        modifier: Modifier,
        input: &Json,
    ) -> Vec<String> {
        let mut held = self.list_at(index);
        let mut given = field.cast_list(input);
        match modifier {
            Modifier::Prepend => {
                given.append(&mut held);
                cast::unique(given)
            }
            Modifier::Remove => {
                held.retain(|item| !given.contains(item));
                held
            }
            _ => {
                held.append(&mut given);
                cast::unique(held)
            }
        }
    }

    fn input_json(&self, field: &Field, index: usize) -> Json {
        match &field.kind {
            FieldKind::Password(_) => self.plain_password(&field.name).into(),
            _ => self.values.get(index).map_or(Json::Null, Value::to_json),
        }
    }

    /// Adds a file to a file field; other fields ignore it. Several files for one field that replace its present ones:
    /// the first with [`UploadMode::Replace`], the others with [`UploadMode::Append`].
    pub fn add_upload(&mut self, field: &str, mut upload: Upload, mode: UploadMode) {
        let collection = Arc::clone(&self.collection);
        let Some(index) = collection.field_index(field) else {
            return;
        };
        let Some(field) = collection
            .fields()
            .get(index)
            .filter(|field| field.as_file().is_some())
        else {
            return;
        };
        let mut names = match mode {
            UploadMode::Replace => Vec::new(),
            UploadMode::Append | UploadMode::Prepend => self.list_at(index),
        };
        let at = match mode {
            UploadMode::Prepend => 0,
            UploadMode::Replace | UploadMode::Append => names.len(),
        };
        names.insert(at, upload.name.clone());
        upload.field.clone_from(&field.name);
        self.uploads.push(upload);
        self.set_at(index, field.list_value(cast::unique(names)));
        self.drop_stray_uploads();
    }

    /// Forgets uploads that no field names, so that they are not stored in vain.
    fn drop_stray_uploads(&mut self) {
        if self.uploads.is_empty() {
            return;
        }
        let mut uploads = std::mem::take(&mut self.uploads);
        uploads.retain(|upload| {
            self.get(&upload.field)
                .is_some_and(|value| value.items().any(|name| name == upload.name))
        });
        self.uploads = uploads;
    }

    /// Sets a password that is not hashed yet. An empty one clears the hash.
    pub fn set_password(&mut self, field: &str, plain: &str) {
        if plain.is_empty() {
            self.set(field, Value::Text(String::new()));
            if let Some(extras) = &mut self.extras {
                extras.plain_passwords.remove(field);
            }
            return;
        }
        self.extras_mut()
            .plain_passwords
            .insert(field.to_owned(), plain.to_owned());
    }

    /// The passwords that wait to be hashed, by field.
    pub fn plain_passwords(&self) -> impl Iterator<Item = (&str, &str)> {
        self.extras
            .iter()
            .flat_map(|extras| &extras.plain_passwords)
            .map(|(field, plain)| (field.as_str(), plain.as_str()))
    }

    /// The password set anew in that field; empty when there is none.
    #[must_use]
    pub fn plain_password(&self, field: &str) -> &str {
        self.extras
            .as_ref()
            .and_then(|extras| extras.plain_passwords.get(field))
            .map_or("", String::as_str)
    }

    /// Stores the hash of a plain password, unless the password was changed again meanwhile. The plain text stays for
    /// validation until [`Record::mark_saved`].
    pub fn set_password_hash(&mut self, field: &str, plain: &str, hash: String) {
        if self.plain_password(field) == plain {
            self.set(field, Value::Text(hash));
        }
    }

    /// Drops members that the caller may not set: those that lead to hidden fields, but an auth record's password.
    pub fn retain_settable(&self, body: &mut Map<String, Json>) {
        let is_auth = self.collection.is_auth();
        body.retain(|key, _| {
            self.collection
                .field_of_key(key)
                .is_none_or(|field| !field.hidden || (is_auth && field.name == "password"))
        });
    }
}
