//! The date formats PocketBase reads, as data, and a matcher for them.
//!
//! PocketBase tries Go's `time.Parse` with a list of layouts, in order; the matcher follows the rules documented for
//! it: a space in a layout stands for one or more; a fraction may follow the seconds of any layout; hours may have
//! one digit; names ignore case; weekdays are not compared with the date.

use super::{DateTime, days_in_month};

/// One piece of a layout.
#[derive(Clone, Copy)]
enum Part {
    Year4,
    Year2,
    Month2,
    MonthName,
    /// Two digits.
    Day2,
    /// One or two digits, a single space before them allowed.
    DayPadded,
    WeekdayShort,
    WeekdayLong,
    Hour24,
    Hour12,
    Minute,
    Second,
    /// A separator and exactly so many digits.
    Fraction(usize),
    /// A separator and digits, or nothing.
    AnyFraction,
    AmPm,
    Offset {
        colon: bool,
        z_allowed: bool,
    },
    /// An abbreviation such as `CET` or `GMT+3`. It is read over: it says nothing certain about the offset.
    ZoneName,
    Byte(u8),
    Spaces,
}

use Part::*;

const DATE: [Part; 5] = [Year4, Byte(b'-'), Month2, Byte(b'-'), Day2];
const TIME: [Part; 5] = [Hour24, Byte(b':'), Minute, Byte(b':'), Second];
const PLAIN_OFFSET: Part = Offset {
    colon: false,
    z_allowed: false,
};
const COLON_OFFSET: Part = Offset {
    colon: true,
    z_allowed: false,
};
const Z_PLAIN_OFFSET: Part = Offset {
    colon: false,
    z_allowed: true,
};
const Z_COLON_OFFSET: Part = Offset {
    colon: true,
    z_allowed: true,
};

/// Layouts are written as groups so that the date and the time of day are not repeated.
const LAYOUTS: &[&[&[Part]]] = &[
    &[&DATE, &[Spaces], &TIME, &[Fraction(3), Byte(b'Z')]],
    &[&DATE],
    &[&DATE, &[Byte(b'T')], &TIME, &[Z_COLON_OFFSET]],
    &[&DATE, &[Byte(b'T')], &TIME],
    // RFC 1123, with an offset and with a zone name.
    &[
        &[WeekdayShort, Byte(b','), Spaces, Day2, Spaces, MonthName],
        &[Spaces, Year4, Spaces],
        &TIME,
        &[Spaces, PLAIN_OFFSET],
    ],
    &[
        &[WeekdayShort, Byte(b','), Spaces, Day2, Spaces, MonthName],
        &[Spaces, Year4, Spaces],
        &TIME,
        &[Spaces, ZoneName],
    ],
    // RFC 822.
    &[
        &[Day2, Spaces, MonthName, Spaces, Year2, Spaces],
        &[Hour24, Byte(b':'), Minute, Spaces, PLAIN_OFFSET],
    ],
    &[
        &[Day2, Spaces, MonthName, Spaces, Year2, Spaces],
        &[Hour24, Byte(b':'), Minute, Spaces, ZoneName],
    ],
    // RFC 850.
    &[
        &[WeekdayLong, Byte(b','), Spaces, Day2, Byte(b'-'), MonthName],
        &[Byte(b'-'), Year2, Spaces],
        &TIME,
        &[Spaces, ZoneName],
    ],
    &[
        &DATE,
        &[Spaces],
        &TIME,
        &[AnyFraction, Spaces, PLAIN_OFFSET, Spaces, ZoneName],
    ],
    &[&DATE, &[Byte(b'T')], &TIME, &[PLAIN_OFFSET]],
    &[&DATE, &[Spaces], &TIME, &[Z_PLAIN_OFFSET]],
    &[&DATE, &[Spaces], &TIME],
    // ANSI C, Unix `date`, Ruby.
    &[
        &[WeekdayShort, Spaces, MonthName, Spaces, DayPadded, Spaces],
        &TIME,
        &[Spaces, Year4],
    ],
    &[
        &[WeekdayShort, Spaces, MonthName, Spaces, DayPadded, Spaces],
        &TIME,
        &[Spaces, ZoneName, Spaces, Year4],
    ],
    &[
        &[WeekdayShort, Spaces, MonthName, Spaces, Day2, Spaces],
        &TIME,
        &[Spaces, PLAIN_OFFSET, Spaces, Year4],
    ],
    &[&DATE, &[Spaces], &TIME, &[Z_COLON_OFFSET]],
    &[&[Day2, Spaces, MonthName, Spaces, Year4]],
    &[&DATE, &[Spaces], &TIME, &[Spaces, COLON_OFFSET]],
    &[&DATE, &[Spaces], &TIME, &[Spaces, PLAIN_OFFSET]],
    // Time of day alone, in the year 0.
    &[&[Hour12, Byte(b':'), Minute, AmPm]],
    &[&[MonthName, Spaces, DayPadded, Spaces], &TIME],
    &[
        &[MonthName, Spaces, DayPadded, Spaces],
        &TIME,
        &[Fraction(3)],
    ],
    &[
        &[MonthName, Spaces, DayPadded, Spaces],
        &TIME,
        &[Fraction(6)],
    ],
    &[
        &[MonthName, Spaces, DayPadded, Spaces],
        &TIME,
        &[Fraction(9)],
    ],
];

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

