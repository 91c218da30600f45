//! `json` fields: any JSON up to a size in bytes.

use serde_json::Value as Json;

use super::JsonOptions;
use crate::base::json;
use crate::model::{FieldError, FieldErrors, Value, rules};

const BYTES_MAX: i64 = 1 << 20;

impl JsonOptions {
    /// The largest text in bytes.
    #[must_use]
    pub fn bytes_max(&self) -> i64 {
        if self.max_size > 0 {
            self.max_size
        } else {
            BYTES_MAX
        }
    }

    pub(super) fn validate(&self, value: &Value) -> Option<FieldError> {
        let max = self.bytes_max();
        if i64::try_from(value.as_text().len()).unwrap_or(i64::MAX) > max {
            return Some(
                FieldError::new(
                    "validation_json_size_limit",
                    format!("The maximum allowed JSON size is {max} bytes"),
                )
                .with("maxSize", max),
            );
        }
        rules::required(self.required && value.is_zero())
    }

    pub(super) fn settings(&self, errors: &mut FieldErrors) {
        errors.check(
            "maxSize",
            rules::within(self.max_size, 0, rules::MAX_SAFE_INT),
        );
    }
}

/// The text that a json field keeps. A text that is JSON itself is taken as it is, any other becomes a JSON string.
pub(super) fn cast(value: &Json) -> Value {
    match value {
        Json::String(text) => cast_text(text),
        other => {
            let mut out = Vec::new();
            json::write_value_sorted(&mut out, other);
            Value::Json(String::from_utf8(out).unwrap_or_default())
        }
    }
}

pub(super) fn cast_text(text: &str) -> Value {
    let may_be_json = matches!(text, "null" | "true" | "false")
        || text.starts_with(|first: char| first.is_ascii_digit() || "-\"[{".contains(first));
    if may_be_json && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        return Value::Json(text.to_owned());
    }
    let mut out = Vec::with_capacity(text.len() + 2);
    json::write_str(&mut out, text);
    Value::Json(String::from_utf8(out).unwrap_or_default())
}
