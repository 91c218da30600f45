//! `select` fields: one or some of listed values.

use super::SelectOptions;
use crate::model::{FieldError, FieldErrors, Value, rules};

impl SelectOptions {
    pub(super) fn validate(&self, value: &Value) -> Option<FieldError> {
        let count = value.items().count();
        if count == 0 {
            return rules::required(self.required);
        }
        if let Some(error) = too_many(count, self.max_select) {
            return Some(error);
        }
        let known = self.values.as_deref().unwrap_or_default();
        let foreign = value
            .items()
            .find(|item| !known.iter().any(|value| value == item))?;
        Some(
            FieldError::new(
                "validation_invalid_value",
                format!("Invalid value {foreign}"),
            )
            .with("value", foreign),
        )
    }

    pub(super) fn settings(&self, errors: &mut FieldErrors) {
        let values = self.values.as_ref().map_or(0, Vec::len);
        errors.check("values", rules::required(values == 0));
        let max = i64::try_from(values.max(1)).unwrap_or(i64::MAX);
        errors.check("maxSelect", rules::within(self.max_select, 0, max));
    }
}

/// The error of select and relation values with more entries than allowed.
pub(super) fn too_many(count: usize, max_select: i64) -> Option<FieldError> {
    let max = max_select.max(1);
    if i64::try_from(count).unwrap_or(i64::MAX) <= max {
        return None;
    }
    Some(
        FieldError::new(
            "validation_too_many_values",
            format!("Select no more than {max}"),
        )
        .with("maxSelect", max),
    )
}
