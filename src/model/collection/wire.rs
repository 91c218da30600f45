//! Collections as JSON for the API, and as rows of `_collections`.

use serde_json::{Map, Value as Json};

use super::{AuthOptions, Collection, CollectionKind, Field, fields};
use crate::base::json;

/// A row of `_collections`, with its JSON columns as text.
#[derive(Clone, Debug, Default)]
pub struct CollectionRow {
    pub id: String,
    pub name: String,
    /// The `type` column.
    pub kind: String,
    pub system: bool,
    pub fields: String,
    pub indexes: String,
    pub list_rule: Option<String>,
    pub view_rule: Option<String>,
    pub create_rule: Option<String>,
    pub update_rule: Option<String>,
    pub delete_rule: Option<String>,
    pub options: String,
    pub created: String,
    pub updated: String,
}

impl Collection {
    /// Reads a row.
    ///
    /// # Errors
    /// A column that is not the JSON it should be, or an unknown type; the text names the column.
    pub fn from_row(row: CollectionRow) -> Result<Self, String> {
        let kind = CollectionKind::from_name(&row.kind)
            .ok_or_else(|| format!("type: unknown collection type \"{}\"", row.kind))?;
        let mut collection = Self::blank(kind, &row.name);
        collection.id = row.id;
        collection.system = row.system;
        collection.list_rule = row.list_rule;
        collection.view_rule = row.view_rule;
        collection.create_rule = row.create_rule;
        collection.update_rule = row.update_rule;
        collection.delete_rule = row.delete_rule;
        collection.created = row.created;
        collection.updated = row.updated;
        collection.set_fields(fields::from_json(&parse("fields", &row.fields)?)?);
        collection.indexes = match parse("indexes", &row.indexes)? {
            Json::Null => Vec::new(),
            value => serde_json::from_value(value).map_err(|error| format!("indexes: {error}"))?,
        };
        let Json::Object(options) = parse("options", &row.options)? else {
            return Ok(collection);
        };
        match kind {
            CollectionKind::Base => {}
            CollectionKind::View => {
                if let Some(Json::String(query)) = options.get("viewQuery") {
                    collection.view_query.clone_from(query);
                }
            }
            CollectionKind::Auth => {
                let mut auth = AuthOptions::default();
                auth.merge_json(&options)?;
                collection.auth = Some(Box::new(auth));
            }
        }
        Ok(collection)
    }

    /// The row that [`Collection::from_row`] reads, secrets included.
    #[must_use]
    pub fn to_row(&self) -> CollectionRow {
        CollectionRow {
            id: self.id.clone(),
            name: self.name.clone(),
            kind: self.kind.name().to_owned(),
            system: self.system,
            fields: json::to_text(&self.fields_json()),
            indexes: json::to_text(&self.indexes.iter().cloned().map(Json::String).collect()),
            list_rule: self.list_rule.clone(),
            view_rule: self.view_rule.clone(),
            create_rule: self.create_rule.clone(),
            update_rule: self.update_rule.clone(),
            delete_rule: self.delete_rule.clone(),
            options: json::to_text(&Json::Object(self.options_json())),
            created: self.created.clone(),
            updated: self.updated.clone(),
        }
    }

    /// The collection as the API shows it, without secrets, in PocketBase's member order.
    #[must_use]
    pub fn to_json(&self) -> Map<String, Json> {
        let rule = |rule: &Option<String>| rule.clone().map_or(Json::Null, Json::String);
        let mut object = Map::new();
        object.insert("id".into(), self.id.clone().into());
        object.insert("listRule".into(), rule(&self.list_rule));
        object.insert("viewRule".into(), rule(&self.view_rule));
        object.insert("createRule".into(), rule(&self.create_rule));
        object.insert("updateRule".into(), rule(&self.update_rule));
        object.insert("deleteRule".into(), rule(&self.delete_rule));
        object.insert("name".into(), self.name.clone().into());
        object.insert("type".into(), self.kind.name().into());
        object.insert("fields".into(), self.fields_json());
        object.insert("indexes".into(), self.indexes.clone().into());
        object.insert("created".into(), self.created.clone().into());
        object.insert("updated".into(), self.updated.clone().into());
        object.insert("system".into(), self.system.into());
        match (self.kind, &self.auth) {
            (CollectionKind::Auth, Some(auth)) => object.extend(auth.without_secrets().to_json()),
            (CollectionKind::View, _) => {
                object.insert("viewQuery".into(), self.view_query.clone().into());
            }
            _ => {}
        }
        object
    }

    /// The `fields` member.
    #[must_use]
    pub fn fields_json(&self) -> Json {
        self.fields.iter().map(Field::to_json).collect()
    }

    /// The `options` column, secrets included.
    #[must_use]
    pub fn options_json(&self) -> Map<String, Json> {
        match (self.kind, &self.auth) {
            (CollectionKind::Auth, Some(auth)) => auth.to_json(),
            (CollectionKind::View, _) => {
                let query = self.view_query.clone().into();
                Map::from_iter([("viewQuery".to_owned(), query)])
            }
            _ => Map::new(),
        }
    }
}

fn parse(column: &str, text: &str) -> Result<Json, String> {
    if text.is_empty() {
        return Ok(Json::Null);
    }
    serde_json::from_str(text).map_err(|error| format!("{column}: {error}"))
}
