//! Moments in time as PocketBase stores and prints them: UTC, millisecond precision.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

mod layout;

const MS_PER_DAY: i64 = 86_400_000;
/// 0001-01-01 00:00:00 UTC: the moment that stands for "no date".
const ZERO_MS: i64 = -62_135_596_800_000;
/// 0000-01-01 00:00:00.000 UTC.
const MIN_MS: i64 = -62_167_219_200_000;
/// 9999-12-31 23:59:59.999 UTC.
const MAX_MS: i64 = 253_402_300_799_999;
/// Bytes of a printed date.
const TEXT_BYTES: usize = 24;

/// A moment in UTC with millisecond precision, from the year 0 to 9999.
///
/// The default is the zero date, which stands for "none" and prints as an empty string. Prints as `2022-01-01 10:00:00.123Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime {
    ms: i64,
}

/// A moment's parts in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// 0 to 9999.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 to 999.
    pub ms: u16,
    /// Days since Sunday, 0 to 6.
    pub weekday: u8,
}

impl DateTime {
    /// The zero date: "none".
    pub const ZERO: Self = Self { ms: ZERO_MS };

    /// The present moment of the system's clock. Where tests want to set the time, ask a [`super::Clock`].
    pub fn now() -> Self {
        Self::from_system(SystemTime::now())
    }

    /// A moment of the system's clock, such as a file's last change.
    pub fn from_system(time: SystemTime) -> Self {
        let ms = match time.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(MAX_MS),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(MAX_MS),
        };
        Self::from_unix_ms(ms)
    }

    /// From milliseconds since 1970; values outside the years 0 to 9999 become the nearest moment inside.
    pub const fn from_unix_ms(ms: i64) -> Self {
        if ms < MIN_MS {
            return Self { ms: MIN_MS };
        }
        if ms > MAX_MS {
            return Self { ms: MAX_MS };
        }
        Self { ms }
    }

    /// From whole seconds since 1970; nothing when outside the years 0 to 9999.
    pub fn from_unix(seconds: i64) -> Option<Self> {
        Self::in_range(seconds.checked_mul(1000)?)
    }

    /// Reads the texts PocketBase reads: its own format, RFC 3339, RFC 1123, RFC 850, RFC 822, ANSI C, Unix and Ruby
    /// dates, `02 Jan 2006`, date only, and with or without a zone (none: UTC). An empty text is the zero date.
    /// Digits beyond milliseconds are dropped.
    ///
    /// Nothing when no format matches. (PocketBase then takes the zero date: `parse(..).unwrap_or_default()`.)
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::ZERO);
        }
        layout::parse(text.as_bytes())
    }

    /// The start of a civil day plus a time of day; nothing when a part is out of its range.
    pub fn from_civil(
        (year, month, day): (i32, u8, u8),
        (hour, minute, second, ms): (u8, u8, u8, u16),
    ) -> Option<Self> {
        let day_ok = (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
        if !day_ok || hour > 23 || minute > 59 || second > 59 || ms > 999 {
            return None;
        }
        let of_day = ((i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second)) * 1000;
        Self::in_range(days_from_civil(year, month, day) * MS_PER_DAY + of_day + i64::from(ms))
    }

    fn in_range(ms: i64) -> Option<Self> {
        (MIN_MS..=MAX_MS).contains(&ms).then_some(Self { ms })
    }

    /// True for the zero date.
    pub const fn is_zero(self) -> bool {
        self.ms == ZERO_MS
    }

    /// Milliseconds since 1970, negative before.
    pub const fn unix_ms(self) -> i64 {
        self.ms
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn unix(self) -> i64 {
        self.ms.div_euclid(1000)
    }

    /// Later (or earlier, when negative) by `ms` milliseconds, kept within the years 0 to 9999.
    pub const fn add_ms(self, ms: i64) -> Self {
        Self::from_unix_ms(self.ms.saturating_add(ms))
    }

    /// Later (or earlier, when negative) by `seconds`, kept within the years 0 to 9999.
    pub const fn add_seconds(self, seconds: i64) -> Self {
        self.add_ms(seconds.saturating_mul(1000))
    }

    /// Milliseconds from `earlier` to this moment; negative when `earlier` is later.
    pub const fn ms_since(self, earlier: Self) -> i64 {
        self.ms - earlier.ms
    }

    /// The parts of the date and the time of day.
    pub const fn civil(self) -> Civil {
        let days = self.ms.div_euclid(MS_PER_DAY);
        let of_day = self.ms.rem_euclid(MS_PER_DAY);
        let (year, month, day) = civil_from_days(days);
        Civil {
            year,
            month,
            day,
            hour: (of_day / 3_600_000) as u8,
            minute: (of_day / 60_000 % 60) as u8,
            second: (of_day / 1000 % 60) as u8,
            ms: (of_day % 1000) as u16,
            // 1970-01-01 was a Thursday.
            weekday: (days + 4).rem_euclid(7) as u8,
        }
    }

    /// The printed form without an allocation; empty for the zero date.
    pub fn text(self) -> DateText {
        let mut bytes = *b"0000-00-00 00:00:00.000Z";
        if self.is_zero() {
            return DateText { bytes, len: 0 };
        }
        let civil = self.civil();
        let mut put = |at: usize, width: usize, mut value: u32| {
            for digit in bytes.iter_mut().skip(at).take(width).rev() {
                *digit = b'0' + (value % 10) as u8;
                value /= 10;
            }
        };
        put(0, 4, civil.year.unsigned_abs());
        put(5, 2, u32::from(civil.month));
        put(8, 2, u32::from(civil.day));
        put(11, 2, u32::from(civil.hour));
        put(14, 2, u32::from(civil.minute));
        put(17, 2, u32::from(civil.second));
        put(20, 3, u32::from(civil.ms));
        DateText {
            bytes,
            len: TEXT_BYTES,
        }
    }
}

impl Default for DateTime {
    fn default() -> Self {
        Self::ZERO
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text().as_str())
    }
}

