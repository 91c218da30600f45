//! A collection: its fields, rules, indexes and the options of its kind.

mod apply;
mod auth;
mod defaults;
mod export_order;
mod fields;
pub mod index;
mod templates;
mod validate;
mod validate_auth;
mod validate_fields;
mod wire;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::field::{Field, FieldKind};
use super::pattern::DEFAULT_ID_PATTERN;
use super::record::Modifier;

pub use auth::{
    AuthAlertConfig, AuthOptions, EmailTemplate, MfaConfig, OAuth2Config, OAuth2MappedFields,
    OAuth2Provider, OtpConfig, PasswordAuthConfig, TokenConfig, TokenKind,
};
pub(crate) use export_order::ExportSlot;
pub use validate::SchemaFacts;
pub use wire::CollectionRow;

/// What a collection holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CollectionKind {
    Base,
    Auth,
    View,
}

impl CollectionKind {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Auth => "auth",
            Self::View => "view",
        }
    }

    /// The kind of that name on the wire.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "base" => Some(Self::Base),
            "auth" => Some(Self::Auth),
            "view" => Some(Self::View),
            _ => None,
        }
    }
}

/// A set of records with one shape. Immutable once shared: a change makes a new value (see [`super::Schema`]).
///
/// A rule is `None` for superusers only, an empty text for everyone, else a filter.
#[derive(Clone, Debug)]
pub struct Collection {
    pub id: String,
    pub name: String,
    pub kind: CollectionKind,
    pub system: bool,
    pub list_rule: Option<String>,
    pub view_rule: Option<String>,
    pub create_rule: Option<String>,
    pub update_rule: Option<String>,
    pub delete_rule: Option<String>,
    /// `CREATE INDEX` statements as the user wrote them.
    pub indexes: Vec<String>,
    /// Dates as texts.
    pub created: String,
    pub updated: String,
    /// Set for auth collections.
    pub auth: Option<Box<AuthOptions>>,
    /// The SELECT of a view collection, else empty.
    pub view_query: String,
    fields: Vec<Field>,
    by_name: HashMap<String, usize>,
    export_slots: Vec<ExportSlot>,
    /// The id that was made from type and name, to be made again when it turns out to be taken.
    generated_id: Option<String>,
    /// A type that a client asked for and that does not exist; validation refuses it.
    unknown_kind: Option<String>,
}

impl Collection {
    /// The fields in their stored order; a record's values are aligned with them.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field of that exact name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.by_name.get(name).map(|index| &self.fields[*index])
    }

    /// The position of the field of that exact name in [`Collection::fields`].
    #[must_use]
    pub fn field_index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Replaces all fields.
    pub fn set_fields(&mut self, fields: Vec<Field>) {
        self.by_name = fields
            .iter()
            .enumerate()
            .map(|(index, field)| (field.name.clone(), index))
            .collect();
        self.export_slots = export_order::slots(&fields);
        self.fields = fields;
    }

    /// Adds a field, or puts it in the place of the one with its id; a field without an id takes the place and id of the
    /// one with its name, or gets an id of its own.
    pub fn add_field(&mut self, field: Field) {
        let mut list = std::mem::take(&mut self.fields);
        fields::add(&mut list, field);
        self.set_fields(list);
    }

    /// Removes the field of that name, if there is one.
    pub fn remove_field(&mut self, name: &str) {
        let mut list = std::mem::take(&mut self.fields);
        list.retain(|field| field.name != name);
        self.set_fields(list);
    }

    /// Whether ids may look other than PocketBase's own. Such ids differ in more than case, which a new record's id must
    /// be checked for; a clash is `validation_pk_invalid` on `id`, elsewhere `validation_not_unique`.
    #[must_use]
    pub fn has_custom_ids(&self) -> bool {
        self.field("id").is_some_and(|field| match &field.kind {
            FieldKind::Text(options) => options.pattern != DEFAULT_ID_PATTERN,
            _ => true,
        })
    }

    /// The statement of the index with that name, without regard to case.
    #[must_use]
    pub fn index_named(&self, name: &str) -> Option<&str> {
        self.indexes
            .iter()
            .find(|text| index::Index::parse(text).name.eq_ignore_ascii_case(name))
            .map(String::as_str)
    }

    /// Adds an index over `columns` (SQL, as between the parentheses), in place of one of that name. `condition` is the
    /// SQL behind `WHERE`, or empty.
    pub fn add_index(&mut self, name: &str, unique: bool, columns: &str, condition: &str) {
        self.remove_index(name);
        let kind = if unique { "UNIQUE INDEX" } else { "INDEX" };
        let mut text = format!("CREATE {kind} `{name}` ON `{}` ({columns})", self.name);
        if !condition.is_empty() {
            text.push_str(" WHERE ");
            text.push_str(condition);
        }
        self.indexes.push(text);
    }

    /// Removes the index of that name, if there is one.
    pub fn remove_index(&mut self, name: &str) {
        self.indexes
            .retain(|text| !index::Index::parse(text).name.eq_ignore_ascii_case(name));
    }

    /// The field with that id.
    #[must_use]
    pub fn field_by_id(&self, id: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.id == id)
    }

    /// The field that a body key leads to, with or without a modifier such as in `count+`.
    #[must_use]
    pub fn field_of_key(&self, key: &str) -> Option<&Field> {
        self.resolve_key(key)
            .and_then(|(index, _)| self.fields.get(index))
    }

    /// Position of the field that a body key leads to, and how the key changes it.
    #[must_use]
    pub fn resolve_key(&self, key: &str) -> Option<(usize, Modifier)> {
        if let Some(index) = self.field_index(key) {
            return Some((index, Modifier::Set));
        }
        let (name, modifier) = Modifier::split(key);
        let index = self.field_index(name)?;
        let field = self.fields.get(index)?;
        modifier.fits(&field.kind).then_some((index, modifier))
    }

    pub(crate) fn export_slots(&self) -> &[ExportSlot] {
        &self.export_slots
    }

    #[must_use]
    pub fn is_auth(&self) -> bool {
        self.kind == CollectionKind::Auth
    }

    #[must_use]
    pub fn is_view(&self) -> bool {
        self.kind == CollectionKind::View
    }

    /// The unique index over just this column, if there is one.
    #[must_use]
    pub fn unique_index(&self, column: &str) -> Option<index::Index> {
        index::find_unique(&self.indexes, column)
    }

    /// All rules that are set, those of sign-in included.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        let auth = self.auth.as_deref();
        [
            self.list_rule.as_deref(),
            self.view_rule.as_deref(),
            self.create_rule.as_deref(),
            self.update_rule.as_deref(),
            self.delete_rule.as_deref(),
            auth.and_then(|auth| auth.auth_rule.as_deref()),
            auth.and_then(|auth| auth.manage_rule.as_deref()),
            auth.map(|auth| auth.mfa.rule.as_str()),
        ]
        .into_iter()
        .flatten()
    }

    /// Whether this is `_superusers`.
    #[must_use]
    pub fn is_superusers(&self) -> bool {
        self.name == "_superusers"
    }
}
