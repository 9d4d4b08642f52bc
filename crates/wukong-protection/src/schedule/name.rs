//! Names of the snapshots of a schedule. They follow from the schedule, the slot and the VM, so no slot has two snapshots of a VM.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, fmt::strtime};
use wukong_api::names::{LABEL_MAX, short_hash};

/// A slot in a name, in UTC.
const SLOT: &str = "%Y%m%d%H%M";
/// Digits of a slot.
const DIGITS: usize = 12;

/// The name of a snapshot: `<schedule>-<slot>`, and `<schedule>-<slot>-<wukong>` if the schedule has a selector. Of a long name, a
/// part of the Wukong and a hash stay.
pub fn snapshot(schedule: &str, slot: Timestamp, wukong: Option<&str>) -> String {
    let name = format!("{schedule}-{}", slot.strftime(SLOT));
    let Some(wukong) = wukong else {
        return name;
    };
    let full = format!("{name}-{wukong}");
    if full.len() <= LABEL_MAX {
        return full;
    }
    let hash = short_hash(&[wukong]);
    let readable: String = full.chars().take(LABEL_MAX - 1 - hash.len()).collect();
    format!("{}-{hash}", readable.trim_end_matches('-'))
}

/// The slot in the name of a snapshot of this schedule.
pub fn slot(schedule: &str, snapshot: &str) -> Option<Timestamp> {
    let rest = snapshot.strip_prefix(schedule)?.strip_prefix('-')?;
    let digits = rest.get(..DIGITS)?;
    let more = rest.get(DIGITS..)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit())
        || !(more.is_empty() || more.starts_with('-'))
    {
        return None;
    }
    let time: DateTime = strtime::parse(SLOT, digits).ok()?.to_datetime().ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_has_the_schedule_the_slot_and_the_vm() {
        let when = at("2026-11-30T01:30:00Z");
        assert_eq!(snapshot("nightly", when, None), "nightly-202611300130");
        let of_vm = snapshot("nightly", when, Some("web"));
        assert_eq!(of_vm, "nightly-202611300130-web");
        assert_eq!(slot("nightly", &of_vm), Some(when));
        for other in [
            "nightly",
            "nightly-before-upgrade",
            "nightly-2026113001301",
            "weekly-202611300130",
            "nightly-202613300130",
        ] {
            assert_eq!(slot("nightly", other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn names_are_labels_that_differ_and_keep_their_slot(
            schedule in "[a-z]([-a-z0-9]{0,38}[a-z0-9])?", minutes in 0i64..60_000_000,
            one in "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", other in "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?",
        ) {
            let when = Timestamp::from_second(minutes * 60).unwrap();
            let name = snapshot(&schedule, when, Some(&one));
            prop_assert!(name.len() <= LABEL_MAX && !name.ends_with('-'));
            prop_assert_eq!(slot(&schedule, &name), Some(when));
            prop_assert_eq!(one == other, name == snapshot(&schedule, when, Some(&other)));
        }
    }
}
