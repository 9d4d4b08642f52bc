//! Failures that people reported, rebuilt as objects.

use std::fs;
use std::path::{Path, PathBuf};

use regex_lite::RegexBuilder;
use serde::Deserialize;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::scenario::Scenario;

/// What is right.
#[derive(Debug, Deserialize)]
struct Expected {
    reasons: Vec<Option<String>>,
    message_or_hint_must_match: Vec<String>,
    hint_must_match: Vec<String>,
    must_not_match: Vec<String>,
    /// A finding that does not block the VM.
    finding: Option<Finding>,
    /// Whether there is nothing to find.
    #[serde(default)]
    fine: bool,
    right: String,
}

/// What is right of a finding.
#[derive(Debug, Deserialize)]
struct Finding {
    reason: String,
    message_or_hint_must_match: Vec<String>,
}

pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/reported")
}

fn documents(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    serde_saphyr::from_multiple(&text).unwrap()
}

/// The case of this directory.
pub fn scenario(case: &Path) -> Scenario {
    let healthy = fs::read_to_string(directory().join("healthy-cluster.json")).unwrap();
    let mut cluster: Vec<Value> = serde_json::from_str(&healthy).unwrap();
    let changes = case.join("cluster-changes.yaml");
    if changes.exists() {
        let key = |object: &Value| {
            (
                object["kind"].clone(),
                object["metadata"]["namespace"].clone(),
                object["metadata"]["name"].clone(),
            )
        };
        for change in documents(&changes) {
            cluster.retain(|object| key(object) != key(&change));
            cluster.push(change);
        }
    }
    Scenario {
        cluster: Cluster::of(cluster),
        objects: documents(&case.join("objects.yaml")),
        rejects: None,
    }
}

/// The failures that people reported.
pub fn all() -> Vec<PathBuf> {
    of(&directory())
}

/// The cases of a directory, by name.
fn of(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    cases.sort();
    cases
}

fn wrong(case: &Path) -> Option<String> {
    let text = fs::read_to_string(case.join("expected.yaml")).unwrap();
    let expected: Expected = serde_saphyr::from_str(&text).unwrap();
    let decision = scenario(case).decision();
    let blocker = decision.status.blocker.as_ref();
    let reason = blocker.map(|blocker| blocker.reason.clone());
    let hint = blocker
        .and_then(|blocker| blocker.hint.clone())
        .unwrap_or_default();
    let chain = blocker.into_iter().flat_map(|blocker| &blocker.chain);
    let mut words: Vec<String> = blocker
        .iter()
        .map(|blocker| blocker.message.clone())
        .collect();
    words.push(hint.clone());
    words.extend(
        chain.map(|link| format!("{}: {}", link.state, link.text.clone().unwrap_or_default())),
    );
    words.extend(blocker.and_then(|blocker| blocker.object.clone()));
    let words = words.join(" ");
    let has = |pattern: &str, text: &str| {
        let pattern = RegexBuilder::new(pattern).case_insensitive(true).build();
        pattern.unwrap().is_match(text)
    };
    let mut wrong = Vec::new();
    let accepts = expected.reasons.is_empty() || expected.reasons.contains(&reason);
    if !accepts {
        wrong.push(format!(
            "reason {reason:?}, expected {:?}",
            expected.reasons
        ));
    }
    let lacks = expected.message_or_hint_must_match.iter();
    wrong.extend(
        lacks
            .filter(|it| !has(it, &words))
            .map(|it| format!("lacks /{it}/")),
    );
    let lacks = expected.hint_must_match.iter();
    wrong.extend(
        lacks
            .filter(|it| !has(it, &hint))
            .map(|it| format!("hint lacks /{it}/")),
    );
    let others = expected.must_not_match.iter();
    wrong.extend(
        others
            .filter(|it| has(it, &words))
            .map(|it| format!("has /{it}/")),
    );
    if let Some(expected) = &expected.finding {
        let found = decision
            .findings
            .iter()
            .find(|finding| finding.reason.as_ref() == expected.reason);
        let words = found.map_or_else(String::new, |found| {
            let hint = found.hint.clone().unwrap_or_default();
            format!("{} {hint}", found.message)
        });
        let lacks = expected.message_or_hint_must_match.iter();
        wrong.extend(
            lacks
                .filter(|it| !has(it, &words))
                .map(|it| format!("finding {} lacks /{it}/: {words}", expected.reason)),
        );
        if found.is_none() {
            wrong.push(format!(
                "no finding {}: {:#?}",
                expected.reason, decision.findings
            ));
        }
    }
    if expected.fine && !decision.findings.is_empty() {
        wrong.push(format!("found {:#?}", decision.findings));
    }
    let name = case.file_name().unwrap().display();
    (!wrong.is_empty()).then(|| {
        format!(
            "{name}: {}\n  said {blocker:#?}\n  right: {}",
            wrong.join("; "),
            expected.right
        )
    })
}

/// Judges the cases of a directory.
fn judge(area: &str, directory: &Path) {
    let cases = of(directory);
    let wrong: Vec<String> = cases.iter().filter_map(|case| wrong(case)).collect();
    println!(
        "{area}: {} of {} right",
        cases.len() - wrong.len(),
        cases.len()
    );
    assert!(
        wrong.is_empty(),
        "{} of {} wrong:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_cause_of_every_reported_failure_is_named() {
    judge("reported", &directory());
}

/// Causes that only a reader of the whole cluster sees, such as `kubectl wukong doctor`.
#[test]
fn the_cause_that_the_objects_around_a_vm_tell_is_named() {
    judge("surroundings", &directory().with_file_name("surroundings"));
}
