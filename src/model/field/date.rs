//! `date` and `autodate` fields.

use super::{AutodateOptions, DateOptions, Field, FieldKind, SettingsContext};
use crate::base::DateTime;
use crate::model::{FieldError, FieldErrors, rules};

impl DateOptions {
    pub(super) fn validate(&self, text: &str) -> Option<FieldError> {
        if text.is_empty() {
            return rules::required(self.required);
        }
        let date = DateTime::parse(text)?;
        let bound = |text: &str| DateTime::parse(text).filter(|date| !date.is_zero());
        if let Some(min) = bound(&self.min).filter(|min| date < *min) {
            return Some(out_of_bound(
                "validation_min_greater_equal_than_required",
                "Must be no less than",
                min,
            ));
        }
        if let Some(max) = bound(&self.max).filter(|max| date > *max) {
            return Some(out_of_bound(
                "validation_max_less_equal_than_required",
                "Must be no greater than",
                max,
            ));
        }
        None
    }
}

/// The threshold stands in the message as Go prints a time, and in the parameters in RFC 3339.
fn out_of_bound(code: &str, message: &str, bound: DateTime) -> FieldError {
    let text = bound.to_string();
    let (day, time) = text
        .trim_end_matches('Z')
        .split_once(' ')
        .unwrap_or(("", ""));
    // Milliseconds always follow a point, so zeros of the seconds are safe.
    let time = time.trim_end_matches('0').trim_end_matches('.');
    FieldError::new(code, format!("{message} {day} {time} +0000 UTC"))
        .with("threshold", format!("{day}T{time}Z"))
}

impl AutodateOptions {
    pub(super) fn settings(
        &self,
        field: &Field,
        context: &SettingsContext<'_>,
        errors: &mut FieldErrors,
    ) {
        let before = context
            .original
            .and_then(|original| original.field_by_id(&field.id))
            .and_then(|field| match &field.kind {
                FieldKind::Autodate(options) => Some(options),
                _ => None,
            })
            .unwrap_or(self);
        if field.system {
            errors.check("onCreate", rules::equal(self.on_create == before.on_create));
            errors.check("onUpdate", rules::equal(self.on_update == before.on_update));
        }
        if !self.on_create && !self.on_update {
            let missing = || {
                FieldError::new(
                    "validation_required",
                    "either onCreate or onUpdate must be enabled",
                )
            };
            errors.add("onCreate", missing());
            errors.add("onUpdate", missing());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive_and_named_in_the_error() {
        let options = DateOptions {
            min: "2022-01-01 10:00:00.000Z".to_owned(),
            max: "2022-01-02 00:00:00.120Z".to_owned(),
            required: false,
        };
        assert!(options.validate("2022-01-01 10:00:00.000Z").is_none());
        assert!(options.validate("2022-01-02 00:00:00.120Z").is_none());
        let early = options.validate("2022-01-01 09:59:59.999Z").unwrap();
        assert_eq!(
            early.message,
            "Must be no less than 2022-01-01 10:00:00 +0000 UTC."
        );
        assert_eq!(early.params["threshold"], "2022-01-01T10:00:00Z");
        let late = options.validate("2022-01-02 00:00:00.121Z").unwrap();
        assert_eq!(late.params["threshold"], "2022-01-02T00:00:00.12Z");
    }
}