pub(super) fn parse(text: &[u8]) -> Option<DateTime> {
    LAYOUTS
        .iter()
        .find_map(|layout| Reader::new(text).read(layout))
}

/// Reads one text by one layout, collecting the parts on the way.
struct Reader<'a> {
    rest: &'a [u8],
    year: i32,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    ms: u16,
    pm: Option<bool>,
    /// To add to the wall clock to get UTC.
    to_utc_seconds: i64,
}

impl<'a> Reader<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self {
            rest: text,
            year: 0,
            month: 1,
            day: 1,
            hour: 0,
            minute: 0,
            second: 0,
            ms: 0,
            pm: None,
            to_utc_seconds: 0,
        }
    }

    fn read(mut self, layout: &[&[Part]]) -> Option<DateTime> {
        let mut parts = layout.iter().copied().flatten().copied().peekable();
        while let Some(part) = parts.next() {
            self.part(part)?;
            let own_fraction = matches!(parts.peek(), Some(Fraction(_) | AnyFraction));
            if matches!(part, Second) && !own_fraction {
                self.any_fraction();
            }
        }
        if !self.rest.is_empty() || self.day > days_in_month(self.year, self.month) {
            return None;
        }
        let hour = match (self.pm, self.hour) {
            (Some(true), hour @ ..12) => hour + 12,
            (Some(false), 12) => 0,
            (_, hour) => hour,
        };
        let wall = DateTime::from_civil(
            (self.year, self.month, self.day),
            (hour, self.minute, self.second, self.ms),
        )?;
        DateTime::in_range(wall.unix_ms() + self.to_utc_seconds * 1000)
    }

    fn part(&mut self, part: Part) -> Option<()> {
        match part {
            Year4 => self.year = i32::from(self.digits(2)?) * 100 + i32::from(self.digits(2)?),
            Year2 => {
                let year = i32::from(self.digits(2)?);
                self.year = if year >= 69 { 1900 + year } else { 2000 + year };
            }
            Month2 => self.month = self.digits(2).filter(|month| (1..=12).contains(month))?,
            MonthName => self.month = self.name(&MONTHS, Some(3))? + 1,
            Day2 => self.day = self.digits(2).filter(|day| *day >= 1)?,
            DayPadded => {
                if let Some((b' ', rest)) = self.rest.split_first() {
                    self.rest = rest;
                }
                self.day = self.one_or_two_digits().filter(|day| *day >= 1)?;
            }
            WeekdayShort => drop(self.name(&WEEKDAYS, Some(3))?),
            WeekdayLong => drop(self.name(&WEEKDAYS, None)?),
            Hour24 => self.hour = self.one_or_two_digits().filter(|hour| *hour < 24)?,
            Hour12 => self.hour = self.one_or_two_digits().filter(|hour| *hour <= 12)?,
            Minute => self.minute = self.digits(2).filter(|minute| *minute < 60)?,
            Second => self.second = self.digits(2).filter(|second| *second < 60)?,
            Fraction(digits) => self.fraction(digits)?,
            AnyFraction => self.any_fraction(),
            AmPm => {
                let (text, rest) = self.rest.split_first_chunk::<2>()?;
                self.pm = Some(match text {
                    b"PM" => true,
                    b"AM" => false,
                    _ => return None,
                });
                self.rest = rest;
            }
            Offset { colon, z_allowed } => self.offset(colon, z_allowed)?,
            ZoneName => self.zone_name()?,
            Byte(byte) => self.byte(byte)?,
            Spaces => {
                if self.rest.first().is_some_and(|byte| *byte != b' ') {
                    return None;
                }
                let spaces = self.rest.iter().take_while(|byte| **byte == b' ').count();
                self.rest = self.rest.get(spaces..)?;
            }
        }
        Some(())
    }

    fn byte(&mut self, wanted: u8) -> Option<()> {
        let (first, rest) = self.rest.split_first()?;
        if *first != wanted {
            return None;
        }
        self.rest = rest;
        Some(())
    }

    /// Exactly `count` digits; at most two, so that the value fits.
    fn digits(&mut self, count: usize) -> Option<u8> {
        let (digits, rest) = self.rest.split_at_checked(count)?;
        let mut value = 0u8;
        for digit in digits {
            value = value * 10 + digit_value(*digit)?;
        }
        self.rest = rest;
        Some(value)
    }

    fn one_or_two_digits(&mut self) -> Option<u8> {
        self.digits(2).or_else(|| self.digits(1))
    }

    fn fraction(&mut self, digits: usize) -> Option<()> {
        let (text, rest) = self.rest.split_at_checked(digits + 1)?;
        let (separator, digits) = text.split_first()?;
        if !matches!(separator, b'.' | b',') || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.rest = rest;
        self.ms = 0;
        for place in 0..3 {
            let digit = digits.get(place).map_or(0, |digit| digit - b'0');
            self.ms = self.ms * 10 + u16::from(digit);
        }
        Some(())
    }

    fn any_fraction(&mut self) {
        let digits = self.rest.iter().skip(1);
        let digits = digits.take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 {
            // No separator: then it is no fraction, and what follows decides.
            let _ = self.fraction(digits);
        }
    }

    fn name(&mut self, names: &[&str], letters: Option<usize>) -> Option<u8> {
        let index = names.iter().position(|name| {
            let letters = letters.unwrap_or(name.len());
            let wanted = name.as_bytes().get(..letters);
            let found = self.rest.get(..letters);
            wanted
                .zip(found)
                .is_some_and(|(wanted, found)| wanted.eq_ignore_ascii_case(found))
        })?;
        let letters = letters.unwrap_or(names.get(index)?.len());
        self.rest = self.rest.get(letters..)?;
        u8::try_from(index).ok()
    }

    fn offset(&mut self, colon: bool, z_allowed: bool) -> Option<()> {
        if z_allowed && self.byte(b'Z').is_some() {
            return Some(());
        }
        let (sign, rest) = self.rest.split_first()?;
        let sign = match sign {
            b'+' => -1,
            b'-' => 1,
            _ => return None,
        };
        self.rest = rest;
        let hours = self.digits(2).filter(|hours| *hours <= 24)?;
        if colon {
            self.byte(b':')?;
        }
        let minutes = self.digits(2).filter(|minutes| *minutes <= 60)?;
        self.to_utc_seconds = sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60);
        Some(())
    }

    fn zone_name(&mut self) -> Option<()> {
        let letters = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_uppercase());
        let letters = letters.count();
        let length = match self.rest {
            [b'C', b'h', b'S', b'T', ..] | [b'M', b'e', b'S', b'T', ..] => 4,
            [b'U', b'T', b'C', ..] => 3,
            [b'G', b'M', b'T', ..] => 3 + signed_hours(self.rest.get(3..)?),
            [b'+' | b'-', _, _, ..] => match signed_hours(self.rest) {
                0 => return None,
                length => length,
            },
            [_, _, _, b'T', ..] | [b'W', b'I', b'T', b'A', ..] if letters == 4 => 4,
            [_, _, _, _, b'T', ..] if letters == 5 => 5,
            _ if letters == 3 => 3,
            _ => return None,
        };
        self.rest = self.rest.get(length..)?;
        Some(())
    }
}

fn digit_value(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

/// The length of a sign and an hour up to 23 at the start of `text`; zero when there is none.
fn signed_hours(text: &[u8]) -> usize {
    let digits = text.iter().skip(1).take_while(|byte| byte.is_ascii_digit());
    let value = digits.clone().fold(0u32, |value, digit| {
        (value * 10 + u32::from(digit - b'0')).min(1000)
    });
    let signed = matches!(text.first(), Some(b'+' | b'-'));
    match digits.count() {
        0 => 0,
        count if signed && value < 24 => 1 + count,
        _ => 0,
    }
}
