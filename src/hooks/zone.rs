//! Time zones by name, from the system's database (RFC 8536 files).

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Where systems keep the database.
const FOLDERS: [&str; 3] = [
    "/usr/share/zoneinfo",
    "/usr/lib/zoneinfo",
    "/usr/share/lib/zoneinfo",
];
/// Bytes of the header of a file.
const HEADER_BYTES: usize = 44;
const FILE_BYTES_MAX: u64 = 1 << 20;
const NAME_BYTES_MAX: usize = 64;

/// The changes of a zone's offset from UTC.
#[derive(Debug)]
pub(super) struct Zone {
    /// From this second since 1970 on, so many seconds ahead of UTC; in the order of time.
    changes: Vec<(i64, i32)>,
    /// Before the first change.
    first: i32,
    /// The rule for the time after the last change, as `CET-1CEST,M3.5.0,M10.5.0/3`.
    rule: Option<Rule>,
}

/// Two offsets a year.
#[derive(Clone, Copy, Debug)]
struct Rule {
    standard: i32,
    summer: i32,
    starts: Day,
    ends: Day,
}

/// A weekday of a month, such as the last Sunday in March, and seconds after its midnight.
#[derive(Clone, Copy, Debug)]
struct Day {
    month: i64,
    week: i64,
    weekday: i64,
    seconds: i64,
}

impl Zone {
    /// A zone such as `Europe/Paris`; nothing when the system knows none of that name.
    pub(super) fn load(name: &str) -> Option<Arc<Self>> {
        static KNOWN: LazyLock<Mutex<HashMap<String, Option<Arc<Zone>>>>> =
            LazyLock::new(Mutex::default);
        let part_ok = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte))
        };
        if name.len() > NAME_BYTES_MAX || !name.split('/').all(part_ok) {
            return None;
        }
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(zone) = known.get(name) {
            return zone.clone();
        }
        let zone = FOLDERS
            .iter()
            .find_map(|folder| read(&Path::new(folder).join(name)))
            .and_then(|bytes| Self::parse(&bytes))
            .or_else(|| (name == "UTC").then(|| Self::fixed(0)))
            .map(Arc::new);
        known.insert(name.to_owned(), zone.clone());
        zone
    }

    fn fixed(offset: i32) -> Self {
        Self {
            changes: Vec::new(),
            first: offset,
            rule: None,
        }
    }

    /// Reads version 2 or later.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let first = Counts::read(bytes)?;
        let second = bytes.get(HEADER_BYTES + first.bytes(4)..)?;
        let counts = Counts::read(second)?;
        let body = second.get(HEADER_BYTES..)?;
        let times = body.get(..counts.times * 8)?;
        let kinds = body.get(counts.times * 8..counts.times * 9)?;
        let types = body.get(counts.times * 9..counts.times * 9 + counts.types * 6)?;
        let offset = |kind: usize| {
            let bytes = types.get(kind * 6..kind * 6 + 4)?;
            Some(i32::from_be_bytes(bytes.try_into().ok()?))
        };
        let mut changes = Vec::with_capacity(counts.times);
        for (time, kind) in times.chunks_exact(8).zip(kinds) {
            let at = i64::from_be_bytes(time.try_into().ok()?);
            changes.push((at, offset(usize::from(*kind))?));
        }
        let footer = second.get(HEADER_BYTES + counts.bytes(8)..)?;
        let footer = std::str::from_utf8(footer).ok()?.trim_matches('\n');
        Some(Self {
            first: offset(0)?,
            changes,
            rule: Rule::parse(footer),
        })
    }

    /// Seconds ahead of UTC at a moment.
    pub(super) fn offset_s(&self, at: i64) -> i32 {
        let after = self.changes.partition_point(|(from, _)| *from <= at);
        if after == self.changes.len()
            && let Some(rule) = &self.rule
        {
            return rule.offset_s(at);
        }
        match after.checked_sub(1).and_then(|last| self.changes.get(last)) {
            Some((_, offset)) => *offset,
            None => self.first,
        }
    }

    /// Seconds ahead of UTC when the clocks of the zone show this time (given as if it were UTC).
    pub(super) fn local_offset_s(&self, local: i64) -> i64 {
        let guess = i64::from(self.offset_s(local));
        let offset = i64::from(self.offset_s(local - guess));
        if offset == guess {
            return offset;
        }
        i64::from(self.offset_s(local - offset))
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let facts = std::fs::metadata(path).ok()?;
    if !facts.is_file() || facts.len() > FILE_BYTES_MAX {
        return None;
    }
    std::fs::read(path).ok()
}

/// The counts in a header.
struct Counts {
    utc: usize,
    standard: usize,
    leaps: usize,
    times: usize,
    types: usize,
    chars: usize,
}

