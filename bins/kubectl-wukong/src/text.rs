//! Text for people: ages, phases, and text from other programs.

use comfy_table::{Cell, Color};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use wukong_api::status::Phase;

/// Placeholder for an absent value.
pub const NONE: &str = "-";

/// Formats the time since `since` in its two largest units, as kubectl does: `42s`, `5m3s`, `3h12m`, `4d`.
pub fn age(since: Option<&Time>, now: Timestamp) -> String {
    let Some(since) = since else {
        return NONE.to_owned();
    };
    let seconds = now.duration_since(since.0).as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let (large, small) = match (days, hours, minutes) {
        (0, 0, 0) => (format!("{seconds}s"), (0, ' ')),
        (0, 0, 0..10) => (format!("{minutes}m"), (seconds % 60, 's')),
        (0, 0, _) => (format!("{minutes}m"), (0, ' ')),
        (0, 0..10, _) => (format!("{hours}h"), (minutes % 60, 'm')),
        (0, _, _) => (format!("{hours}h"), (0, ' ')),
        (0..10, _, _) => (format!("{days}d"), (hours % 24, 'h')),
        _ => (format!("{days}d"), (0, ' ')),
    };
    match small {
        (0, _) => large,
        (count, unit) => format!("{large}{count}{unit}"),
    }
}

/// Returns text from another program on one line, without control characters.
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Returns a table cell with a phase in its colour.
pub fn phase(phase: Option<Phase>) -> Cell {
    let cell = Cell::new(phase.map_or(NONE.into(), |phase| phase.to_string()));
    match phase_colour(phase) {
        Some(colour) => cell.fg(colour),
        None => cell,
    }
}

/// Returns the colour of a phase: green if it runs, yellow if it changes, red if it failed.
pub fn phase_colour(phase: Option<Phase>) -> Option<Color> {
    match phase? {
        Phase::Running => Some(Color::Green),
        Phase::Error => Some(Color::Red),
        Phase::Stopped => None,
        Phase::Pending
        | Phase::Creating
        | Phase::Starting
        | Phase::Paused
        | Phase::Stopping
        | Phase::Migrating
        | Phase::Deleting => Some(Color::Yellow),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_those_of_kubectl() {
        let now: Timestamp = "2026-01-20T12:00:00Z".parse().unwrap();
        for (since, shown) in [
            ("2026-01-20T12:00:05Z", "0s"),
            ("2026-01-20T11:59:18Z", "42s"),
            ("2026-01-20T11:54:57Z", "5m3s"),
            ("2026-01-20T11:55:00Z", "5m"),
            ("2026-01-20T11:30:57Z", "29m"),
            ("2026-01-20T08:48:00Z", "3h12m"),
            ("2026-01-19T20:00:00Z", "16h"),
            ("2026-01-18T10:00:00Z", "2d2h"),
            ("2025-12-20T10:00:00Z", "31d"),
        ] {
            assert_eq!(
                age(Some(&Time(since.parse().unwrap())), now),
                shown,
                "{since}"
            );
        }
        assert_eq!(age(None, now), "-");
    }

    #[test]
    fn a_message_cannot_move_the_cursor() {
        assert_eq!(plain("a\u{1b}[2J\nb"), "a [2J b");
    }
}
