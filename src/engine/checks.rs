//! Small checks of submitted values, with PocketBase's codes and texts. Empty values pass all but [`required`].

use crate::model::{FieldError, FieldErrors};

/// Gathers the outcomes of checks by field.
pub(crate) fn all<const N: usize>(outcomes: [(&str, Option<FieldError>); N]) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for (field, outcome) in outcomes {
        if let Some(error) = outcome {
            errors.add(field, error);
        }
    }
    errors
}

pub(crate) fn blank() -> FieldError {
    FieldError::new("validation_required", "Cannot be blank.")
}

pub(crate) fn required(text: &str) -> Option<FieldError> {
    text.is_empty().then(blank)
}

pub(crate) fn invalid() -> FieldError {
    FieldError::new("validation_in_invalid", "Must be a valid value.")
}

pub(crate) fn in_list(text: &str, allowed: &[&str]) -> Option<FieldError> {
    (!text.is_empty() && !allowed.contains(&text)).then(invalid)
}

pub(crate) fn matches(text: &str, test: impl Fn(&str) -> bool) -> Option<FieldError> {
    (!text.is_empty() && !test(text))
        .then(|| FieldError::new("validation_match_invalid", "Must be in a valid format."))
}

/// `kind` is `url`, `email`, `host` or `hex_color`.
pub(crate) fn format_of(text: &str, test: impl Fn(&str) -> bool, kind: &str) -> Option<FieldError> {
    if text.is_empty() || test(text) {
        return None;
    }
    let what = match kind {
        "url" => "URL",
        "email" => "email address",
        "host" => "IP address or DNS name",
        "hex_color" => "hexadecimal color code",
        other => other,
    };
    Some(FieldError::new(
        &format!("validation_is_{kind}"),
        format!("Must be a valid {what}."),
    ))
}

/// Bounds on the bytes of a text, both inclusive; no upper bound when `max` is 0.
pub(crate) fn bytes_between(text: &str, min: usize, max: usize) -> Option<FieldError> {
    if text.is_empty() || (text.len() >= min && (max == 0 || text.len() <= max)) {
        return None;
    }
    let (code, message) = match (min, max) {
        (0, max) => (
            "validation_length_too_long",
            format!("The length must be no more than {max}."),
        ),
        (min, 0) => (
            "validation_length_too_short",
            format!("The length must be no less than {min}."),
        ),
        (min, max) if min == max => (
            "validation_length_invalid",
            format!("The length must be exactly {min}."),
        ),
        (min, max) => (
            "validation_length_out_of_range",
            format!("The length must be between {min} and {max}."),
        ),
    };
    Some(
        FieldError::new(code, message)
            .with("max", max)
            .with("min", min),
    )
}

pub(crate) fn at_least(value: i64, min: i64) -> Option<FieldError> {
    (value != 0 && value < min).then(|| {
        FieldError::new(
            "validation_min_greater_equal_than_required",
            format!("Must be no less than {min}."),
        )
        .with("threshold", min)
    })
}

pub(crate) fn at_most(value: i64, max: i64) -> Option<FieldError> {
    (value > max).then(|| {
        FieldError::new(
            "validation_max_less_equal_than_required",
            format!("Must be no greater than {max}."),
        )
        .with("threshold", max)
    })
}
