//! Replays what was recorded on a real node: the same cause leads to the same reasons, messages and states.
//!
//! `recordings/` has one file for each recording: what to set up (`given`), the states that were observed, one after the
//! other (`observed`), and the warning events (`events`). Names, uids, addresses and times are not compared.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods
)]

#[path = "recordings/replay.rs"]
mod replay;
#[path = "recordings/shown.rs"]
mod shown;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use replay::{Given, Replay};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recording {
    #[expect(dead_code, reason = "for readers")]
    essence: String,
    #[expect(dead_code, reason = "for readers")]
    recorded: Vec<String>,
    given: Given,
    observed: Vec<Vec<String>>,
    events: Vec<String>,
    /// The words by which the API server refuses the VirtualMachine.
    #[serde(default)]
    refused: Option<String>,
}

/// Paces that a recording may take.
const PACES: u32 = 500;

#[test]
fn every_recording_is_replayed() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let mut problems = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let recording: Recording =
            serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        count += 1;
        problems.extend(
            differences(&recording)
                .into_iter()
                .map(|problem| format!("{name}: {problem}")),
        );
    }
    assert!(count > 40, "only {count} recordings were found");
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

/// What was recorded and is not shown by the simulator.
fn differences(recording: &Recording) -> Vec<String> {
    let mut replay = Replay::start(&recording.given);
    let words = |text: &String| shown::normal(text);
    if let Some(refused) = &recording.refused {
        let answer = replay.refusal.as_deref().map(shown::normal);
        return if answer == Some(words(refused)) {
            Vec::new()
        } else {
            vec![format!("refused with {answer:?}")]
        };
    }
    let mut wanted = recording
        .observed
        .iter()
        .map(|facts| facts.iter().map(words).collect::<BTreeSet<String>>());
    let mut next = wanted.next();
    let mut nearest: Option<(BTreeSet<String>, BTreeSet<String>)> = None;
    let expected: BTreeSet<String> = recording.events.iter().map(words).collect();
    for _ in 0..PACES {
        if next.is_none() && expected.is_subset(&shown::events(replay.cluster())) {
            return Vec::new();
        }
        replay.advance();
        let facts = shown::facts(replay.cluster());
        while let Some(state) = next.take() {
            let missing: BTreeSet<String> = state.difference(&facts).cloned().collect();
            if missing.is_empty() {
                nearest = None;
                next = wanted.next();
                continue;
            }
            if nearest
                .as_ref()
                .is_none_or(|(known, _)| missing.len() < known.len())
            {
                nearest = Some((missing, facts.clone()));
            }
            next = Some(state);
            break;
        }
    }
    let mut problems = Vec::new();
    if let (Some(_), Some((missing, facts))) = (next, nearest) {
        let kinds: BTreeSet<&str> = missing.iter().map(|fact| kind(fact)).collect();
        let facts: Vec<&String> = facts
            .iter()
            .filter(|fact| kinds.contains(kind(fact)))
            .collect();
        problems.push(format!(
            "never shows\n  {missing:#?}\nbut at best\n  {facts:#?}"
        ));
    }
    let events = shown::events(replay.cluster());
    let missing: Vec<&String> = expected.difference(&events).collect();
    if !missing.is_empty() {
        problems.push(format!("never says\n  {missing:#?}\nbut\n  {events:#?}"));
    }
    problems
}

fn kind(fact: &str) -> &str {
    fact.split(' ').next().unwrap_or_default()
}
