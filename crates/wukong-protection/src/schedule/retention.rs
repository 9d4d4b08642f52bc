//! Which snapshots of one VM a schedule deletes.

use jiff::Timestamp;

use super::snapshot::{Outcome, Snapshot};

/// The snapshots, the oldest first, that are older than the `retain` newest successes, except those that are being taken or are in use.
///
/// Only successes count, so failures never displace a snapshot that can be restored. A snapshot of a slot after the present time
/// is of a clock that was wrong: it does not count, and stays.
pub(super) fn surplus<'a>(
    snapshots: &[Snapshot<'a>],
    retain: usize,
    now: Timestamp,
) -> Vec<Snapshot<'a>> {
    let past = snapshots.iter().filter(|snapshot| snapshot.slot <= now);
    let mut successes: Vec<Timestamp> = past
        .clone()
        .filter(|snapshot| snapshot.outcome == Outcome::Succeeded)
        .map(|snapshot| snapshot.slot)
        .collect();
    successes.sort_unstable_by(|one, other| other.cmp(one));
    let Some(oldest_kept) = retain.checked_sub(1).and_then(|last| successes.get(last)) else {
        return Vec::new();
    };
    let older = past.filter(|snapshot| snapshot.slot < *oldest_kept);
    let mut surplus: Vec<Snapshot> = older
        .filter(|snapshot| snapshot.outcome != Outcome::Open && !snapshot.in_use)
        .copied()
        .collect();
    surplus.sort_by_key(|snapshot| snapshot.slot);
    surplus
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    /// Snapshots by their slots, in minutes: `+` succeeded, `-` failed, `?` open, `!` succeeded and in use.
    fn deleted(snapshots: &str, retain: usize, now: i64) -> String {
        let all: Vec<Snapshot> = snapshots
            .split_whitespace()
            .map(|text| {
                let (slot, outcome) = text.split_at(text.len() - 1);
                Snapshot {
                    name: text,
                    wukong: "web",
                    slot: at(slot.parse().unwrap()),
                    outcome: match outcome {
                        "+" | "!" => Outcome::Succeeded,
                        "-" => Outcome::Failed,
                        _ => Outcome::Open,
                    },
                    in_use: outcome == "!",
                }
            })
            .collect();
        let deleted = surplus(&all, retain, at(now));
        let names: Vec<&str> = deleted.iter().map(|snapshot| snapshot.name).collect();
        names.join(" ")
    }

    #[test]
    fn successes_count_and_failures_do_not() {
        for (snapshots, retain, expected) in [
            ("", 1, ""),
            ("1+ 2+ 3+", 3, ""),
            ("1+ 2+ 3+", 2, "1+"),
            ("1+ 2- 3- 4-", 1, ""),
            ("1+ 2- 3+ 4- 5+ 6-", 2, "1+ 2-"),
            ("1- 2+ 3+", 2, "1-"),
            ("1- 2+", 2, ""),
            ("1+ 2? 3+", 1, "1+"),
            ("1! 2+ 3+", 1, "2+"),
            ("3+ 1+ 2+", 1, "1+ 2+"),
            ("1+ 2+", 0, ""),
        ] {
            assert_eq!(deleted(snapshots, retain, 10), expected, "{snapshots}");
        }
    }

    #[test]
    fn a_snapshot_of_a_clock_that_was_ahead_displaces_nothing() {
        assert_eq!(deleted("1+ 2+ 99+", 2, 10), "");
        assert_eq!(deleted("1+ 2+ 3+ 99+", 2, 10), "1+");
    }
}
