//! The options of each field type, named on the wire as in PocketBase's collection JSON (camelCase).

use serde::{Deserialize, Serialize};

/// `text`: length limits in characters (0: the default bound, 5000 for `max`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TextOptions {
    pub min: i64,
    pub max: i64,
    pub pattern: String,
    pub autogenerate_pattern: String,
    pub required: bool,
    pub primary_key: bool,
}

/// `editor`: rich text; `max_size` in bytes (0: 5 MiB).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EditorOptions {
    pub max_size: i64,
    #[serde(rename = "convertURLs")]
    pub convert_urls: bool,
    pub required: bool,
}

/// `number`: optional bounds, both inclusive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NumberOptions {
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub only_int: bool,
    pub required: bool,
}

/// `bool`: `required` means true.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BoolOptions {
    pub required: bool,
}

/// `email`: domain allow or deny list, never both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EmailOptions {
    pub except_domains: Option<Vec<String>>,
    pub only_domains: Option<Vec<String>>,
    pub required: bool,
}

/// `url`: domain allow or deny list, never both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UrlOptions {
    pub except_domains: Option<Vec<String>>,
    pub only_domains: Option<Vec<String>>,
    pub required: bool,
}

/// `date`: optional inclusive bounds as date texts; empty: none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DateOptions {
    pub min: String,
    pub max: String,
    pub required: bool,
}

/// `autodate`: set by the server on create and/or update.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AutodateOptions {
    pub on_create: bool,
    pub on_update: bool,
}

/// `select`: allowed values; more than one may be chosen when `max_select > 1`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SelectOptions {
    pub values: Option<Vec<String>>,
    pub max_select: i64,
    pub required: bool,
}

/// `file`: `max_size` in bytes per file (0: 5 MiB).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FileOptions {
    pub max_size: i64,
    pub max_select: i64,
    pub mime_types: Option<Vec<String>>,
    pub thumbs: Option<Vec<String>>,
    pub protected: bool,
    pub required: bool,
}

/// `relation`: ids of records of another collection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RelationOptions {
    pub collection_id: String,
    pub cascade_delete: bool,
    pub min_select: i64,
    pub max_select: i64,
    pub required: bool,
}

/// `json`: `max_size` in bytes (0: 1 MiB).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JsonOptions {
    pub max_size: i64,
    pub required: bool,
}

/// `password`: length limits in characters (0: none below, 71 above); `cost` of bcrypt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PasswordOptions {
    pub pattern: String,
    pub min: i64,
    pub max: i64,
    pub cost: i64,
    pub required: bool,
}

/// `geoPoint`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GeoPointOptions {
    pub required: bool,
}
