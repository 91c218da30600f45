//! Field definitions: common attributes, the options of each type, casting and validation, a file per type.

mod bool;
mod date;
mod editor;
mod email;
mod file;
mod geo_point;
mod json;
mod number;
mod options;
mod password;
mod relation;
mod select;
mod text;
mod wire;

use serde_json::Value as Json;

use super::{Collection, FieldError, FieldErrors, GeoPoint, Record, Schema, Value, cast, rules};
use crate::base::DateTime;

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

/// What the settings of a field are judged against.
#[derive(Clone, Copy)]
pub struct SettingsContext<'a> {
    /// The collection as it shall be.
    pub collection: &'a Collection,
    /// The collection as stored; nothing for a new one.
    pub original: Option<&'a Collection>,
    pub schema: &'a Schema,
}

impl Field {
    /// What the field holds when nothing was set.
    #[must_use]
    pub fn zero_value(&self) -> Value {
        match &self.kind {
            FieldKind::Number(_) => Value::Number(0.0),
            FieldKind::Bool(_) => Value::Bool(false),
            FieldKind::Json(_) => Value::Json("null".to_owned()),
            FieldKind::GeoPoint(_) => Value::Geo(GeoPoint::default()),
            _ if self.is_multiple() => Value::List(Vec::new()),
            _ => Value::Text(String::new()),
        }
    }

    /// Converts loosely typed input to the field's value. Never fails: what cannot be converted becomes the zero value.
    ///
    /// A password field takes the input as its hash; [`Record::apply`] keeps plain passwords apart.
    #[must_use]
    pub fn cast(&self, input: &Json) -> Value {
        match &self.kind {
            FieldKind::Text(_)
            | FieldKind::Editor(_)
            | FieldKind::Email(_)
            | FieldKind::Url(_)
            | FieldKind::Password(_) => Value::Text(cast::to_text(input)),
            FieldKind::Number(_) => Value::Number(cast::to_number(input)),
            FieldKind::Bool(_) => Value::Bool(cast::to_flag(input)),
            FieldKind::Date(_) | FieldKind::Autodate(_) => match input {
                Json::String(text) => cast_date(text),
                other => cast_date(&cast::to_text(other)),
            },
            FieldKind::Json(_) => json::cast(input),
            FieldKind::GeoPoint(_) => Value::Geo(geo_point::cast(input)),
            FieldKind::File(_) | FieldKind::Select(_) | FieldKind::Relation(_) => {
                self.list_value(self.cast_list(input))
            }
        }
    }

    /// Reads a value as the database holds it: the column's text, or nothing for NULL.
    #[must_use]
    pub fn read_stored(&self, text: Option<&str>) -> Value {
        let Some(text) = text else {
            return self.zero_value();
        };
        match &self.kind {
            FieldKind::Text(_)
            | FieldKind::Editor(_)
            | FieldKind::Email(_)
            | FieldKind::Url(_)
            | FieldKind::Password(_) => Value::Text(text.to_owned()),
            FieldKind::Date(_) | FieldKind::Autodate(_) => cast_date(text),
            FieldKind::Json(_) => json::cast_text(text),
            FieldKind::GeoPoint(_) => Value::Geo(geo_point::cast_text(text)),
            _ => self.cast(&Json::String(text.to_owned())),
        }
    }

    /// The distinct entries of input for a list field, whatever number the field takes.
    pub(crate) fn cast_list(&self, input: &Json) -> Vec<String> {
        match &self.kind {
            FieldKind::File(_) => file_names(input),
            _ => cast::to_list(input),
        }
    }

    /// A list as this field keeps it: itself, or the last entry when only one is held.
    pub(crate) fn list_value(&self, mut list: Vec<String>) -> Value {
        if self.is_multiple() {
            Value::List(list)
        } else {
            Value::Text(list.pop().unwrap_or_default())
        }
    }

    /// The checks on a record's value that need nothing but the record. Whether related records exist is not among them.
    #[must_use]
    pub fn validate_value(&self, record: &Record) -> Option<FieldError> {
        self.check_value(record, record.get(&self.name)?)
    }

