//! Field definitions: common attributes, the options of each type, casting and validation, a file per type.

mod options;

pub use options::{
    AutodateOptions, BoolOptions, DateOptions, EditorOptions, EmailOptions, FileOptions,
    GeoPointOptions, JsonOptions, NumberOptions, PasswordOptions, RelationOptions, SelectOptions,
    TextOptions, UrlOptions,
};

/// One field of a collection. Its JSON form is PocketBase's: alphabetical keys, options beside the common attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Stable across renames, such as `text3208210256`.
    pub id: String,
    pub name: String,
    /// Cannot be renamed or removed by clients.
    pub system: bool,
    /// Left out of answers to non-superusers and not filterable by them.
    pub hidden: bool,
    pub presentable: bool,
    /// A hint for people, shown by the dashboard; autodate fields have none.
    pub help: String,
    pub kind: FieldKind,
}

/// The type of a field with its options.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldKind {
    Text(TextOptions),
    Editor(EditorOptions),
    Number(NumberOptions),
    Bool(BoolOptions),
    Email(EmailOptions),
    Url(UrlOptions),
    Date(DateOptions),
    Autodate(AutodateOptions),
    Select(SelectOptions),
    File(FileOptions),
    Relation(RelationOptions),
    Json(JsonOptions),
    Password(PasswordOptions),
    GeoPoint(GeoPointOptions),
}

impl FieldKind {
    /// The name on the wire, such as `geoPoint`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Editor(_) => "editor",
            Self::Number(_) => "number",
            Self::Bool(_) => "bool",
            Self::Email(_) => "email",
            Self::Url(_) => "url",
            Self::Date(_) => "date",
            Self::Autodate(_) => "autodate",
            Self::Select(_) => "select",
            Self::File(_) => "file",
            Self::Relation(_) => "relation",
            Self::Json(_) => "json",
            Self::Password(_) => "password",
            Self::GeoPoint(_) => "geoPoint",
        }
    }
}

impl Field {
    /// Whether values are lists: select, relation and file fields with `maxSelect > 1`.
    #[must_use]
    pub fn is_multiple(&self) -> bool {
        match &self.kind {
            FieldKind::Select(options) => options.max_select > 1,
            FieldKind::File(options) => options.max_select > 1,
            FieldKind::Relation(options) => options.max_select > 1,
            _ => false,
        }
    }

    /// The options of a relation field.
    #[must_use]
    pub fn as_relation(&self) -> Option<&RelationOptions> {
        match &self.kind {
            FieldKind::Relation(options) => Some(options),
            _ => None,
        }
    }

    /// The options of a file field.
    #[must_use]
    pub fn as_file(&self) -> Option<&FileOptions> {
        match &self.kind {
            FieldKind::File(options) => Some(options),
            _ => None,
        }
    }
}

impl Field {
    /// What the field holds when nothing was set.
    #[must_use]
    pub fn zero_value(&self) -> super::Value {
        use super::{GeoPoint, Value};
        match &self.kind {
            FieldKind::Number(_) => Value::Number(0.0),
            FieldKind::Bool(_) => Value::Bool(false),
            FieldKind::Json(_) => Value::Json("null".to_owned()),
            FieldKind::GeoPoint(_) => Value::Geo(GeoPoint::default()),
            _ if self.is_multiple() => Value::List(Vec::new()),
            _ => Value::Text(String::new()),
        }
    }
}