impl Counts {
    fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.get(..4)? != b"TZif" || *bytes.get(4)? < b'2' {
            return None;
        }
        let count = |at: usize| {
            let bytes = bytes.get(at..at + 4)?;
            usize::try_from(u32::from_be_bytes(bytes.try_into().ok()?)).ok()
        };
        Some(Self {
            utc: count(20)?,
            standard: count(24)?,
            leaps: count(28)?,
            times: count(32)?,
            types: count(36)?,
            chars: count(40)?,
        })
    }

    /// The size of the block behind the header, with times of so many bytes.
    fn bytes(&self, time: usize) -> usize {
        self.times * (time + 1)
            + self.types * 6
            + self.chars
            + self.leaps * (time + 4)
            + self.standard
            + self.utc
    }
}

impl Rule {
    /// Reads a rule with two offsets. (One offset needs no rule: the last change goes on.)
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        let names = parts.next()?;
        let (starts, ends) = (Day::parse(parts.next()?)?, Day::parse(parts.next()?)?);
        let rest = skip_name(names)?;
        let end = rest
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | ':')))
            .unwrap_or(rest.len());
        let (standard, rest) = rest.split_at_checked(end)?;
        let standard = -seconds(standard)?;
        let summer = match skip_name(rest)? {
            "" => standard + 3600,
            text => -seconds(text)?,
        };
        Some(Self {
            standard: i32::try_from(standard).ok()?,
            summer: i32::try_from(summer).ok()?,
            starts,
            ends,
        })
    }

    fn offset_s(&self, at: i64) -> i32 {
        let year = year_of((at + i64::from(self.standard)).div_euclid(86_400));
        let starts = self.starts.at(year) - i64::from(self.standard);
        let ends = self.ends.at(year) - i64::from(self.summer);
        let summer = if starts < ends {
            (starts..ends).contains(&at)
        } else {
            !(ends..starts).contains(&at)
        };
        if summer { self.summer } else { self.standard }
    }
}

fn skip_name(text: &str) -> Option<&str> {
    if let Some(quoted) = text.strip_prefix('<') {
        return quoted.split_once('>').map(|(_, rest)| rest);
    }
    Some(text.trim_start_matches(|c: char| c.is_ascii_alphabetic()))
}

/// `[+-]hh[:mm[:ss]]` in seconds.
fn seconds(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.trim_start_matches('+')),
    };
    let mut total = 0;
    for (part, unit) in digits.split(':').zip([3600, 60, 1]) {
        total += part.parse::<i64>().ok()? * unit;
    }
    Some(sign * total)
}

impl Day {
    /// `Mm.w.d[/time]`.
    fn parse(text: &str) -> Option<Self> {
        let (day, time) = match text.split_once('/') {
            Some((day, time)) => (day, seconds(time)?),
            None => (text, 7200),
        };
        let mut numbers = day.strip_prefix('M')?.split('.').map(str::parse);
        let mut number = || numbers.next()?.ok();
        Some(Self {
            month: number()?,
            week: number()?,
            weekday: number()?,
            seconds: time,
        })
    }

    /// Seconds since 1970 by the clocks of the zone.
    fn at(&self, year: i64) -> i64 {
        let first = days_from_civil(year, self.month, 1);
        // 1970-01-01 was a Thursday.
        let weekday = (first + 4).rem_euclid(7);
        let mut day = first + (self.weekday - weekday).rem_euclid(7) + (self.week - 1) * 7;
        let (next_year, next_month) = match self.month {
            12 => (year + 1, 1),
            month => (year, month + 1),
        };
        while day >= days_from_civil(next_year, next_month, 1) {
            day -= 7;
        }
        day * 86_400 + self.seconds
    }
}

/// Days since 1970 of a date.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn year_of(days: i64) -> i64 {
    let mut year = 1970 + days.div_euclid(366);
    while days_from_civil(year + 1, 1, 1) <= days {
        year += 1;
    }
    year
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn rules_tell_summer_time() {
        let rule = Rule::parse("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        // 2024-07-01, 2024-01-01, and both sides of 2024-03-31 01:00 UTC and 2024-10-27 01:00 UTC.
        for (at, offset) in [
            (1_719_792_000, 7200),
            (1_704_067_200, 3600),
            (1_711_846_799, 3600),
            (1_711_846_800, 7200),
            (1_729_990_799, 7200),
            (1_729_990_800, 3600),
        ] {
            assert_eq!(rule.offset_s(at), offset, "{at}");
        }
        let south = Rule::parse("AEST-10AEDT,M10.1.0,M4.1.0/3").unwrap();
        assert_eq!(south.offset_s(1_704_067_200), 39_600);
        assert_eq!(south.offset_s(1_719_792_000), 36_000);
        assert!(Rule::parse("UTC0").is_none());
    }

    #[test]
    fn names_cannot_leave_the_folder() {
        for name in ["../../etc/passwd", "/etc/passwd", "", "a//b", "."] {
            assert!(Zone::load(name).is_none(), "{name}");
        }
    }
}
