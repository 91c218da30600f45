//! Cron expressions: five segments for minute, hour, day of the month, month and day of the week, or a macro.

use crate::base::date::DateTime;

/// Why a text is no cron expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error(
        "invalid cron expression - must be a valid macro or to have exactly 5 space separated segments"
    )]
    Segments,
    #[error("invalid number {0:?} in the cron expression")]
    Number(String),
    #[error("invalid segment step boundary - the step must be between 1 and the {max}")]
    Step { max: u8 },
    #[error("invalid segment step format - must be in the format */n or 1-30/n")]
    StepFormat,
    #[error("invalid segment step - step > 1 could be used only with the wildcard or range format")]
    StepWithoutRange,
    #[error("invalid segment value - must be between the min and max of the segment")]
    Value,
    #[error("invalid segment range minimum - must be between {min} and {max}")]
    RangeMin { min: u8, max: u8 },
    #[error("invalid segment range maximum - must be between {min} and {max}")]
    RangeMax { min: u8, max: u8 },
    #[error("invalid segment range format - the range must have 1 or 2 parts")]
    RangeFormat,
}

/// The minutes at which something is due, in UTC. Each segment is a set of numbers as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
}

impl Schedule {
    /// Reads `*`, `n`, `a-b`, `*/n`, `a-b/n` and lists of these, or `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`,
    /// `@midnight`, `@hourly`.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let text = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let mut segments = text.split(' ');
        let mut next = || segments.next().ok_or(ScheduleError::Segments);
        let (minutes, hours, days, months, weekdays) =
            (next()?, next()?, next()?, next()?, next()?);
        if segments.next().is_some() {
            return Err(ScheduleError::Segments);
        }
        Ok(Self {
            minutes: segment(minutes, 0, 59)?,
            hours: segment(hours, 0, 23)?,
            days: segment(days, 1, 31)?,
            months: segment(months, 1, 12)?,
            weekdays: segment(weekdays, 0, 6)?,
        })
    }

    /// Whether the minute of `moment` is in the schedule. All segments have to match, days and weekdays too.
    #[must_use]
    pub fn is_due(&self, moment: DateTime) -> bool {
        let civil = moment.civil();
        let has = |set: u64, number: u8| set >> number & 1 == 1;
        has(self.minutes, civil.minute)
            && has(self.hours, civil.hour)
            && has(self.days, civil.day)
            && has(self.months, civil.month)
            && has(self.weekdays, civil.weekday)
    }
}

fn segment(text: &str, min: u8, max: u8) -> Result<u64, ScheduleError> {
    text.split(',')
        .try_fold(0, |set, part| Ok(set | part_of(part, min, max)?))
}

/// One entry of a segment's list, as bits.
fn part_of(text: &str, min: u8, max: u8) -> Result<u64, ScheduleError> {
    let (range, step) = match text.split_once('/') {
        None => (text, 1),
        Some((_, rest)) if rest.contains('/') => return Err(ScheduleError::StepFormat),
        Some((range, step)) => (range, number(step)?),
    };
    if step < 1 || step > i64::from(max) {
        return Err(ScheduleError::Step { max });
    }
    let (low, high) = (i64::from(min), i64::from(max));
    let (from, to) = if range == "*" {
        (low, high)
    } else {
        let mut ends = range.split('-');
        match (ends.next(), ends.next(), ends.next()) {
            (Some(single), None, _) => {
                if step != 1 {
                    return Err(ScheduleError::StepWithoutRange);
                }
                let value = number(single)?;
                if !(low..=high).contains(&value) {
                    return Err(ScheduleError::Value);
                }
                (value, value)
            }
            (Some(from), Some(to), None) => {
                let from = number(from)?;
                if !(low..=high).contains(&from) {
                    return Err(ScheduleError::RangeMin { min, max });
                }
                let to = number(to)?;
                if !(from..=high).contains(&to) {
                    let min = u8::try_from(from).unwrap_or(min);
                    return Err(ScheduleError::RangeMax { min, max });
                }
                (from, to)
            }
            _ => return Err(ScheduleError::RangeFormat),
        }
    };
    let step = usize::try_from(step).unwrap_or(1);
    Ok((from..=to)
        .step_by(step)
        .fold(0, |set, value| set | 1 << value))
}

fn number(text: &str) -> Result<i64, ScheduleError> {
    text.parse()
        .map_err(|_| ScheduleError::Number(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn due(expression: &str, moment: &str) -> bool {
        Schedule::parse(expression)
            .unwrap()
            .is_due(DateTime::parse(moment).unwrap())
    }

    #[test]
    fn segments_select_minutes() {
        // 2024-05-06 was a Monday.
        let moment = "2024-05-06 07:30:59.000Z";
        for (expression, expected) in [
            ("* * * * *", true),
            ("30 7 6 5 1", true),
            ("31 7 6 5 1", false),
            ("*/15 * * * *", true),
            ("*/7 * * * *", false),
            ("0-20/10,30 1-7 * * 1-5", true),
            ("30 7 * * 0", false),
            ("@hourly", false),
        ] {
            assert_eq!(due(expression, moment), expected, "{expression}");
        }
        assert!(due("@weekly", "2024-05-05 00:00:00.000Z"));
    }

    #[test]
    fn wrong_expressions_say_what_is_wrong() {
        for (expression, expected) in [
            ("", ScheduleError::Segments),
            ("* * * *", ScheduleError::Segments),
            ("* * * * * *", ScheduleError::Segments),
            ("60 * * * *", ScheduleError::Value),
            ("x * * * *", ScheduleError::Number("x".into())),
            ("*/0 * * * *", ScheduleError::Step { max: 59 }),
            ("1/2 * * * *", ScheduleError::StepWithoutRange),
            ("*/1/2 * * * *", ScheduleError::StepFormat),
            ("5-2 * * * *", ScheduleError::RangeMax { min: 5, max: 59 }),
            ("* * 0-2 * *", ScheduleError::RangeMin { min: 1, max: 31 }),
            ("1-2-3 * * * *", ScheduleError::RangeFormat),
        ] {
            assert_eq!(Schedule::parse(expression), Err(expected), "{expression}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-0-9*/, @a-z]{0,24}") {
            let _ = Schedule::parse(&text);
        }

        #[test]
        fn a_single_value_is_due_in_its_minute_only(minute in 0u8..60, at in 0u8..60) {
            let schedule = Schedule::parse(&format!("{minute} * * * *")).unwrap();
            let moment = DateTime::from_civil((2024, 1, 1), (0, at, 0, 0)).unwrap();
            prop_assert_eq!(schedule.is_due(moment), minute == at);
        }
    }
}
