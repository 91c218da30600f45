//! `@now` and its kin.

use chrono::{
    DateTime, Datelike, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc,
};

/// A name that stands for a moment or a part of it, in UTC (PocketBase's datetime macros).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Macro {
    /// `@now`
    Now,
    /// `@yesterday`: 24 hours before now.
    Yesterday,
    /// `@tomorrow`: 24 hours after now.
    Tomorrow,
    /// `@second`: 0 to 59.
    Second,
    /// `@minute`: 0 to 59.
    Minute,
    /// `@hour`: 0 to 23.
    Hour,
    /// `@day`: of the month, 1 to 31.
    Day,
    /// `@month`: 1 to 12.
    Month,
    /// `@weekday`: 0 (Sunday) to 6.
    Weekday,
    /// `@year`
    Year,
    /// `@todayStart`: today, 00:00:00.000.
    TodayStart,
    /// `@todayEnd`: today, 23:59:59.999.
    TodayEnd,
    /// `@monthStart`: the first of this month, 00:00:00.000.
    MonthStart,
    /// `@monthEnd`: the last of this month, 23:59:59.999.
    MonthEnd,
    /// `@yearStart`: 1 January, 00:00:00.000.
    YearStart,
    /// `@yearEnd`: 31 December, 23:59:59.999.
    YearEnd,
}

/// What a macro stands for at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MacroValue {
    /// A part of the moment.
    Number(i64),
    /// A moment as records store it: `2022-01-01 10:00:00.123Z`.
    Text(String),
}

impl Macro {
    /// Every macro.
    pub const ALL: [Macro; 16] = [
        Macro::Now,
        Macro::Yesterday,
        Macro::Tomorrow,
        Macro::Second,
        Macro::Minute,
        Macro::Hour,
        Macro::Day,
        Macro::Month,
        Macro::Weekday,
        Macro::Year,
        Macro::TodayStart,
        Macro::TodayEnd,
        Macro::MonthStart,
        Macro::MonthEnd,
        Macro::YearStart,
        Macro::YearEnd,
    ];

    /// The name with its `@`.
    pub fn name(self) -> &'static str {
        match self {
            Macro::Now => "@now",
            Macro::Yesterday => "@yesterday",
            Macro::Tomorrow => "@tomorrow",
            Macro::Second => "@second",
            Macro::Minute => "@minute",
            Macro::Hour => "@hour",
            Macro::Day => "@day",
            Macro::Month => "@month",
            Macro::Weekday => "@weekday",
            Macro::Year => "@year",
            Macro::TodayStart => "@todayStart",
            Macro::TodayEnd => "@todayEnd",
            Macro::MonthStart => "@monthStart",
            Macro::MonthEnd => "@monthEnd",
            Macro::YearStart => "@yearStart",
            Macro::YearEnd => "@yearEnd",
        }
    }

    /// The macro with this name; the letters' case matters.
    pub fn from_name(name: &str) -> Option<Macro> {
        if !name.starts_with('@') {
            return None;
        }
        Macro::ALL.into_iter().find(|known| known.name() == name)
    }

    /// What it stands for at the moment `now`.
    pub fn value(self, now: DateTime<Utc>) -> MacroValue {
        let number = |value: u32| MacroValue::Number(i64::from(value));
        let today = now.date_naive();
        let year = now.year();
        match self {
            Macro::Now => text(now.naive_utc()),
            Macro::Yesterday => text(moved(now, -TimeDelta::days(1))),
            Macro::Tomorrow => text(moved(now, TimeDelta::days(1))),
            Macro::Second => number(now.second()),
            Macro::Minute => number(now.minute()),
            Macro::Hour => number(now.hour()),
            Macro::Day => number(now.day()),
            Macro::Month => number(now.month()),
            Macro::Weekday => number(now.weekday().num_days_from_sunday()),
            Macro::Year => MacroValue::Number(i64::from(year)),
            Macro::TodayStart => text(start_of(today)),
            Macro::TodayEnd => text(end_of(today)),
            Macro::MonthStart => text(start_of(first_of_month(today))),
            Macro::MonthEnd => text(end_of(last_of_month(today))),
            Macro::YearStart => text(start_of(date(year, 1, 1, today))),
            Macro::YearEnd => text(end_of(date(year, 12, 31, today))),
        }
    }
}

