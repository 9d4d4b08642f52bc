//! Runs the rules about a cluster and, if one is given, a Wukong.

use std::collections::BTreeMap;
use std::fmt::Display;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use strum::AsRefStr;
use wukong_api::status::EvidenceLink;
use wukong_api::{ConditionType, Reason, ValidatedWukong};

use super::condition::{Condition, Status};
use super::evidence::Evidence;
use super::matching;
use super::rules::{Finding, RULES, Rule, RuleInput, Severity};
use super::signature::Place;
use crate::environment::nodes::Nodes;
use crate::environment::{Environment, Platform};
use crate::facts::{PodFact, Store};

/// Longest message and line of evidence, in characters.
const LINE_MAX: usize = 1000;

/// The outcome of one rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// Name of the rule, such as `kvm-device`.
    pub id: &'static str,
    /// The condition that it is about.
    #[serde(serialize_with = "as_text")]
    pub condition: ConditionType,
    /// The reason that it checks for; `NotPermitted` or `NotObserved` if it could not check.
    #[serde(serialize_with = "as_text")]
    pub reason: Reason,
    /// Its result.
    #[serde(serialize_with = "as_text")]
    pub status: CheckStatus,
    /// The object that it is about, as `Kind/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The state and cause, in one sentence; for a check that passes, the state that holds.
    pub message: String,
    /// What to do next; nothing for a check that passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Section of the troubleshooting guide.
    pub anchor: String,
    /// Facts that the message is based on, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// The chain from the Wukong to the cause, from the messages of other programs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<EvidenceLink>,
}

fn as_text<S: Serializer>(name: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(name)
}

/// The result of a check.
#[derive(AsRefStr, Clone, Copy, Debug, strum::Display, Eq, PartialEq)]
pub enum CheckStatus {
    /// The rule holds.
    Pass,
    /// The VM works, with a restriction that the user should know.
    Warn,
    /// It does not work.
    Fail,
    /// It could not be checked.
    Unknown,
}

/// Checks whether this cluster can run VMs, or this VM: returns every check that applies, in causal order.
///
/// Quotas are checked as for a VM that does not run yet.
pub fn preflight(
    environment: &Environment,
    wukong: Option<&ValidatedWukong>,
    now: Timestamp,
) -> Vec<Check> {
    let input = RuleInput {
        environment,
        provisioners: &environment.provisioner_pods,
        wukong,
        nodes: Nodes::new(environment, wukong, now),
        now,
        thorough: true,
    };
    judge(&input, RULES.iter())
}

/// The same for one Wukong, without the evidence of checks that pass. `provisioners` are the pods of provisioners that
/// are no CSI drivers.
pub(crate) fn checks(
    environment: &Environment,
    provisioners: &Store<PodFact>,
    wukong: &ValidatedWukong,
    now: Timestamp,
) -> Vec<Check> {
    let wukong = Some(wukong);
    let input = RuleInput {
        environment,
        provisioners,
        wukong,
        nodes: Nodes::new(environment, wukong, now),
        now,
        thorough: false,
    };
    judge(&input, RULES.iter())
}

/// Whether VMs run without hardware virtualization.
pub(crate) fn emulation(environment: &Environment, now: Timestamp) -> Option<Check> {
    let unknown = &Environment::default();
    let input = RuleInput {
        environment,
        provisioners: &environment.provisioner_pods,
        wukong: None,
        // The rule does not read nodes, and a cluster may have many.
        nodes: Nodes::new(unknown, None, now),
        now,
        thorough: false,
    };
    judge(&input, RULES.iter().filter(|rule| rule.id == "emulation")).pop()
}

/// Returns the checks of the rules that read only the spec.
pub(crate) fn of_manifest(wukong: &ValidatedWukong, now: Timestamp) -> Vec<Check> {
    let environment = &Environment::default();
    let input = RuleInput {
        environment,
        provisioners: &environment.provisioner_pods,
        wukong: Some(wukong),
        nodes: Nodes::new(environment, Some(wukong), now),
        now,
        thorough: false,
    };
    judge(&input, RULES.iter().filter(|rule| rule.of_manifest))
}

/// The check that decides a condition: the first that fails, in causal order; else the first that could not be checked;
/// else the first warning; else one that passes.
pub(crate) fn deciding(checks: &[Check], condition: ConditionType) -> Option<&Check> {
    let of_condition = || checks.iter().filter(|check| check.condition == condition);
    [CheckStatus::Fail, CheckStatus::Unknown, CheckStatus::Warn]
        .iter()
        .find_map(|status| of_condition().find(|check| check.status == *status))
        .or_else(|| of_condition().next())
}

/// The condition `EnvironmentReady` of one Wukong.
pub fn environment_verdict(
    environment: &Environment,
    wukong: &ValidatedWukong,
    now: Timestamp,
) -> Check {
    environment_ready(&checks(
        environment,
        &environment.provisioner_pods,
        wukong,
        now,
    ))
}

/// The condition `EnvironmentReady`, from the checks.
pub(crate) fn environment_ready(checks: &[Check]) -> Check {
    let deciding = deciding(checks, ConditionType::EnvironmentReady);
    let amiss = deciding.filter(|check| check.status != CheckStatus::Pass);
    amiss.cloned().unwrap_or_else(|| Check {
        id: "environment",
        condition: ConditionType::EnvironmentReady,
        reason: Reason::Available,
        status: CheckStatus::Pass,
        subject: None,
        message: "The cluster can run this VM".into(),
        hint: None,
        anchor: anchor(Reason::Available),
        evidence: Vec::new(),
        chain: Vec::new(),
    })
}

