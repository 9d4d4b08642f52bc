//! The rules: possible problems of a cluster, as data.

pub(super) mod control_plane;
mod crd;
mod kubevirt;
mod limits;
mod manifest;
mod network;
mod nodes;
mod storage;
mod table;

use jiff::Timestamp;
use wukong_api::{ConditionType, Reason, ValidatedWukong};

use crate::environment::nodes::Nodes;
use crate::environment::{Environment, Platform};
use crate::facts::words::{NAMES_MAX, listed};
use crate::facts::{PodFact, Presence, Store};

pub(crate) use crd::outdated;
pub use table::RULES;

/// A rule: one possible problem.
#[derive(Debug)]
pub struct Rule {
    /// Its name.
    pub id: &'static str,
    /// The condition that it is about.
    pub condition: ConditionType,
    /// The reason of that condition when the rule does not hold.
    pub reason: Reason,
    /// The severity when it does not hold.
    pub severity: Severity,
    /// Rules that have to hold, or be checked at all, before this one: what they find would cause what this one finds.
    pub after: &'static [&'static str],
    /// Whether it reads only the spec.
    pub(super) of_manifest: bool,
    /// The message when the rule holds.
    pub holds: &'static str,
    /// The hint when the rule does not hold. `{kubevirt}` stands for the KubeVirt resource, as kubectl takes it, and
    /// `{namespace}` for its namespace: see [`Rule::advice`].
    pub hint: &'static str,
    /// Hints for platforms that need another one.
    pub platforms: &'static [(Platform, &'static str)],
    /// Checks the rule.
    pub(super) judge: fn(&RuleInput) -> Finding,
}

impl Rule {
    /// Returns the hint, with the KubeVirt resource of a cluster filled in.
    pub fn advice(text: &str, name: &str, namespace: &str) -> String {
        text.replace("{kubevirt}", &format!("{name} -n {namespace}"))
            .replace("{namespace}", namespace)
    }
}

/// How severe it is when a rule does not hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// The VM does not run.
    Fail,
    /// The VM runs, with a restriction that the user should know.
    Warn,
}

/// The input of a rule.
pub(super) struct RuleInput<'a> {
    pub(super) environment: &'a Environment,
    /// Pods of the provisioners that are no CSI drivers.
    pub(super) provisioners: &'a Store<PodFact>,
    pub(super) wukong: Option<&'a ValidatedWukong>,
    pub(super) nodes: Nodes<'a>,
    pub(super) now: Timestamp,
    /// Whether checks that pass have evidence, too.
    pub(super) thorough: bool,
}

/// The result of a rule.
pub(super) enum Finding {
    /// It does not concern this Wukong.
    Irrelevant,
    /// It holds; with evidence.
    Holds(Vec<String>),
    /// It does not hold.
    Found(Found),
    /// The operator has no permission to read this kind.
    NotPermitted(&'static str),
    /// The first list of this kind is not there yet.
    NotObserved(&'static str),
    /// It does not hold, as a consequence of what this other rule finds.
    Consequence(&'static str),
}

/// Why a rule does not hold.
#[derive(Default)]
pub(super) struct Found {
    /// The object that it is about, as `Kind/name`.
    pub(super) subject: Option<String>,
    /// The state and cause, in one sentence.
    pub(super) message: String,
    /// The hint, if it differs from the hint of the rule.
    pub(super) hint: Option<String>,
    /// Facts that the message is based on.
    pub(super) evidence: Vec<String>,
    /// Whether the VM runs all the same.
    pub(super) mild: bool,
}

impl Finding {
    fn holds() -> Self {
        Self::Holds(Vec::new())
    }

    fn found(message: impl Into<String>) -> Self {
        Self::Found(Found {
            message: message.into(),
            ..Found::default()
        })
    }

    fn about(self, subject: impl Into<String>) -> Self {
        self.with(|found| found.subject = Some(subject.into()))
    }

    fn hint(self, hint: Option<String>) -> Self {
        self.with(|found| found.hint = hint)
    }

    fn evidence(self, evidence: Vec<String>) -> Self {
        self.with(|found| found.evidence = evidence)
    }

    fn mild(self, mild: bool) -> Self {
        self.with(|found| found.mild = mild)
    }

    fn with(mut self, change: impl FnOnce(&mut Found)) -> Self {
        if let Self::Found(found) = &mut self {
            change(found);
        }
        self
    }
}

/// Why a kind cannot be checked; `None` if it is listed or not served.
fn gap(presence: Presence, kind: &'static str) -> Option<Finding> {
    match presence {
        Presence::Unknown => Some(Finding::NotObserved(kind)),
        Presence::Forbidden => Some(Finding::NotPermitted(kind)),
        Presence::Missing | Presence::Served => None,
    }
}

/// `the VM` in the words of a check with a Wukong, and of one without.
fn a_vm(input: &RuleInput) -> &'static str {
    if input.wukong.is_some() {
        "this VM"
    } else {
        "a VM"
    }
}

/// Most lines of evidence that list nodes.
const EVIDENCE_MAX: usize = 20;

/// Nodes with their causes, those of one cause together: `a, b: cordoned; c: not ready`.
fn grouped(causes: &[(&str, String)]) -> String {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (node, cause) in causes {
        match groups.iter_mut().find(|(known, _)| known == cause) {
            Some((_, nodes)) => nodes.push(node),
            None => groups.push((cause, vec![node])),
        }
    }
    let shown: Vec<String> = groups
        .iter()
        .take(NAMES_MAX)
        .map(|(cause, nodes)| format!("{}: {cause}", listed(nodes.iter().copied())))
        .collect();
    match groups.len().saturating_sub(shown.len()) {
        0 => shown.join("; "),
        more => format!("{}; and {more} more causes", shown.join("; ")),
    }
}

/// The same as lines of evidence.
fn lines(causes: &[(&str, String)]) -> Vec<String> {
    let more = causes.len().saturating_sub(EVIDENCE_MAX);
    causes
        .iter()
        .take(EVIDENCE_MAX)
        .map(|(node, cause)| format!("Node/{node}: {cause}"))
        .chain((more > 0).then(|| format!("and {more} more nodes")))
        .collect()
}
