//! Matches texts against the table of signatures.

use std::sync::{LazyLock, OnceLock};

use regex_lite::{Captures, Regex};

use super::evidence::{Evidence, Source};
use super::signature::{Place, Signature, filled};
use super::signatures;
use crate::environment::Platform;
use crate::facts::words::unwrapped;

/// Every signature: of two that match a text, the first counts.
pub fn all() -> impl Iterator<Item = &'static Signature> {
    let families = signatures::AREAS
        .iter()
        .flat_map(|(_, families)| families.iter());
    families.flat_map(|rows| rows.iter())
}

/// A row with its pattern, which is compiled when the needle is found first.
type Compiled = (&'static Signature, OnceLock<Option<Regex>>);

/// The rows with their patterns.
static TABLE: LazyLock<Vec<Compiled>> =
    LazyLock::new(|| all().map(|row| (row, OnceLock::new())).collect());

/// A signature that matches, with its words filled in.
#[derive(Clone, Debug)]
pub(crate) struct Match {
    pub signature: &'static Signature,
    pub message: String,
    pub hint: String,
}

/// The first signature that matches a text from this source; `reason` is the reason of the event that has it.
pub fn matching(source: Source, reason: &str, text: &str) -> Option<&'static Signature> {
    let text = unwrapped(text);
    captured(source, reason, &text).map(|(row, _)| row)
}

fn captured<'t>(
    source: Source,
    reason: &str,
    text: &'t str,
) -> Option<(&'static Signature, Option<Captures<'t>>)> {
    TABLE.iter().find_map(|(row, pattern)| {
        let of_event = source != Source::Event || row.reasons.is_empty();
        let fits = row.sources.contains(&source)
            && (of_event || row.reasons.contains(&reason))
            && text.contains(row.needle);
        if !fits {
            return None;
        }
        match row.pattern {
            "" => Some((*row, None)),
            expression => {
                let pattern = pattern.get_or_init(|| Regex::new(expression).ok());
                Some((*row, Some(pattern.as_ref()?.captures(text)?)))
            }
        }
    })
}

/// The first signature that matches the evidence.
pub(crate) fn find(
    evidence: &Evidence,
    place: &Place,
    platform: Option<Platform>,
) -> Option<Match> {
    let (row, captures) = captured(evidence.source, &evidence.reason, &evidence.text)?;
    let hint = row
        .platforms
        .iter()
        .find(|(known, _)| Some(*known) == platform)
        .map_or(row.hint, |(_, hint)| hint);
    let fill = |template: &str| filled(template, captures.as_ref(), evidence, place);
    Some(Match {
        signature: row,
        message: fill(row.message),
        hint: fill(hint),
    })
}
