//! What is found not to be allowed, and the comparisons and words that all rules share.

use kube::ResourceExt;

use super::WukongPolicy;
use crate::validate::Problem;

/// Collects what is not allowed.
pub(super) struct Findings {
    policy: String,
    pub(super) problems: Vec<Problem>,
}

impl Findings {
    pub(super) fn of(policy: &WukongPolicy) -> Self {
        Self {
            policy: policy.name_any(),
            problems: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, path: impl Into<String>, allowed: impl std::fmt::Display) {
        self.problems.push(Problem {
            path: path.into(),
            message: format!("WukongPolicy {} allows {allowed}", self.policy),
        });
    }
}

/// Whether an entry of a list, which may end in `*`, stands for a name.
pub(super) fn stands_for(entry: &str, name: &str) -> bool {
    entry == name
        || entry
            .strip_suffix('*')
            .is_some_and(|beginning| name.starts_with(beginning))
}

/// Most names that one message shows.
const SHOWN_MAX: usize = 8;

/// `only a, b`, or `none`.
pub(super) fn only<T: AsRef<str>>(allowed: impl IntoIterator<Item = T>) -> String {
    let allowed: Vec<T> = allowed.into_iter().collect();
    let allowed: Vec<&str> = allowed.iter().map(AsRef::as_ref).collect();
    match allowed.len() {
        0 => "none".into(),
        1..=SHOWN_MAX => format!("only {}", allowed.join(", ")),
        _ => "only what it lists".into(),
    }
}

/// The entries of a list that were not there before in the same way, each with its path.
pub(super) fn judged<'a, T: PartialEq>(
    path: &'static str,
    requested: &'a [T],
    before: Option<&'a [T]>,
) -> Vec<(String, &'a T)> {
    let entries = requested.iter().enumerate();
    entries
        .filter(|(_, entry)| !before.is_some_and(|before| before.contains(entry)))
        .map(|(index, entry)| (format!("{path}[{index}]"), entry))
        .collect()
}
