//! Records as JSON, for answers and scripts. The members stand in alphabetical order.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value as Json};

use super::Record;
use crate::base::json;
use crate::model::collection::ExportSlot;
use crate::model::{FieldKind, Value};

/// How a record is shown.
#[derive(Clone, Copy, Default)]
pub struct ExportView<'a> {
    /// Hidden fields show, as superusers see them. Password and token key of auth records never do.
    pub with_hidden: bool,
    /// The e-mail address of an auth record shows whatever its `emailVisibility` says.
    pub show_email: bool,
    /// The `expand` member; nothing leaves it out.
    pub expand: Option<&'a dyn WriteExpand>,
}

/// Writes the value of an `expand` member: an object of records and arrays of records.
pub trait WriteExpand {
    /// Appends the object.
    fn write_json(&self, out: &mut Vec<u8>);
}

/// Expanded relations by field or back-relation name.
pub type Expand = BTreeMap<String, ExpandedValue>;

/// One expanded relation.
#[derive(Clone, Debug)]
pub enum ExpandedValue {
    One(Box<ExpandedRecord>),
    Many(Vec<ExpandedRecord>),
}

/// A related record with what its reader may see of it.
#[derive(Clone, Debug)]
pub struct ExpandedRecord {
    pub record: Arc<Record>,
    pub with_hidden: bool,
    pub show_email: bool,
    pub expand: Option<Expand>,
}

impl ExpandedRecord {
    /// Appends the record with what is expanded below it.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let view = ExportView {
            with_hidden: self.with_hidden,
            show_email: self.show_email,
            expand: self
                .expand
                .as_ref()
                .map(|expand| expand as &dyn WriteExpand),
        };
        self.record.write_json(out, &view);
    }
}

impl WriteExpand for Expand {
    fn write_json(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (index, (name, value)) in self.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            json::write_str(out, name);
            out.push(b':');
            match value {
                ExpandedValue::One(record) => record.write_json(out),
                ExpandedValue::Many(records) => {
                    out.push(b'[');
                    for (index, record) in records.iter().enumerate() {
                        if index > 0 {
                            out.push(b',');
                        }
                        record.write_json(out);
                    }
                    out.push(b']');
                }
            }
        }
        out.push(b'}');
    }
}

impl Record {
    /// Appends the record as a JSON object.
    pub fn write_json(&self, out: &mut Vec<u8>, view: &ExportView<'_>) {
        if self.exports_custom() {
            let members = self.to_json(view);
            json::write_map_sorted(out, &members);
            return;
        }
        let before = out.len();
        for slot in self.collection.export_slots() {
            if !self.is_shown(slot, view) {
                continue;
            }
            out.push(if out.len() == before { b'{' } else { b',' });
            out.extend_from_slice(slot.key_json());
            self.write_member(out, slot, view);
        }
        if out.len() == before {
            out.push(b'{');
        }
        out.push(b'}');
    }

    /// The record as a JSON object, for scripts and `@request.auth`.
    #[must_use]
    pub fn to_json(&self, view: &ExportView<'_>) -> Map<String, Json> {
        let mut members = Map::new();
        for slot in self.collection.export_slots() {
            if self.is_shown(slot, view) {
                members.insert(
                    slot.name(&self.collection).to_owned(),
                    self.member(slot, view),
                );
            }
        }
        if let Some(extras) = self.extras.as_ref().filter(|extras| extras.export_custom) {
            for (name, value) in &extras.custom {
                if extras.visibility.get(name) != Some(&false) && !members.contains_key(name) {
                    members.insert(name.clone(), value.clone());
                }
            }
            members.sort_keys();
        }
        members
    }

    fn exports_custom(&self) -> bool {
        self.extras
            .as_ref()
            .is_some_and(|extras| extras.export_custom && !extras.custom.is_empty())
    }

