//! Values for the `{:name}` placeholders of [`substitute`](super::substitute).

use std::collections::HashMap;

use serde_json::Value;

/// Placeholder values by name.
pub type Params = HashMap<String, Param>;

/// A placeholder's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// As if `null` were written.
    Null,
    /// As if `true` or `false` were written.
    Bool(bool),
    /// A number; it must be finite.
    Number(f64),
    /// A text, taken exactly, except that the empty text becomes `""` (two quotes). PocketBase does that, and scripts that look something
    /// up by an unchecked input rely on it unknowingly: `code = {:code}` with an empty code finds nothing, instead of records without code.
    Text(String),
}

impl From<bool> for Param {
    fn from(value: bool) -> Self {
        Param::Bool(value)
    }
}

impl From<f64> for Param {
    fn from(value: f64) -> Self {
        Param::Number(value)
    }
}

impl From<i64> for Param {
    /// The nearest 64-bit float, as for a number written in the filter.
    fn from(value: i64) -> Self {
        Param::Number(value as f64)
    }
}

impl From<&str> for Param {
    fn from(value: &str) -> Self {
        Param::Text(value.to_owned())
    }
}

impl From<String> for Param {
    fn from(value: String) -> Self {
        Param::Text(value)
    }
}

impl From<Value> for Param {
    /// Lists and objects become their JSON text.
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Param::Null,
            Value::Bool(value) => Param::Bool(value),
            Value::Number(ref number) => match number.as_f64() {
                Some(number) => Param::Number(number),
                None => Param::Text(value.to_string()),
            },
            Value::String(text) => Param::Text(text),
            Value::Array(_) | Value::Object(_) => Param::Text(value.to_string()),
        }
    }
}

impl<T: Into<Param>> From<Option<T>> for Param {
    fn from(value: Option<T>) -> Self {
        value.map_or(Param::Null, Into::into)
    }
}
