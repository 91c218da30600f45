//! The value of one record field.

/// A point on Earth in degrees; `lon` in -180..=180 and `lat` in -90..=90 once validated.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GeoPoint {
    pub lon: f64,
    pub lat: f64,
}

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
            Self::Json(text) => matches!(text.as_str(), "" | "null" | "\"\"" | "[]" | "{}"),
            Self::Geo(point) => point.lon == 0.0 && point.lat == 0.0,
        }
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
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
