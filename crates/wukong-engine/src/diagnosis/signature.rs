//! Signatures: the known error texts of other programs, one row for each failure.

use regex_lite::Captures;
use wukong_api::{ConditionType, Reason};

use super::evidence::{Evidence, Role, Source};
use super::fallback;
use crate::environment::{Environment, Platform};

/// A text that a program prints when something fails, and its meaning.
#[derive(Debug)]
pub struct Signature {
    /// Its name; it begins with its area.
    pub id: &'static str,
    /// Where the text appears.
    pub sources: &'static [Source],
    /// Reasons of the events that have the text; empty: any.
    pub reasons: &'static [&'static str],
    /// A part of the text that is the same in every version of the program.
    pub needle: &'static str,
    /// A regular expression over the text. Its named groups are the captures. If empty, the needle suffices.
    pub pattern: &'static str,
    /// The condition that it keeps from being true.
    pub condition: ConditionType,
    /// The reason of that condition.
    pub reason: Reason,
    /// One word that stands behind the state in the message, such as `DNS`; empty: none.
    pub detail: &'static str,
    /// The cause. `{host}` and the like stand for captures and for the words of [`PLACES`].
    pub message: &'static str,
    /// The hint, with the same placeholders.
    pub hint: &'static str,
    /// Hints for platforms that need another one.
    pub platforms: &'static [(Platform, &'static str)],
    /// Whether the failure passes without a user.
    pub permanence: Permanence,
    /// The programs that print the text, and the version of their source that was read.
    pub source: &'static str,
    /// The meaning, for the troubleshooting guide.
    pub doc: &'static str,
}

/// Whether a failure passes without a user. Of two causes of one condition, the earlier in this order is named.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Permanence {
    /// It never heals: the object has to be made again.
    Fatal,
    /// It lasts until a person acts.
    Person,
    /// It may heal by itself.
    Transient,
    /// It follows from another failure, and is named only while no text names that one.
    Consequence,
}

/// Where the API server's answer to a rejected write appears: in the operator's own writes, and in KubeVirt's and CDI's
/// messages about their writes.
pub(crate) const REJECTIONS: &[Source] = &[
    Source::RejectedWrite,
    Source::VmFailure,
    Source::Synchronized,
    Source::Event,
    Source::DataVolume,
];

/// Words that every message and hint may use besides the captures of its signature.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place<'a> {
    /// Namespace of the Wukong.
    pub namespace: &'a str,
    /// Name of the Wukong.
    pub name: &'a str,
    /// The KubeVirt resource, as kubectl takes it.
    pub kubevirt: String,
    /// Namespace of KubeVirt.
    pub kubevirt_namespace: &'a str,
}

impl<'a> Place<'a> {
    pub(crate) fn of(environment: &'a Environment, namespace: &'a str, name: &'a str) -> Self {
        let (resource, kubevirt_namespace) = environment.kubevirt_name();
        Self {
            namespace,
            name,
            kubevirt: format!("{resource} -n {kubevirt_namespace}"),
            kubevirt_namespace,
        }
    }
}

/// Placeholders that a text may leave open.
const OPEN: [&str; 6] = ["node", "disk", "claim", "pod", "host", "driver"];

/// Placeholders that are known everywhere, for the test of the table.
pub const PLACES: [&str; 11] = [
    "namespace",
    "name",
    "kubevirt",
    "kubevirt_namespace",
    "object",
    "disk",
    "claim",
    "pod",
    "node",
    "driver",
    "words",
];

/// The template with its placeholders replaced.
pub(crate) fn filled(
    template: &str,
    captures: Option<&Captures>,
    evidence: &Evidence,
    place: &Place,
) -> String {
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            out.push('{');
            rest = after;
            continue;
        };
        match word(name, captures, evidence, place) {
            None if name == "words" => out.push_str(&fallback::words(&evidence.text)),
            Some(word) => out.push_str(word.trim()),
            None if OPEN.contains(&name) => leave_open(&mut out, name, evidence, place),
            // A capture of a part of the text that is not always there.
            None if captures.is_some() && is_word(name) => {
                let kept = out.trim_end().len();
                out.truncate(kept);
            }
            // JSON in a hint, and the like.
            None => {
                out.push('{');
                out.push_str(name);
                out.push('}');
            }
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn is_word(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

fn word<'a>(
    name: &str,
    captures: Option<&'a Captures>,
    evidence: &'a Evidence,
    place: &'a Place,
) -> Option<&'a str> {
    let captured = captures
        .and_then(|captures| captures.name(name))
        .map(|group| group.as_str());
    let known = captured.or(match name {
        "namespace" => Some(place.namespace),
        "name" => Some(place.name),
        "kubevirt" => Some(&place.kubevirt),
        "kubevirt_namespace" => Some(place.kubevirt_namespace),
        "object" => Some(&evidence.object),
        "disk" => evidence.disk.as_deref(),
        "claim" => evidence.claim.as_deref(),
        "pod" => evidence.pod(),
        "node" => evidence.node.as_deref(),
        "driver" => evidence.driver.as_deref(),
        _ => None,
    });
    known.filter(|word| !word.is_empty())
}

/// Writes a placeholder of an unknown object: in a command the selector of the VM's pods, or the kind in capitals, as
/// in kubectl's usage; elsewhere `the node`, and that also for `node {node}`.
fn leave_open(out: &mut String, name: &str, evidence: &Evidence, place: &Place) {
    let clause = ["; ", ": ", ", ", "("]
        .iter()
        .filter_map(|end| out.rfind(end))
        .max()
        .unwrap_or_default();
    let in_command = out
        .get(clause..)
        .is_some_and(|text| text.contains("kubectl "));
    if in_command && name == "pod" && evidence.role == Role::Guest && out.ends_with(' ') {
        out.push_str("-l vm.kubevirt.io/name=");
        out.push_str(place.name);
        return;
    }
    if in_command {
        out.push_str(&name.to_uppercase());
        return;
    }
    for before in [format!("the {name} "), format!("{name} ")] {
        if out.ends_with(&before) {
            out.truncate(out.len() - before.len());
        }
    }
    out.push_str("the ");
    out.push_str(name);
}
