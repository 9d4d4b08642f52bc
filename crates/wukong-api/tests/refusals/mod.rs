//! Holds a spec against the problems that it has.
#![allow(clippy::expect_used)] // A test may stop at its own mistakes.

use wukong_api::{ValidatedWukong, Wukong, WukongSpec};

/// Validates the spec, given in YAML, and compares every problem, path and message, with `expected`; none: the spec is
/// accepted.
#[track_caller]
pub fn check(spec: &str, expected: &[&str]) {
    let spec: WukongSpec = serde_saphyr::from_str(spec).expect("the spec is well-formed");
    let problems: Vec<String> = match ValidatedWukong::try_from(&Wukong::new("web", spec)) {
        Ok(_) => Vec::new(),
        Err(invalid) => invalid.problems.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(problems, expected);
}