fn judge<'a>(input: &RuleInput, rules: impl Iterator<Item = &'a Rule>) -> Vec<Check> {
    let environment = input.environment;
    let platform = Platform::of(environment);
    // Rules that do not hold or are not checked, each with the rule that is the cause of that.
    let mut unmet: BTreeMap<&str, &'static str> = BTreeMap::new();
    let mut checks = Vec::new();
    for rule in rules {
        let root = rule.after.iter().find_map(|id| unmet.get(id)).copied();
        let finding = match root {
            Some(root) => Finding::Consequence(root),
            None => (rule.judge)(input),
        };
        // A warning blocks no other rule.
        let broken = matches!(&finding, Finding::Found(found) if !found.mild);
        if let Some(root) = root.or(broken.then_some(rule.id)) {
            unmet.insert(rule.id, root);
        }
        checks.extend(check(rule, finding, environment, platform));
    }
    checks
}

fn check(
    rule: &Rule,
    finding: Finding,
    environment: &Environment,
    platform: Option<Platform>,
) -> Option<Check> {
    let passed = Check {
        id: rule.id,
        condition: rule.condition,
        reason: rule.reason,
        status: CheckStatus::Pass,
        subject: None,
        message: rule.holds.into(),
        hint: None,
        anchor: anchor(rule.reason),
        evidence: Vec::new(),
        chain: Vec::new(),
    };
    let unknown = |reason: Reason, message: String, hint: Option<&str>| Check {
        reason,
        status: CheckStatus::Unknown,
        message,
        hint: hint.map(Into::into),
        anchor: anchor(reason),
        ..passed.clone()
    };
    Some(match finding {
        Finding::Irrelevant => return None,
        Finding::Holds(evidence) => Check {
            evidence: evidence.iter().map(|text| line(text)).collect(),
            ..passed
        },
        Finding::Found(found) => Check {
            status: match (rule.severity, found.mild) {
                (Severity::Fail, false) => CheckStatus::Fail,
                (Severity::Fail, true) | (Severity::Warn, _) => CheckStatus::Warn,
            },
            subject: found.subject.as_deref().map(line),
            message: line(&found.message),
            hint: found
                .hint
                .or_else(|| component_hint(&found.message, environment, platform))
                .or_else(|| Some(hint(rule, environment, platform))),
            evidence: found.evidence.iter().map(|text| line(text)).collect(),
            ..passed
        },
        Finding::NotPermitted(kind) => unknown(
            Reason::NotPermitted,
            format!("not judged, for {kind} may not be read: {}", rule.holds),
            Some("apply the read-only ClusterRole for diagnosis, or go on without"),
        ),
        Finding::NotObserved(kind) => unknown(
            Reason::NotObserved,
            format!("not judged, for nothing is known of {kind}: {}", rule.holds),
            None,
        ),
        Finding::Consequence(cause) => unknown(
            Reason::NotObserved,
            format!("not judged before {cause} is in order: {}", rule.holds),
            None,
        ),
    })
}

/// Returns the text on one line, without control characters, and of bounded length: other users choose the names and
/// messages of objects.
fn line(text: &str) -> String {
    let mut chars = text.chars();
    let mut line: String = chars
        .by_ref()
        .take(LINE_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if chars.next().is_some() {
        line.push('…');
    }
    line
}

/// Returns the hint for the last words of a component that does not run.
fn component_hint(
    message: &str,
    environment: &Environment,
    platform: Option<Platform>,
) -> Option<String> {
    let place = Place::of(environment, "", "");
    let evidence = Evidence::of_component(message);
    matching::find(&evidence, &place, platform).map(|found| found.hint)
}

/// Returns the hint for this platform, with the name of the KubeVirt resource filled in.
fn hint(rule: &Rule, environment: &Environment, platform: Option<Platform>) -> String {
    let special = rule
        .platforms
        .iter()
        .find(|(known, _)| Some(*known) == platform);
    let text = special.map_or(rule.hint, |(_, hint)| hint);
    let (name, namespace) = environment.kubevirt_name();
    Rule::advice(text, name, namespace)
}

/// The section of docs/troubleshooting.md about a reason.
pub(super) fn anchor(reason: Reason) -> String {
    format!("docs/troubleshooting.md#{}", reason.as_ref().to_lowercase())
}

impl From<Check> for Condition {
    /// Converts a check into the condition that it decides. A warning leaves the condition true, except `LiveMigratable`.
    fn from(check: Check) -> Self {
        let false_when_warned = check.condition == ConditionType::LiveMigratable;
        Self {
            type_: check.condition,
            status: match check.status {
                CheckStatus::Warn if false_when_warned => Status::False,
                CheckStatus::Pass | CheckStatus::Warn => Status::True,
                CheckStatus::Fail => Status::False,
                CheckStatus::Unknown => Status::Unknown,
            },
            reason: check.reason,
            message: check.message,
            object: check.subject,
            hint: check.hint,
            evidence: check.evidence,
            words: Vec::new(),
            chain: check.chain,
            open: false,
        }
    }
}

impl From<Condition> for Check {
    /// Converts a condition into the form for people.
    fn from(condition: Condition) -> Self {
        Self {
            id: "condition",
            condition: condition.type_,
            reason: condition.reason,
            status: match condition.status {
                Status::True | Status::Intended => CheckStatus::Pass,
                Status::Progressing | Status::False => CheckStatus::Fail,
                Status::Unknown => CheckStatus::Unknown,
            },
            subject: condition.object,
            message: condition.message,
            hint: condition.hint,
            anchor: anchor(condition.reason),
            evidence: condition.evidence,
            chain: condition.chain,
        }
    }
}
