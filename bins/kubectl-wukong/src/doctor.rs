//! `doctor`: the diagnosis of a VM from the current state of the cluster.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use serde::Serialize;
use wukong_api::status::{EvidenceLink, ResourceStatus};
use wukong_api::{ConditionType, OperatorSettings, Reason, Wukong};
use wukong_engine::diagnosis::{self, Check};
use wukong_engine::{Kind, Memory, Observed, decide};

use crate::bundle::Bundle;
use crate::cluster::ClusterArgs;
use crate::exit::Exit;
use crate::manifest::SettingsArgs;
use crate::output::{self, Format};
use crate::survey::Survey;
use crate::text;

/// Diagnose why a VM does not run: the first cause, its evidence, how to fix it, and other problems.
///
/// Reads the cluster and applies the rules of the operator. It works while the operator is down, and with a bundle it
/// needs no cluster. Nothing is written.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubectl wukong doctor web
  kubectl wukong bundle web
  kubectl wukong doctor web --from web-bundle.tar.gz

Exit codes:
  0  the VM has no blocker
  1  the VM has a blocker, or the diagnosis failed")]
pub struct Args {
    /// Name of the Wukong
    #[arg(required_unless_present = "from")]
    name: Option<String>,

    /// Bundle to diagnose, instead of a cluster
    #[arg(long, value_name = "BUNDLE")]
    from: Option<PathBuf>,

    #[command(flatten)]
    settings: SettingsArgs,

    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    output: Format,
}

pub async fn run(args: &Args, cluster: &ClusterArgs) -> anyhow::Result<Exit> {
    let bundle = match (&args.from, &args.name) {
        (Some(file), name) => of_bundle(file, name.as_deref(), cluster.namespace.as_deref())?,
        (None, Some(name)) => Bundle::take(&cluster.connect().await?, name).await?,
        (None, None) => anyhow::bail!("name a Wukong or a bundle"),
    };
    let mut settings = args.settings.operator_settings();
    settings.manage_node_networks |= makes_bridges(&bundle.wukong);
    let diagnosis = Diagnosis::of(&bundle.wukong, &bundle.survey, &settings, bundle.taken);
    output::print(&match args.output {
        Format::Table => view(&bundle.wukong, &diagnosis),
        Format::Yaml => output::to_yaml(&diagnosis)?,
        Format::Json => output::to_json(&diagnosis)?,
    })?;
    Ok(match diagnosis.blocker {
        Some(_) => Exit::Failed,
        None => Exit::Done,
    })
}

/// Reads a bundle.
///
/// # Errors
/// It is of another Wukong than the command line names.
fn of_bundle(file: &Path, name: Option<&str>, namespace: Option<&str>) -> anyhow::Result<Bundle> {
    let bundle = Bundle::read(file)?;
    let its_name = bundle.wukong.name_any();
    let its_namespace = bundle.wukong.namespace().unwrap_or_default();
    let name = name.unwrap_or(&its_name);
    let namespace = namespace.unwrap_or(&its_namespace);
    anyhow::ensure!(
        (name, namespace) == (&*its_name, &*its_namespace),
        "{} is a bundle of Wukong {its_namespace}/{its_name}, not of {namespace}/{name}",
        file.display()
    );
    Ok(bundle)
}

/// Returns whether the operator creates bridges on nodes, according to the resources and conditions of the status.
pub fn makes_bridges(wukong: &Wukong) -> bool {
    const SAID: [Reason; 4] = [
        Reason::Applying,
        Reason::ApplyConflict,
        Reason::Degraded,
        Reason::WouldIsolateNode,
    ];
    let said = |condition: &Condition| {
        condition.type_ == ConditionType::NodeNetworkReady.as_ref()
            && SAID
                .iter()
                .any(|reason| condition.reason == reason.as_ref())
    };
    let made =
        |resource: &ResourceStatus| resource.kind == Kind::NodeNetworkConfigurationPolicy.as_ref();
    wukong.status.as_ref().is_some_and(|status| {
        status.resources.iter().any(made) || status.conditions.iter().any(said)
    })
}

/// Diagnosis of a VM.
#[derive(Debug, Serialize)]
pub struct Diagnosis {
    phase: Option<String>,
    /// The first problem in causal order.
    #[serde(skip_serializing_if = "Option::is_none")]
    blocker: Option<Finding>,
    /// The other problems, in causal order.
    others: Vec<Finding>,
    /// Recent warning events about the objects of the Wukong, newest last.
    warnings: Vec<String>,
}

/// A problem of a VM.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    condition: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// What the message rests on, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    evidence: Vec<String>,
    /// The same as data: the objects from the Wukong to the cause.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    chain: Vec<EvidenceLink>,
}

impl Diagnosis {
    /// Diagnoses a Wukong as the operator does.
    pub fn of(
        wukong: &Wukong,
        survey: &Survey,
        settings: &OperatorSettings,
        now: Timestamp,
    ) -> Self {
        let world = survey.world();
        let mut memory = Memory::default();
        memory.record_queried(survey.children(wukong), now);
        let decision = decide(&Observed {
            wukong,
            world: &world,
            memory: &memory,
            settings,
            now,
        });
        let mut findings = decision.findings;
        // What the operator has not begun is not under way.
        if let Some(silent) = diagnosis::silent(wukong, &world, now) {
            findings.retain(|check| check.condition != silent.condition);
            let place = findings
                .iter()
                .position(|check| check.condition > silent.condition)
                .unwrap_or(findings.len());
            findings.insert(place, silent);
        }
        let mut found = findings.into_iter().map(Finding::from);
        let blocker = decision.status.blocker.and_then(|_| found.next());
        let mut warnings = newest(survey.warnings(wukong));
        warnings.drain(..warnings.len().saturating_sub(WARNINGS_MAX));
        Self {
            phase: decision.status.phase.map(|phase| phase.to_string()),
            blocker,
            others: found.collect(),
            warnings,
        }
    }
}