/// The format of stored dates. Fractions are cut, not rounded.
fn text(at: NaiveDateTime) -> MacroValue {
    MacroValue::Text(at.format("%Y-%m-%d %H:%M:%S%.3fZ").to_string())
}

/// `now` itself where the calendar ends.
fn moved(now: DateTime<Utc>, by: TimeDelta) -> NaiveDateTime {
    now.checked_add_signed(by).unwrap_or(now).naive_utc()
}

fn start_of(day: NaiveDate) -> NaiveDateTime {
    day.and_time(NaiveTime::MIN)
}

fn end_of(day: NaiveDate) -> NaiveDateTime {
    let last = NaiveTime::from_hms_milli_opt(23, 59, 59, 999);
    day.and_time(last.unwrap_or(NaiveTime::MIN))
}

/// A day that every year has; `fallback` is never reached.
fn date(year: i32, month: u32, day: u32, fallback: NaiveDate) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap_or(fallback)
}

fn first_of_month(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}

/// `day` itself in the calendar's last month.
fn last_of_month(day: NaiveDate) -> NaiveDate {
    first_of_month(day)
        .checked_add_months(Months::new(1))
        .and_then(|next| next.pred_opt())
        .unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(moment: &str, name: &str) -> String {
        let now = moment.parse::<DateTime<Utc>>().unwrap();
        match Macro::from_name(name).unwrap().value(now) {
            MacroValue::Number(number) => number.to_string(),
            MacroValue::Text(text) => text,
        }
    }

    #[test]
    fn every_macro_has_its_value() {
        let moment = "2023-02-03T04:05:06.123999Z"; // a Friday
        for (name, value) in [
            ("@now", "2023-02-03 04:05:06.123Z"),
            ("@yesterday", "2023-02-02 04:05:06.123Z"),
            ("@tomorrow", "2023-02-04 04:05:06.123Z"),
            ("@second", "6"),
            ("@minute", "5"),
            ("@hour", "4"),
            ("@day", "3"),
            ("@month", "2"),
            ("@weekday", "5"),
            ("@year", "2023"),
            ("@todayStart", "2023-02-03 00:00:00.000Z"),
            ("@todayEnd", "2023-02-03 23:59:59.999Z"),
            ("@monthStart", "2023-02-01 00:00:00.000Z"),
            ("@monthEnd", "2023-02-28 23:59:59.999Z"),
            ("@yearStart", "2023-01-01 00:00:00.000Z"),
            ("@yearEnd", "2023-12-31 23:59:59.999Z"),
        ] {
            assert_eq!(at(moment, name), value, "{name}");
        }
    }

    #[test]
    fn months_and_years_end_where_the_calendar_says() {
        assert_eq!(
            at("2024-02-10T00:00:00Z", "@monthEnd"),
            "2024-02-29 23:59:59.999Z"
        );
        assert_eq!(
            at("2024-12-31T23:59:59Z", "@monthEnd"),
            "2024-12-31 23:59:59.999Z"
        );
        assert_eq!(
            at("2024-12-31T23:59:59Z", "@tomorrow"),
            "2025-01-01 23:59:59.000Z"
        );
        assert_eq!(at("2023-01-01T00:00:00Z", "@weekday"), "0");
    }

    #[test]
    fn names_are_exact() {
        for known in Macro::ALL {
            assert_eq!(Macro::from_name(known.name()), Some(known));
        }
        for other in ["now", "@NOW", "@todaystart", "@now:lower", "@", ""] {
            assert_eq!(Macro::from_name(other), None, "{other}");
        }
    }
}
