//! Amounts of money: whole cents, never binary fractions.
//!
//! Records keep amounts as numbers with at most two decimals. Such a number is the double that is nearest to its decimal
//! text, and cents divided by 100 give exactly that double again, so that nothing is lost on the way out and back.

use std::fmt;

/// An amount in cents, negative for what is paid. At most [`Cents::MAX`] either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cents(i64);

/// Why a number is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("must have at most two decimals")]
    Decimals,
    #[error("must be no more than 9999999999.99")]
    TooLarge,
}

/// How far a double may be from the nearest cent for the rounding of sums such as 0.1 + 0.2, in units of its last place.
const ROUNDING_ULPS: f64 = 4.0;

impl Cents {
    pub const ZERO: Self = Self(0);
    /// 9,999,999,999.99: far below the 2^53 up to which doubles hold each whole number.
    pub const MAX: Self = Self(999_999_999_999);

    /// Whole cents.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`].
    pub fn new(cents: i64) -> Result<Self, MoneyError> {
        if cents.unsigned_abs() > Self::MAX.0.unsigned_abs() {
            return Err(MoneyError::TooLarge);
        }
        Ok(Self(cents))
    }

    /// A number as clients send it and records keep it.
    ///
    /// # Errors
    /// When it has more than two decimals, or is out of bounds or no number.
    pub fn from_number(number: f64) -> Result<Self, MoneyError> {
        if !number.is_finite() {
            return Err(MoneyError::TooLarge);
        }
        let cents = Self::nearest(number)?;
        let distance = (cents.to_number() - number).abs();
        if distance > ROUNDING_ULPS * f64::EPSILON * number.abs() {
            return Err(MoneyError::Decimals);
        }
        Ok(cents)
    }

    /// The cents nearest to a stored number, whoever stored it.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`].
    pub fn nearest(number: f64) -> Result<Self, MoneyError> {
        let cents = (number * 100.0).round();
        // Not a number compares as false.
        if cents.abs() <= Self::MAX.0 as f64 {
            Ok(Self(cents as i64))
        } else {
            Err(MoneyError::TooLarge)
        }
    }

    /// The number that records keep.
    #[must_use]
    pub fn to_number(self) -> f64 {
        self.0 as f64 / 100.0
    }

    /// A sum of amounts, which may be above the bound of one.
    #[must_use]
    pub fn total(cents: i64) -> Self {
        Self(cents)
    }

    /// The cents as a whole number.
    #[must_use]
    pub fn get(self) -> i64 {
        self.0
    }

    #[must_use]
    pub fn is_positive(self) -> bool {
        self.0 > 0
    }

    #[must_use]
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// So many times the amount.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`].
    pub fn times(self, quantity: i64) -> Result<Self, MoneyError> {
        let product = self.0.checked_mul(quantity);
        Self::new(product.ok_or(MoneyError::TooLarge)?)
    }
}

impl std::ops::Neg for Cents {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0)
    }
}

/// The number as it is written in JSON: `12`, `12.5`.
impl From<Cents> for serde_json::Value {
    fn from(amount: Cents) -> Self {
        if amount.0 % 100 == 0 {
            return (amount.0 / 100).into();
        }
        amount.to_number().into()
    }
}

/// `12.50`, for people.
impl fmt::Display for Cents {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let cents = self.0.unsigned_abs();
        write!(out, "{sign}{}.{:02}", cents / 100, cents % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_two_decimals_are_amounts() {
        for (number, cents) in [
            (0.0, 0),
            (-0.0, 0),
            (1.0, 100),
            (19.99, 1999),
            (-19.99, -1999),
            (0.01, 1),
            (1.15, 115),
            (4.35, 435),
            (0.1 + 0.2, 30),
            (9_999_999_999.99, 999_999_999_999),
        ] {
            assert_eq!(Cents::from_number(number), Ok(Cents(cents)), "{number}");
        }
        for (number, error) in [
            (0.001, MoneyError::Decimals),
            (19.999, MoneyError::Decimals),
            (1.005, MoneyError::Decimals),
            (1e-300, MoneyError::Decimals),
            (0.300_000_1, MoneyError::Decimals),
            (9_999_999_999.991, MoneyError::Decimals),
            (1e10, MoneyError::TooLarge),
            (-1e10, MoneyError::TooLarge),
            (1e300, MoneyError::TooLarge),
            (f64::INFINITY, MoneyError::TooLarge),
            (f64::NAN, MoneyError::TooLarge),
        ] {
            assert_eq!(Cents::from_number(number), Err(error), "{number}");
        }
        assert!(Cents::nearest(f64::NAN).is_err());
    }

    #[test]
    fn every_amount_survives_the_way_through_a_record() {
        let some = (0..2_000_000).map(|step| step * 499_979);
        for cents in some.take_while(|cents| *cents <= Cents::MAX.0) {
            for cents in [Cents(cents), Cents(-cents)] {
                assert_eq!(Cents::from_number(cents.to_number()), Ok(cents));
                let text = format!("{}", cents.to_number());
                assert!(
                    text.split_once('.')
                        .is_none_or(|(_, decimals)| decimals.len() <= 2),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn products_stay_in_bounds() {
        assert_eq!(Cents(1999).times(3), Ok(Cents(5997)));
        assert_eq!(Cents::MAX.times(2), Err(MoneyError::TooLarge));
        assert_eq!(Cents(i64::MAX / 2).times(3), Err(MoneyError::TooLarge));
        assert_eq!(Cents(-1250).to_string(), "-12.50");
        assert_eq!(Cents(5).to_string(), "0.05");
    }
}
