//! `text` fields: bounds, pattern, primary key rules and generated values.

use super::{Field, FieldKind, SettingsContext, TextOptions};
use crate::base::id;
use crate::model::{FieldError, FieldErrors, Record, pattern, rules};

/// The longest text of a field without a `max` of its own, in characters.
const CHARS_MAX: i64 = 5000;
/// Characters that are unsafe in file names, keys or URLs.
const FORBIDDEN_ID_CHARS: [&str; 19] = [
    ".", "/", "\\", "|", "\"", "'", "`", "<", ">", ":", "?", "*", "%", "$", "\0", "\t", "\n", "\r",
    " ",
];
/// Names that Windows gives to devices: folders of that name cannot be made there.
const RESERVED_IDS: [&str; 22] = [
    "CON", "PRN", "AUX", "NUL", "COM1", "COM2", "COM3", "COM4", "COM5", "COM6", "COM7", "COM8",
    "COM9", "LPT1", "LPT2", "LPT3", "LPT4", "LPT5", "LPT6", "LPT7", "LPT8", "LPT9",
];

impl TextOptions {
    pub(super) fn validate(&self, record: &Record, text: &str) -> Option<FieldError> {
        if self.primary_key
            && let Some(stored) = record.original("id").map(|id| id.as_text())
        {
            if stored != text {
                return Some(FieldError::new(
                    "validation_pk_change",
                    "The record primary key cannot be changed.",
                ));
            }
            if !stored.is_empty() {
                return None;
            }
        }
        self.validate_text(text)
    }

    /// The checks that need no record.
    pub(super) fn validate_text(&self, text: &str) -> Option<FieldError> {
        if text.is_empty() {
            return rules::required(self.required || self.primary_key);
        }
        let chars = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        if self.min > 0 && chars < self.min {
            let message = format!("Must be at least {} character(s).", self.min);
            return Some(
                FieldError::new("validation_min_text_constraint", message).with("min", self.min),
            );
        }
        let max = if self.max == 0 { CHARS_MAX } else { self.max };
        if max > 0 && chars > max {
            let message = format!("Must be no more than {max} character(s).");
            return Some(
                FieldError::new("validation_max_text_constraint", message).with("max", max),
            );
        }
        if !self.pattern.is_empty() && !pattern::is_match(&self.pattern, text) {
            return Some(FieldError::new(
                "validation_invalid_format",
                "Invalid value format.",
            ));
        }
        if self.primary_key && self.pattern != pattern::DEFAULT_ID_PATTERN {
            return forbidden_id(text);
        }
        None
    }

    /// A generated value; nothing without a pattern or when it generates nothing.
    #[must_use]
    pub fn generate(&self) -> Option<String> {
        match self.autogenerate_pattern.as_str() {
            "" => None,
            "[a-z0-9]{15}" => Some(id::random_id()),
            "[a-zA-Z0-9]{50}" => Some(id::random_string(50)),
            pattern => id::random_by_regex(pattern).ok(),
        }
    }

    pub(super) fn settings(
        &self,
        field: &Field,
        context: &SettingsContext<'_>,
        errors: &mut FieldErrors,
    ) {
        if self.primary_key {
            if field.name != "id" && !field.name.is_empty() {
                errors.add(
                    "name",
                    FieldError::new(
                        "validation_in_invalid",
                        "The primary key must be named \"id\".",
                    ),
                );
            }
            errors.check("primaryKey", only_key(context));
            errors.check("pattern", rules::required(self.pattern.is_empty()));
            errors.check("hidden", rules::must_be_empty(!field.hidden));
            errors.check("required", rules::required(!self.required));
        }
        errors.check("min", rules::within(self.min, 0, rules::MAX_SAFE_INT));
        errors.check(
            "max",
            rules::within(self.max, self.min, rules::MAX_SAFE_INT),
        );
        errors.check("pattern", rules::regex(&self.pattern));
        errors.check(
            "autogeneratePattern",
            rules::regex(&self.autogenerate_pattern).or_else(|| self.check_autogenerate()),
        );
    }

    /// Samples the generator: what it makes must pass the field's own checks.
    fn check_autogenerate(&self) -> Option<FieldError> {
        const SAMPLES: usize = 10;
        if self.autogenerate_pattern.is_empty() {
            return None;
        }
        for _ in 0..SAMPLES {
            let text = match id::random_by_regex(&self.autogenerate_pattern) {
                Ok(text) => text,
                Err(error) => {
                    return Some(FieldError::new(
                        "validation_invalid_autogenerate_pattern",
                        error.to_string(),
                    ));
                }
            };
            if self.validate_text(&text).is_some() {
                return Some(FieldError::new(
                    "validation_invalid_autogenerate_pattern_value",
                    format!(
                        "The provided autogenerate pattern could produce invalid field values, ex.: {text:?}"
                    ),
                ));
            }
        }
        None
    }
}

fn only_key(context: &SettingsContext<'_>) -> Option<FieldError> {
    let keys = context
        .collection
        .fields()
        .iter()
        .filter(|field| matches!(&field.kind, FieldKind::Text(options) if options.primary_key));
    (keys.count() > 1).then(|| {
        FieldError::new(
            "validation_unsupported_composite_pk",
            "Composite PKs are not supported and the collection must have only 1 PK.",
        )
    })
}

fn forbidden_id(text: &str) -> Option<FieldError> {
    if let Some(found) = FORBIDDEN_ID_CHARS.iter().find(|part| text.contains(**part)) {
        return Some(
            FieldError::new(
                "validation_forbidden_pk_character",
                format!("'{found}' is not a valid primary key character."),
            )
            .with("ch", *found),
        );
    }
    let reserved = RESERVED_IDS
        .iter()
        .find(|name| name.eq_ignore_ascii_case(text))?;
    Some(
        FieldError::new(
            "validation_reserved_pk",
            format!("The primary key '{reserved}' is reserved and cannot be used."),
        )
        .with("reserved", *reserved),
    )
}