    fn is_shown(&self, slot: &ExportSlot, view: &ExportView<'_>) -> bool {
        if let ExportSlot::Expand = slot
            && view.expand.is_none()
        {
            return false;
        }
        let name = slot.name(&self.collection);
        let chosen = self
            .extras
            .as_ref()
            .and_then(|extras| extras.visibility.get(name).copied());
        let ExportSlot::Field { index, .. } = slot else {
            return chosen.unwrap_or(true);
        };
        let hidden = self
            .collection
            .fields()
            .get(*index)
            .is_none_or(|field| field.hidden);
        if !chosen.unwrap_or(view.with_hidden || !hidden) {
            return false;
        }
        if !self.collection.is_auth() {
            return true;
        }
        match name {
            "password" | "tokenKey" => false,
            "email" => {
                view.show_email || self.ignores_email_visibility() || self.flag("emailVisibility")
            }
            _ => true,
        }
    }

    fn ignores_email_visibility(&self) -> bool {
        self.extras
            .as_ref()
            .is_some_and(|extras| extras.ignore_email_visibility)
    }

    fn write_member(&self, out: &mut Vec<u8>, slot: &ExportSlot, view: &ExportView<'_>) {
        match slot {
            ExportSlot::CollectionId => json::write_str(out, &self.collection.id),
            ExportSlot::CollectionName => json::write_str(out, &self.collection.name),
            ExportSlot::Expand => {
                if let Some(expand) = view.expand {
                    expand.write_json(out);
                }
            }
            ExportSlot::Field { index, .. } => match self.values.get(*index) {
                Some(_) if self.is_password(*index) => out.extend_from_slice(b"\"\""),
                Some(value) => value.write_json(out),
                None => out.extend_from_slice(b"null"),
            },
        }
    }

    fn member(&self, slot: &ExportSlot, view: &ExportView<'_>) -> Json {
        match slot {
            ExportSlot::CollectionId => self.collection.id.clone().into(),
            ExportSlot::CollectionName => self.collection.name.clone().into(),
            ExportSlot::Expand => {
                let mut text = Vec::new();
                if let Some(expand) = view.expand {
                    expand.write_json(&mut text);
                }
                serde_json::from_slice(&text).unwrap_or_default()
            }
            ExportSlot::Field { index, .. } => match self.values.get(*index) {
                Some(_) if self.is_password(*index) => "".into(),
                value => value.map_or(Json::Null, Value::to_json),
            },
        }
    }

    /// Hashes never leave the server: a password shows as an empty text.
    fn is_password(&self, index: usize) -> bool {
        self.collection
            .fields()
            .get(index)
            .is_some_and(|field| matches!(field.kind, FieldKind::Password(_)))
    }

    /// Leaves members out of exports of this record.
    pub fn hide<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        self.set_visibility(names, false);
    }

    /// Shows hidden fields in exports of this record.
    pub fn unhide<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        self.set_visibility(names, true);
    }

    fn set_visibility<'a>(&mut self, names: impl IntoIterator<Item = &'a str>, shown: bool) {
        let visibility = &mut self.extras_mut().visibility;
        for name in names {
            visibility.insert(name.to_owned(), shown);
        }
    }

    /// Shows the e-mail address in exports of this record whatever its `emailVisibility` says.
    pub fn ignore_email_visibility(&mut self, ignore: bool) {
        self.extras_mut().ignore_email_visibility = ignore;
    }

    /// Keeps a value that is no field; it is exported when [`Record::export_custom`] is on.
    pub fn set_custom(&mut self, name: &str, value: Json) {
        self.extras_mut().custom.insert(name.to_owned(), value);
    }

    /// A value kept with [`Record::set_custom`].
    #[must_use]
    pub fn custom(&self, name: &str) -> Option<&Json> {
        self.extras.as_ref()?.custom.get(name)
    }

    /// All values kept with [`Record::set_custom`].
    #[must_use]
    pub fn custom_members(&self) -> &Map<String, Json> {
        static NONE: LazyLock<Map<String, Json>> = LazyLock::new(Map::new);
        self.extras.as_ref().map_or(&NONE, |extras| &extras.custom)
    }

    /// Whether a member is not hidden by [`Record::hide`].
    #[must_use]
    pub fn shows(&self, name: &str) -> bool {
        let chosen = self.extras.as_ref();
        chosen.and_then(|extras| extras.visibility.get(name).copied()) != Some(false)
    }

    /// Whether values that are no fields are exported.
    pub fn export_custom(&mut self, export: bool) {
        self.extras_mut().export_custom = export;
    }
}
