//! The small checks that settings and values share, with the codes and messages clients know from PocketBase.
//!
//! As there, every check but [`required`] lets empty values pass.

use super::{FieldError, FieldErrors};

/// The largest integer that survives JSON readers which keep numbers as doubles: 2^53 - 1.
pub(crate) const MAX_SAFE_INT: i64 = (1 << 53) - 1;

pub(crate) fn blank() -> FieldError {
    FieldError::new("validation_required", "Cannot be blank.")
}

pub(crate) fn required(is_empty: bool) -> Option<FieldError> {
    is_empty.then(blank)
}

pub(crate) fn must_be_empty(is_empty: bool) -> Option<FieldError> {
    (!is_empty).then(|| FieldError::new("validation_empty", "Must be blank."))
}

pub(crate) fn must_be_nil(is_nil: bool) -> Option<FieldError> {
    (!is_nil).then(|| FieldError::new("validation_nil", "Must be blank."))
}

/// Bounds on the number of bytes of a text.
pub(crate) fn length(text: &str, min: usize, max: usize) -> Option<FieldError> {
    if text.is_empty() || (min..=max).contains(&text.len()) {
        return None;
    }
    Some(
        FieldError::new(
            "validation_length_out_of_range",
            format!("The length must be between {min} and {max}."),
        )
        .with("min", min)
        .with("max", max),
    )
}

pub(crate) fn at_least(value: i64, min: i64) -> Option<FieldError> {
    if value == 0 || value >= min {
        return None;
    }
    Some(
        FieldError::new(
            "validation_min_greater_equal_than_required",
            format!("Must be no less than {min}."),
        )
        .with("threshold", min),
    )
}

pub(crate) fn at_most(value: i64, max: i64) -> Option<FieldError> {
    if value == 0 || value <= max {
        return None;
    }
    Some(
        FieldError::new(
            "validation_max_less_equal_than_required",
            format!("Must be no greater than {max}."),
        )
        .with("threshold", max),
    )
}

pub(crate) fn within(value: i64, min: i64, max: i64) -> Option<FieldError> {
    at_least(value, min).or_else(|| at_most(value, max))
}

pub(crate) fn not_in(text: &str, forbidden: &[&str]) -> Option<FieldError> {
    forbidden
        .contains(&text)
        .then(|| FieldError::new("validation_not_in_invalid", "Must not be in list."))
}

pub(crate) fn invalid_value() -> FieldError {
    FieldError::new("validation_in_invalid", "Must be a valid value.")
}

pub(crate) fn matches(is_match: bool) -> Option<FieldError> {
    (!is_match).then(|| FieldError::new("validation_match_invalid", "Must be in a valid format."))
}

pub(crate) fn equal(is_equal: bool) -> Option<FieldError> {
    (!is_equal).then(|| FieldError::new("validation_values_mismatch", "Values don't match."))
}

/// Whether the text has ASCII letters, digits and underscores only, and at least one.
pub(crate) fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// `_via_` marks back-relations in expand and filter paths, so no name may contain it.
pub(crate) fn no_via(text: &str) -> Option<FieldError> {
    text.to_ascii_lowercase().contains("_via_").then(|| {
        FieldError::new(
            "validation_found_via",
            "The value cannot contain \"_via_\".",
        )
    })
}

pub(crate) fn regex(pattern: &str) -> Option<FieldError> {
    if pattern.is_empty() {
        return None;
    }
    super::pattern::check(pattern)
        .err()
        .map(|error| FieldError::new("validation_invalid_regex", error))
}

/// Each entry must be a domain name; errors are keyed by position.
pub(crate) fn each_domain(domains: &[String]) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for (index, domain) in domains.iter().enumerate() {
        if !domain.is_empty() && !crate::base::text::is_domain(domain) {
            errors.add(
                &index.to_string(),
                FieldError::new("validation_is_domain", "Must be a valid domain."),
            );
        }
    }
    errors
}

/// The name rules of fields.
pub(crate) fn field_name(name: &str) -> Option<FieldError> {
    const RESERVED: [&str; 7] = [
        "null",
        "true",
        "false",
        "_rowid_",
        "collectionId",
        "collectionName",
        "expand",
    ];
    required(name.is_empty())
        .or_else(|| length(name, 1, 100))
        .or_else(|| matches(is_word(name)))
        .or_else(|| not_in(name, &RESERVED))
        .or_else(|| no_via(name))
}
