//! `number` fields: bounds and whole numbers.

use super::NumberOptions;
use crate::model::value::json_number;
use crate::model::{FieldError, FieldErrors, rules};

impl NumberOptions {
    pub(super) fn validate(&self, number: f64) -> Option<FieldError> {
        if !number.is_finite() {
            return Some(FieldError::new(
                "validation_not_a_number",
                "The submitted number is not properly formatted",
            ));
        }
        if number == 0.0 {
            return rules::required(self.required);
        }
        if self.only_int && !is_whole(number) {
            return Some(not_whole());
        }
        if let Some(min) = self.min
            && number < min
        {
            return Some(below(min));
        }
        if let Some(max) = self.max
            && number > max
        {
            return Some(
                FieldError::new(
                    "validation_max_number_constraint",
                    format!("Must be less or equal than {}", print(max)),
                )
                .with("max", json_number(max)),
            );
        }
        None
    }

    pub(super) fn settings(&self, errors: &mut FieldErrors) {
        let whole = |bound: Option<f64>| {
            bound
                .filter(|bound| self.only_int && !is_whole(*bound))
                .map(|_| not_whole())
        };
        errors.check("min", whole(self.min));
        errors.check("max", whole(self.max));
        if let (Some(min), Some(max)) = (self.min, self.max)
            && max < min
        {
            errors.add("max", below(min));
        }
    }
}

/// Whole numbers are those that 64 bits hold.
fn is_whole(number: f64) -> bool {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    number.fract() == 0.0 && number.abs() < LIMIT
}

fn not_whole() -> FieldError {
    FieldError::new(
        "validation_only_int_constraint",
        "Decimal numbers are not allowed",
    )
}

fn below(min: f64) -> FieldError {
    FieldError::new(
        "validation_min_number_constraint",
        format!("Must be greater or equal than {}", print(min)),
    )
    .with("min", json_number(min))
}

/// A number as Go prints it by default: below 0.0001 and from a million on with an exponent of two digits at least.
fn print(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-4..1e6).contains(&magnitude) {
        let text = format!("{number:e}");
        if let Some((mantissa, exponent)) = text.split_once('e') {
            let (sign, digits) = match exponent.strip_prefix('-') {
                Some(digits) => ('-', digits),
                None => ('+', exponent),
            };
            return format!("{mantissa}e{sign}{digits:0>2}");
        }
    }
    number.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_print_as_in_go() {
        for (number, text) in [
            (1.0, "1"),
            (1.5, "1.5"),
            (999_999.0, "999999"),
            (1_000_000.0, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (-5_000_000.0, "-5e+06"),
        ] {
            assert_eq!(print(number), text);
        }
    }
}