    pub(crate) fn check_value(&self, record: &Record, value: &Value) -> Option<FieldError> {
        match (&self.kind, value) {
            (FieldKind::Text(options), value) => options.validate(record, value.as_text()),
            (FieldKind::Editor(options), value) => options.validate(value.as_text()),
            (FieldKind::Email(options), value) => options.validate(value.as_text()),
            (FieldKind::Url(options), value) => options.validate(value.as_text()),
            (FieldKind::Date(options), value) => options.validate(value.as_text()),
            (FieldKind::Number(options), Value::Number(number)) => options.validate(*number),
            (FieldKind::Bool(options), Value::Bool(flag)) => options.validate(*flag),
            (FieldKind::Select(options), value) => options.validate(value),
            (FieldKind::Relation(options), value) => options.validate(value),
            (FieldKind::File(options), value) => options.validate(self, record, value),
            (FieldKind::Json(options), value) => options.validate(value),
            (FieldKind::Password(options), value) => {
                options.validate(value.as_text(), record.plain_password(&self.name))
            }
            (FieldKind::GeoPoint(options), Value::Geo(point)) => options.validate(*point),
            (FieldKind::Autodate(_), _) => None,
            (FieldKind::Number(_) | FieldKind::Bool(_) | FieldKind::GeoPoint(_), _) => Some(
                FieldError::new("validation_invalid_field_value", "Invalid field value."),
            ),
        }
    }

    /// Checks the field's own settings.
    ///
    /// # Errors
    /// By setting, with PocketBase's codes and messages.
    pub fn validate_settings(&self, context: &SettingsContext<'_>) -> Result<(), FieldErrors> {
        let mut errors = FieldErrors::new();
        errors.check(
            "id",
            rules::required(self.id.is_empty()).or_else(|| rules::length(&self.id, 1, 100)),
        );
        errors.check("name", rules::field_name(&self.name));
        if !matches!(self.kind, FieldKind::Autodate(_)) {
            errors.check("help", rules::length(&self.help, 1, 300));
        }
        match &self.kind {
            FieldKind::Text(options) => options.settings(self, context, &mut errors),
            FieldKind::Editor(options) => options.settings(&mut errors),
            FieldKind::Number(options) => options.settings(&mut errors),
            FieldKind::Email(options) => options.settings(&mut errors),
            FieldKind::Url(options) => options.settings(&mut errors),
            FieldKind::Autodate(options) => options.settings(self, context, &mut errors),
            FieldKind::Select(options) => options.settings(&mut errors),
            FieldKind::File(options) => options.settings(&mut errors),
            FieldKind::Relation(options) => options.settings(self, context, &mut errors),
            FieldKind::Json(options) => options.settings(&mut errors),
            FieldKind::Password(options) => options.settings(&mut errors),
            FieldKind::Bool(_) | FieldKind::Date(_) | FieldKind::GeoPoint(_) => {}
        }
        errors.into_result()
    }

    /// The most bytes that one value of the field takes in a request body; 0 where the general limit does.
    #[must_use]
    pub fn body_bytes_max(&self) -> i64 {
        match &self.kind {
            FieldKind::Editor(options) => options.bytes_max(),
            FieldKind::Json(options) => options.bytes_max(),
            FieldKind::File(options) => options.bytes_max().saturating_mul(options.count_max()),
            _ => 0,
        }
    }
}

fn cast_date(text: &str) -> Value {
    // Stored dates are in this form already.
    if is_canonical_date(text.as_bytes()) {
        return Value::Text(text.to_owned());
    }
    Value::Text(DateTime::parse(text).unwrap_or_default().to_string())
}

/// Whether the text is in the form that dates print in, with each part in a range that every month has.
fn is_canonical_date(text: &[u8]) -> bool {
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        mo1,
        mo2,
        b'-',
        d1,
        d2,
        b' ',
        h1,
        h2,
        b':',
        mi1,
        mi2,
        b':',
        s1,
        s2,
        b'.',
        f1,
        f2,
        f3,
        b'Z',
    ] = text
    else {
        return false;
    };
    let pair = |a: &u8, b: &u8| u32::from(a - b'0') * 10 + u32::from(b - b'0');
    [y1, y2, y3, y4, mo1, mo2, d1, d2, h1, h2, mi1, mi2, s1, s2, f1, f2, f3]
        .iter()
        .all(|byte| byte.is_ascii_digit())
        && (1..=12).contains(&pair(mo1, mo2))
        && (1..=28).contains(&pair(d1, d2))
        && pair(h1, h2) < 24
        && pair(mi1, mi2) < 60
        && pair(s1, s2) < 60
        // The zero date prints as an empty text.
        && !matches!((y1, y2, y3), (b'0', b'0', b'0'))
}

/// The names of files; an array's entries may be arrays of one name.
fn file_names(input: &Json) -> Vec<String> {
    let Json::Array(items) = input else {
        return cast::to_list(input);
    };
    let names = items.iter().filter_map(|item| {
        let mut names = file_names_flat(item);
        if names.len() == 1 { names.pop() } else { None }
    });
    cast::unique(names.collect())
}

fn file_names_flat(input: &Json) -> Vec<String> {
    match input {
        Json::Array(items) => cast::unique(items.iter().flat_map(cast::to_list).collect()),
        other => cast::to_list(other),
    }
}
