//! `kubectl wukong doctor --from` names the cause in recordings of a real cluster.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use regex_lite::Regex;
use serde::Deserialize;
use serde_json::Value;

/// What the blocker must say. The patterns ignore case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    #[serde(rename = "essence")]
    _essence: String,
    /// The reasons that are right; `[null]` when nothing blocks the VM; empty when any reason is.
    reasons: Vec<Option<String>>,
    /// Patterns of the message, the hint and the evidence together.
    message_or_hint_must_match: Vec<String>,
    hint_must_match: Vec<String>,
    must_not_match: Vec<String>,
    /// A right answer, in prose.
    right: String,
}

fn matches(pattern: &str, text: &str) -> bool {
    Regex::new(&format!("(?i){pattern}"))
        .unwrap()
        .is_match(text)
}

/// What is wrong with the answer to a recording.
fn faults(case: &Path, expected: &Expected) -> Vec<String> {
    let run = Command::cargo_bin("kubectl-wukong")
        .unwrap()
        .args(["doctor", "-o", "json", "--from"])
        .arg(case.join("bundle.tar.gz"))
        .output()
        .unwrap();
    let Ok(answer) = serde_json::from_slice::<Value>(&run.stdout) else {
        return vec![String::from_utf8_lossy(&run.stderr).into_owned()];
    };
    let blocker = &answer["blocker"];
    let said = |field: &str| blocker[field].as_str().unwrap_or_default();
    let evidence = blocker["evidence"].as_array().into_iter().flatten();
    let mut text = vec![said("message"), said("hint"), said("object")];
    text.extend(evidence.filter_map(Value::as_str));
    let text = text.join(" ");

    let mut faults = Vec::new();
    let reason = blocker["reason"].as_str().map(str::to_owned);
    if !expected.reasons.is_empty() && !expected.reasons.contains(&reason) {
        faults.push(format!("reason {reason:?}, not {:?}", expected.reasons));
    }
    let lacks = expected.message_or_hint_must_match.iter();
    faults.extend(
        lacks
            .filter(|pattern| !matches(pattern, &text))
            .map(|pattern| format!("lacks /{pattern}/")),
    );
    let hint_lacks = expected.hint_must_match.iter();
    faults.extend(
        hint_lacks
            .filter(|pattern| !matches(pattern, said("hint")))
            .map(|pattern| format!("the hint lacks /{pattern}/")),
    );
    let has = expected.must_not_match.iter();
    faults.extend(
        has.filter(|pattern| matches(pattern, &text))
            .map(|pattern| format!("has /{pattern}/")),
    );
    if !faults.is_empty() {
        faults.push(format!("said: {text}"));
        faults.push(format!("right: {}", expected.right));
    }
    faults
}

#[test]
fn the_doctor_names_the_cause_of_every_recording() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let mut recordings = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let case = entry.unwrap().path();
        let expected = fs::read_to_string(case.join("expected.yaml")).unwrap();
        let faults = faults(&case, &serde_saphyr::from_str(&expected).unwrap());
        recordings += 1;
        if !faults.is_empty() {
            wrong.push(format!("{}: {}", case.display(), faults.join("\n  ")));
        }
    }
    println!(
        "recordings: {} of {recordings} right",
        recordings - wrong.len()
    );
    assert!(recordings > 0 && wrong.is_empty(), "{}", wrong.join("\n"));
}
