//! The JSON form of fields, as in `_collections.fields` and in collection bodies: options beside the common attributes,
//! keys in alphabetical order.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use super::{Field, FieldKind};
use crate::base::{DateTime, id};

impl Field {
    /// Reads a field. Unknown members are ignored; null counts as absent; absent members take their zero value.
    ///
    /// # Errors
    /// The type is missing or unknown, or a member has the wrong JSON type; the text names the member.
    pub fn from_json(object: &Map<String, Json>) -> Result<Self, String> {
        let kind_name = match object.get("type") {
            Some(Json::String(name)) => name.as_str(),
            Some(Json::Null) | None => "",
            Some(_) => return Err("type: must be a text".to_owned()),
        };
        Ok(Self {
            id: text(object, "id")?,
            name: text(object, "name")?,
            system: flag(object, "system")?,
            hidden: flag(object, "hidden")?,
            presentable: flag(object, "presentable")?,
            help: text(object, "help")?,
            kind: FieldKind::from_json(kind_name, object)?,
        })
    }

    /// The JSON form that [`Field::from_json`] reads, keys in alphabetical order.
    #[must_use]
    pub fn to_json(&self) -> Map<String, Json> {
        let mut object = self.kind.options_json();
        object.insert("id".into(), self.id.clone().into());
        object.insert("name".into(), self.name.clone().into());
        object.insert("system".into(), self.system.into());
        object.insert("hidden".into(), self.hidden.into());
        object.insert("presentable".into(), self.presentable.into());
        object.insert("type".into(), self.kind.type_name().into());
        if !matches!(self.kind, FieldKind::Autodate(_)) {
            object.insert("help".into(), self.help.clone().into());
        }
        object.sort_keys();
        object
    }

    /// The id that a field without one gets: its type and the CRC-32 of its name, such as `text3208210256`.
    #[must_use]
    pub fn default_id(&self) -> String {
        format!("{}{}", self.kind.type_name(), id::crc32_decimal(&self.name))
    }
}

impl FieldKind {
    /// The options of a type, read from the members of a field object.
    fn from_json(kind: &str, object: &Map<String, Json>) -> Result<Self, String> {
        Ok(match kind {
            "text" => Self::Text(options(object)?),
            "editor" => Self::Editor(options(object)?),
            "number" => Self::Number(options(object)?),
            "bool" => Self::Bool(options(object)?),
            "email" => Self::Email(options(object)?),
            "url" => Self::Url(options(object)?),
            "date" => {
                let mut date: super::DateOptions = options(object)?;
                date.min = normal_date(&date.min);
                date.max = normal_date(&date.max);
                Self::Date(date)
            }
            "autodate" => Self::Autodate(options(object)?),
            "select" => Self::Select(options(object)?),
            "file" => Self::File(options(object)?),
            "relation" => Self::Relation(options(object)?),
            "json" => Self::Json(options(object)?),
            "password" => Self::Password(options(object)?),
            "geoPoint" => Self::GeoPoint(options(object)?),
            "" => return Err("type: missing field type".to_owned()),
            other => return Err(format!("type: unknown field type \"{other}\"")),
        })
    }

    fn options_json(&self) -> Map<String, Json> {
        match self {
            Self::Text(options) => members(options),
            Self::Editor(options) => members(options),
            Self::Number(options) => members(options),
            Self::Bool(options) => members(options),
            Self::Email(options) => members(options),
            Self::Url(options) => members(options),
            Self::Date(options) => members(options),
            Self::Autodate(options) => members(options),
            Self::Select(options) => members(options),
            Self::File(options) => members(options),
            Self::Relation(options) => members(options),
            Self::Json(options) => members(options),
            Self::Password(options) => members(options),
            Self::GeoPoint(options) => members(options),
        }
    }
}

fn text(object: &Map<String, Json>, key: &str) -> Result<String, String> {
    match object.get(key) {
        None | Some(Json::Null) => Ok(String::new()),
        Some(Json::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("{key}: must be a text")),
    }
}

fn flag(object: &Map<String, Json>, key: &str) -> Result<bool, String> {
    match object.get(key) {
        None | Some(Json::Null) => Ok(false),
        Some(Json::Bool(flag)) => Ok(*flag),
        Some(_) => Err(format!("{key}: must be true or false")),
    }
}

fn normal_date(text: &str) -> String {
    DateTime::parse(text).unwrap_or_default().to_string()
}

fn options<T: DeserializeOwned>(object: &Map<String, Json>) -> Result<T, String> {
    let present: Map<String, Json> = object
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    serde_json::from_value(Json::Object(present)).map_err(|error| error.to_string())
}

/// Lists, which print as empty ones when they were never set.
const LISTS: [&str; 5] = [
    "exceptDomains",
    "onlyDomains",
    "values",
    "mimeTypes",
    "thumbs",
];

/// The members of an options struct; whole numbers print without a fraction.
fn members<T: Serialize>(options: &T) -> Map<String, Json> {
    let Ok(Json::Object(mut object)) = serde_json::to_value(options) else {
        return Map::new();
    };
    for (name, value) in &mut object {
        if value.is_null() && LISTS.contains(&name.as_str()) {
            *value = Json::Array(Vec::new());
        }
        if let Json::Number(number) = &*value
            && number.is_f64()
            && let Some(float) = number.as_f64()
        {
            *value = super::super::value::json_number(float);
        }
    }
    object
}