/// Of the warnings of one object for one reason (`Kind/name: Reason: ...`), the last: the scheduler alone repeats itself
/// in other words with every change of a node.
fn newest(warnings: Vec<String>) -> Vec<String> {
    fn about(warning: &str) -> Vec<&str> {
        warning.splitn(3, ": ").take(2).collect()
    }
    let kept = |(index, warning): (usize, &String)| {
        let later = warnings.iter().skip(index + 1);
        let last = !later.clone().any(|later| about(later) == about(warning));
        last.then(|| warning.clone())
    };
    warnings.iter().enumerate().filter_map(kept).collect()
}

/// How many warnings are shown.
const WARNINGS_MAX: usize = 10;

impl From<Check> for Finding {
    fn from(check: Check) -> Self {
        Self {
            condition: check.condition.to_string(),
            reason: check.reason.to_string(),
            object: check.subject,
            message: check.message,
            hint: check.hint,
            evidence: check
                .evidence
                .into_iter()
                .chain(check.chain.iter().filter_map(line))
                .collect(),
            chain: check.chain,
        }
    }
}

/// A link of the chain as a line: its object, state, and the words that a program printed.
fn line(link: &EvidenceLink) -> Option<String> {
    let text = link.text.as_deref()?;
    let EvidenceLink { object, state, .. } = link;
    Some(format!("{object} ({state}): {text}"))
}

const DIM: Style = Style::new().dimmed();

fn view(wukong: &Wukong, diagnosis: &Diagnosis) -> String {
    const BOLD: Style = Style::new().bold();
    // Writing into a string cannot fail.
    let name = format!(
        "{}/{}",
        wukong.namespace().unwrap_or_default(),
        wukong.name_any()
    );
    let phase = diagnosis.phase.as_deref().unwrap_or("unknown");
    let mut text = format!("{BOLD}{name}{BOLD:#}  {phase}\n\n");
    match &diagnosis.blocker {
        Some(blocker) => {
            text += &finding(blocker, AnsiColor::Red.on_default().bold());
            let _ = writeln!(
                text,
                "  {DIM}more{DIM:#}    kubectl wukong explain-reason {}",
                blocker.reason
            );
        }
        None => text += "No blocker found.\n",
    }
    if !diagnosis.others.is_empty() {
        text += "\nOther problems:\n";
        for other in &diagnosis.others {
            text += &finding(other, AnsiColor::Yellow.on_default());
        }
    }
    if !diagnosis.warnings.is_empty() && diagnosis.blocker.is_some() {
        text += "\nWarning events, newest last:\n";
        for warning in &diagnosis.warnings {
            let _ = writeln!(text, "  {}", text::plain(warning));
        }
    }
    text
}

fn finding(finding: &Finding, style: Style) -> String {
    let mut text = format!(
        "{style}{}{style:#} ({}): {}\n",
        finding.reason,
        finding.condition,
        text::plain(&finding.message)
    );
    let lines = [("object", &finding.object), ("do", &finding.hint)];
    // What the message has word for word need not be read twice.
    let new = |line: &&String| !finding.message.contains(line.as_str());
    let evidence = finding.evidence.iter().filter(new);
    let evidence = evidence.map(|line| ("seen", line));
    let lines = evidence.chain(
        lines
            .into_iter()
            .filter_map(|(label, value)| Some((label, value.as_ref()?))),
    );
    for (label, value) in lines {
        let _ = writeln!(text, "  {DIM}{label:<6}{DIM:#}  {}", text::plain(value));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_twice() {
        let said = "the scheduler says: 0/2 nodes are available";
        let told = finding(
            &Finding {
                condition: "Scheduled".into(),
                reason: "InsufficientMemory".into(),
                object: None,
                message: format!("None of 2 nodes can run the VM; {said}"),
                hint: None,
                evidence: vec!["Node/a: 1Gi left".into(), said.into()],
                chain: Vec::new(),
            },
            Style::new(),
        );
        assert_eq!(told.matches(said).count(), 1, "{told}");
        assert!(told.contains("Node/a: 1Gi left"), "{told}");

        let warnings = [
            "Pod/a: Failed: one",
            "Pod/b: Failed: x",
            "Pod/a: Failed: two",
            "Pod/a: Killed: y",
        ];
        let kept = newest(warnings.map(str::to_owned).to_vec());
        assert_eq!(
            kept,
            ["Pod/b: Failed: x", "Pod/a: Failed: two", "Pod/a: Killed: y"]
        );
    }

    #[test]
    fn a_long_message_is_one_line() {
        let message = "cannot resolve images.example.com ".repeat(10);
        let problem = Finding {
            condition: "VolumesBound".into(),
            reason: "ImportFailed".into(),
            object: None,
            message: message.clone(),
            hint: Some(message.clone()),
            chain: Vec::new(),
            evidence: Vec::new(),
        };
        let text = finding(&problem, Style::new());
        assert_eq!(text.lines().count(), 2, "{text}");
        assert_eq!(text.matches(&message).count(), 2, "{text}");
    }
}
