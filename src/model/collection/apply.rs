//! Bodies of collection requests.

use serde_json::{Map, Value as Json};

use super::{Collection, CollectionKind, fields};
use crate::base::DateTime;

impl Collection {
    /// A new collection from a request body: the defaults of its type with the body's members over them.
    ///
    /// # Errors
    /// A member has the wrong JSON type; the text names it.
    pub fn from_body(body: &Map<String, Json>) -> Result<Self, String> {
        let kind = text(body, "type")?.unwrap_or_default();
        let name = text(body, "name")?.unwrap_or_default();
        let kind = CollectionKind::from_name(&kind).unwrap_or(CollectionKind::Base);
        let mut collection = Self::new(kind, &name);
        collection.apply_json(body)?;
        Ok(collection)
    }

    /// Takes over the members of a request body. Members that it leaves out stay; `fields`, `indexes` and the auth
    /// options' lists are replaced as a whole; null resets a member to its zero value.
    ///
    /// # Errors
    /// A member has the wrong JSON type; the text names it. The collection may be half changed then.
    pub fn apply_json(&mut self, body: &Map<String, Json>) -> Result<(), String> {
        for (slot, name) in [
            (&mut self.id, "id"),
            (&mut self.name, "name"),
            (&mut self.view_query, "viewQuery"),
        ] {
            if let Some(text) = text(body, name)? {
                *slot = text;
            }
        }
        for (slot, name) in [
            (&mut self.created, "created"),
            (&mut self.updated, "updated"),
        ] {
            if let Some(text) = text(body, name)? {
                *slot = DateTime::parse(&text).unwrap_or_default().to_string();
            }
        }
        if let Some(kind) = text(body, "type")? {
            self.set_kind(&kind);
        }
        match body.get("system") {
            None => {}
            Some(Json::Null) => self.system = false,
            Some(Json::Bool(flag)) => self.system = *flag,
            Some(_) => return Err("system: must be true or false".to_owned()),
        }
        for (slot, name) in [
            (&mut self.list_rule, "listRule"),
            (&mut self.view_rule, "viewRule"),
            (&mut self.create_rule, "createRule"),
            (&mut self.update_rule, "updateRule"),
            (&mut self.delete_rule, "deleteRule"),
        ] {
            match body.get(name) {
                None => {}
                Some(Json::Null) => *slot = None,
                Some(Json::String(rule)) => *slot = Some(rule.clone()),
                Some(_) => return Err(format!("{name}: must be a text or null")),
            }
        }
        if let Some(value) = body.get("fields") {
            self.set_fields(fields::from_json(value)?);
        }
        match body.get("indexes") {
            None => {}
            Some(Json::Null) => self.indexes.clear(),
            Some(value) => {
                self.indexes = serde_json::from_value(value.clone())
                    .map_err(|error| format!("indexes: {error}"))?;
            }
        }
        if let Some(auth) = &mut self.auth {
            auth.merge_json(body)?;
        }
        Ok(())
    }

    /// An empty type is `base`; one that does not exist waits for validation.
    fn set_kind(&mut self, name: &str) {
        self.unknown_kind = None;
        match CollectionKind::from_name(name) {
            Some(kind) => self.kind = kind,
            None if name.is_empty() => self.kind = CollectionKind::Base,
            None => self.unknown_kind = Some(name.to_owned()),
        }
    }
}

fn text(body: &Map<String, Json>, name: &str) -> Result<Option<String>, String> {
    match body.get(name) {
        None => Ok(None),
        Some(Json::Null) => Ok(Some(String::new())),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("{name}: must be a text")),
    }
}
