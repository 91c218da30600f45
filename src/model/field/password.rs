//! `password` fields keep a hash; the plain text is checked while it is at hand.

use super::PasswordOptions;
use crate::model::{FieldError, FieldErrors, pattern, rules};

/// The longest password in characters: bcrypt reads no more than 72 bytes.
const CHARS_MAX: i64 = 71;

impl PasswordOptions {
    /// `plain` is empty when the password was not set anew.
    pub(super) fn validate(&self, hash: &str, plain: &str) -> Option<FieldError> {
        if plain.is_empty() {
            return rules::required(self.required && hash.is_empty());
        }
        let chars = i64::try_from(plain.chars().count()).unwrap_or(i64::MAX);
        if chars < self.min {
            return Some(FieldError::new(
                "validation_min_text_constraint",
                format!("Must be at least {} character(s)", self.min),
            ));
        }
        let max = if self.max > 0 { self.max } else { CHARS_MAX };
        if chars > max {
            return Some(FieldError::new(
                "validation_max_text_constraint",
                format!("Must be less than {max} character(s)"),
            ));
        }
        (!self.pattern.is_empty() && !pattern::is_match(&self.pattern, plain))
            .then(|| FieldError::new("validation_invalid_format", "Invalid value format"))
    }

    pub(super) fn settings(&self, errors: &mut FieldErrors) {
        errors.check("min", rules::within(self.min, 1, CHARS_MAX));
        errors.check("max", rules::within(self.max, self.min, CHARS_MAX));
        errors.check("cost", rules::within(self.cost, 4, 31));
        errors.check("pattern", rules::regex(&self.pattern));
    }
}