impl fmt::Debug for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DateTime({})", self.text().as_str())
    }
}

impl serde::Serialize for DateTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text().as_str())
    }
}

impl<'de> serde::Deserialize<'de> for DateTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        // As PocketBase: what cannot be read is "none".
        Ok(Self::parse(&text).unwrap_or_default())
    }
}

/// A printed date on the stack: 24 ASCII bytes, or none for the zero date.
#[derive(Clone, Copy)]
pub struct DateText {
    bytes: [u8; TEXT_BYTES],
    len: usize,
}

impl DateText {
    /// The text.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl AsRef<str> for DateText {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

const fn is_leap_year(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days in a month of the Gregorian calendar; `month` is 1 to 12.
pub const fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        2 if is_leap_year(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar. Years are counted from March, so that the leap
/// day is the last one, in eras of 400 years (146,097 days).
const fn days_from_civil(year: i32, month: u8, day: u8) -> i64 {
    let year = year as i64 - (month <= 2) as i64;
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month as i64 + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day as i64 - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The reverse of [`days_from_civil`].
const fn civil_from_days(days: i64) -> (i32, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + (month <= 2) as i64;
    (year as i32, month as u8, day as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> Option<String> {
        DateTime::parse(text).map(|date| date.to_string())
    }

    #[test]
    fn accepted_texts_print_in_the_one_format() {
        for (text, expected) in [
            ("2022-01-01 10:00:00.123Z", "2022-01-01 10:00:00.123Z"),
            ("2022-01-01 10:00:00.123456Z", "2022-01-01 10:00:00.123Z"),
            ("2022-01-01 10:00:00,5Z", "2022-01-01 10:00:00.500Z"),
            ("2022-01-01", "2022-01-01 00:00:00.000Z"),
            ("2022-01-01T10:00:00Z", "2022-01-01 10:00:00.000Z"),
            (
                "2022-01-01T10:00:00.999999999+02:00",
                "2022-01-01 08:00:00.999Z",
            ),
            ("2022-01-01T10:00:00", "2022-01-01 10:00:00.000Z"),
            ("2022-01-01T10:00:00-0730", "2022-01-01 17:30:00.000Z"),
            ("2022-01-01 10:00:00", "2022-01-01 10:00:00.000Z"),
            ("2022-01-01   1:00:00", "2022-01-01 01:00:00.000Z"),
            ("2022-01-01 10:00:00 +01:00", "2022-01-01 09:00:00.000Z"),
            (
                "2022-01-01 10:00:00.5 +0100 CET",
                "2022-01-01 09:00:00.500Z",
            ),
            (
                "Mon, 02 Jan 2006 15:04:05 -0700",
                "2006-01-02 22:04:05.000Z",
            ),
            ("Mon, 02 Jan 2006 15:04:05 MST", "2006-01-02 15:04:05.000Z"),
            ("02 Jan 06 15:04 +0100", "2006-01-02 14:04:00.000Z"),
            ("02 jan 69 15:04 UTC", "1969-01-02 15:04:00.000Z"),
            (
                "Monday, 02-Jan-06 15:04:05 CEST",
                "2006-01-02 15:04:05.000Z",
            ),
            ("Mon Jan  2 15:04:05 2006", "2006-01-02 15:04:05.000Z"),
            ("Mon Jan  2 15:04:05 MST 2006", "2006-01-02 15:04:05.000Z"),
            ("Mon Jan 02 15:04:05 -0700 2006", "2006-01-02 22:04:05.000Z"),
            ("02 Jan 2006", "2006-01-02 00:00:00.000Z"),
            ("3:04PM", "0000-01-01 15:04:00.000Z"),
            ("Jan _2 15:04:05", ""),
            ("Jan  2 15:04:05.123456", "0000-01-02 15:04:05.123Z"),
            ("2024-02-29", "2024-02-29 00:00:00.000Z"),
            ("0001-01-01 00:00:00.000Z", ""),
            ("", ""),
        ] {
            assert_eq!(shown(text).unwrap_or_default(), expected, "{text:?}");
        }
    }

    #[test]
    fn texts_that_are_no_date_are_refused() {
        for text in [
            "invalid",
            "2022",
            "1640995200",
            "2022-13-01",
            "2023-02-29",
            "2022-00-10",
            "2022-01-00",
            "2022-1-1",
            "2022-01-01 24:00:00",
            "2022-01-01 10:60:00",
            "2022-01-01T10:00:00Zx",
            "2022-01-01 10:00:00.Z",
            " 2022-01-01",
            "2022-01-01 10:00",
            "02 Foo 2006",
            "0000-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
        ] {
            assert_eq!(DateTime::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_seconds_since_1970_within_bounds() {
        let date = DateTime::from_unix(1_640_995_200).unwrap();
        assert_eq!(date.to_string(), "2022-01-01 00:00:00.000Z");
        assert_eq!(date.unix(), 1_640_995_200);
        assert_eq!(DateTime::from_unix(i64::MAX), None);
        assert_eq!(DateTime::from_unix(i64::MIN), None);
        assert_eq!(
            DateTime::from_unix_ms(i64::MAX).to_string(),
            "9999-12-31 23:59:59.999Z"
        );
        assert_eq!(
            DateTime::from_unix_ms(0).add_ms(i64::MIN).to_string(),
            "0000-01-01 00:00:00.000Z"
        );
    }

    #[test]
    fn weekdays_count_from_sunday() {
        assert_eq!(DateTime::from_unix_ms(0).civil().weekday, 4);
        assert_eq!(DateTime::from_unix_ms(-1).civil().weekday, 3);
    }

    #[test]
    fn the_zero_date_is_the_default_and_empty() {
        assert!(DateTime::default().is_zero());
        assert_eq!(DateTime::default().to_string(), "");
        assert_eq!(serde_json::to_string(&DateTime::ZERO).unwrap(), "\"\"");
        let read: DateTime = serde_json::from_str("\"nonsense\"").unwrap();
        assert!(read.is_zero());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "\\PC*") {
            let _ = DateTime::parse(&text);
        }

        #[test]
        fn near_dates_are_read_or_refused_without_a_panic(
            text in "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]{0,2}([0-9]{1,2}:?){0,3}([.,][0-9]{0,12})?(Z|[+-][0-9:]{0,5})?( ?[A-Z+0-9]{0,6})"
        ) {
            let _ = DateTime::parse(&text);
        }

        #[test]
        fn printing_and_reading_agree(ms in MIN_MS..=MAX_MS) {
            let date = DateTime::from_unix_ms(ms);
            prop_assert_eq!(DateTime::parse(&date.to_string()), Some(date));
            let civil = date.civil();
            prop_assert_eq!(
                DateTime::from_civil(
                    (civil.year, civil.month, civil.day),
                    (civil.hour, civil.minute, civil.second, civil.ms),
                ),
                Some(date)
            );
        }
    }
}
