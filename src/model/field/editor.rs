//! `editor` fields: rich text up to a size in bytes.

use super::EditorOptions;
use crate::model::{FieldError, FieldErrors, rules};

const BYTES_MAX: i64 = 5 << 20;

impl EditorOptions {
    /// The largest text in bytes.
    #[must_use]
    pub fn bytes_max(&self) -> i64 {
        if self.max_size > 0 {
            self.max_size
        } else {
            BYTES_MAX
        }
    }

    pub(super) fn validate(&self, text: &str) -> Option<FieldError> {
        if text.is_empty() {
            return rules::required(self.required);
        }
        let max = self.bytes_max();
        if i64::try_from(text.len()).unwrap_or(i64::MAX) <= max {
            return None;
        }
        Some(
            FieldError::new(
                "validation_content_size_limit",
                format!("The maximum allowed content size is {max} bytes"),
            )
            .with("maxSize", max),
        )
    }

    pub(super) fn settings(&self, errors: &mut FieldErrors) {
        errors.check(
            "maxSize",
            rules::within(self.max_size, 0, rules::MAX_SAFE_INT),
        );
    }
}
