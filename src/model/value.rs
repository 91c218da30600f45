//! The value of one record field.

use serde_json::Value as JsonValue;

pub use crate::base::GeoPoint;
use crate::base::json;

/// The normalised value of a record field, as its field type keeps it.
///
/// | field type | value |
/// | --- | --- |
/// | text, editor, email, url, password (the hash), date, autodate | `Text`; an unset date is the empty text |
/// | number | `Number`, finite |
/// | bool | `Bool` |
/// | select, relation, file with `maxSelect <= 1` | `Text` |
/// | select, relation, file with `maxSelect > 1` | `List` |
/// | json | `Json`: valid JSON text, `null` when unset |
/// | geoPoint | `Geo` |
///
/// `Null` stands only where a view collection yields SQL NULL and the field has no zero value of its own, and for bound parameters.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<String>),
    Json(String),
    Geo(GeoPoint),
}

impl Value {
    /// The text of a `Text` or `Json` value, else the empty text.
    #[must_use]
    pub fn as_text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Json(text) => text,
            _ => "",
        }
    }

    /// The ids or names that a select, relation or file value holds, single or multiple, without empty ones.
    pub fn items(&self) -> impl Iterator<Item = &str> {
        let (one, many) = match self {
            Self::Text(text) if !text.is_empty() => (Some(text.as_str()), None),
            Self::List(list) => (None, Some(list)),
            _ => (None, None),
        };
        one.into_iter()
            .chain(many.into_iter().flatten().map(String::as_str))
    }

    /// Whether the value is its type's zero value, as `required` understands it.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(value) => !value,
            Self::Number(value) => *value == 0.0,
            Self::Text(text) => text.is_empty(),
            Self::List(list) => list.is_empty(),
            Self::Json(text) => matches!(text.trim(), "" | "null" | "\"\"" | "[]" | "{}"),
            Self::Geo(point) => point.lon == 0.0 && point.lat == 0.0,
        }
    }
}

impl Value {
    /// Appends the value as JSON, escaped as Go's encoder does.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(flag) => json::write_bool(out, *flag),
            Self::Number(number) => json::write_f64(out, *number),
            Self::Text(text) => json::write_str(out, text),
            Self::Json(text) if text.is_empty() => out.extend_from_slice(b"null"),
            Self::Json(text) => json::write_compact_raw(out, text),
            Self::Geo(point) => point.write_json(out),
            Self::List(list) => {
                out.push(b'[');
                for (index, item) in list.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    json::write_str(out, item);
                }
                out.push(b']');
            }
        }
    }

    /// The value as a JSON tree, for scripts and rules.
    #[must_use]
    pub fn to_json(&self) -> JsonValue {
        match self {
            Self::Null => JsonValue::Null,
            Self::Bool(flag) => JsonValue::Bool(*flag),
            Self::Number(number) => json_number(*number),
            Self::Text(text) => JsonValue::String(text.clone()),
            Self::Json(text) => serde_json::from_str(text).unwrap_or_default(),
            Self::Geo(point) => {
                serde_json::json!({"lon": json_number(point.lon), "lat": json_number(point.lat)})
            }
            Self::List(list) => list.iter().cloned().map(JsonValue::String).collect(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A JSON number; whole numbers print without a fraction, what JSON cannot hold becomes 0.
pub(crate) fn json_number(number: f64) -> JsonValue {
    /// Up to here each whole number is a double of its own.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= WHOLE_MAX {
        return JsonValue::from(number as i64);
    }
    serde_json::Number::from_f64(number).map_or_else(|| JsonValue::from(0), Into::into)
}
