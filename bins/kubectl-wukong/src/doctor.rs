//! `doctor`: why a VM does not run, judged here and now.

use std::fmt::Write;
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use serde::Serialize;
use wukong_api::status::{Phase, WukongStatus};
use wukong_api::{ConditionType, Policy, ValidatedWukong, Wukong};
use wukong_engine::environment::{Check, CheckStatus, Platform, preflight};
use wukong_engine::{Memory, Observed, decide};

use crate::bundle::Bundle;
use crate::cluster::ClusterArgs;
use crate::exit::Exit;
use crate::manifest::PolicyArgs;
use crate::output::{self, Format};
use crate::survey::Survey;
use crate::text;

/// Say why a VM does not run: the one cause that comes first, what it rests on, what to do, and what else is off.
///
/// It looks at the cluster itself and judges with the operator's own rules, so it also works while the operator does
/// not run, and from a bundle without a cluster. Nothing is written.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubectl wukong doctor web
  kubectl wukong bundle web
  kubectl wukong doctor --from web-bundle.tar.gz

Exit codes:
  0  nothing stands in the way of the VM
  1  something does, or it could not be looked at")]
pub struct Args {
    /// Name of the Wukong
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    name: Option<String>,

    /// Bundle to judge from, instead of a cluster
    #[arg(long, value_name = "BUNDLE")]
    from: Option<PathBuf>,

    #[command(flatten)]
    policy: PolicyArgs,

    /// Form of the output
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    output: Format,

    #[command(flatten)]
    cluster: ClusterArgs,
}

pub async fn run(args: &Args) -> anyhow::Result<Exit> {
    let bundle = match (&args.from, &args.name) {
        (Some(file), _) => Bundle::read(file)?,
        (None, Some(name)) => Bundle::take(&args.cluster.connect().await?, name).await?,
        (None, None) => anyhow::bail!("which Wukong?"),
    };
    let diagnosis = Diagnosis::of(
        &bundle.wukong,
        &bundle.survey,
        &args.policy.policy(),
        bundle.taken,
    );
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

/// What is the matter with a VM.
#[derive(Debug, Serialize)]
pub struct Diagnosis {
    phase: Option<String>,
    /// What comes first in causal order.
    #[serde(skip_serializing_if = "Option::is_none")]
    blocker: Option<Finding>,
    /// What else is off, in causal order.
    others: Vec<Finding>,
    /// Recent warnings about its objects, the newest last.
    warnings: Vec<String>,
}

/// One thing that is off.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    #[serde(skip)]
    order: Option<ConditionType>,
    /// Whether it is the operator's blocker.
    #[serde(skip)]
    blocks: bool,
    /// Whether a check or an event tells, and not a condition.
    #[serde(skip)]
    from_check: bool,
    condition: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    evidence: Vec<String>,
}

impl Diagnosis {
    /// Judges what is known of a Wukong.
    pub fn of(wukong: &Wukong, survey: &Survey, policy: &Policy, now: Timestamp) -> Self {
        let world = survey.world();
        let memory = Memory::default();
        let status = decide(&Observed {
            wukong,
            world: &world,
            memory: &memory,
            policy,
            now,
        })
        .status;
        let mut found = of_status(&status);
        let blocked = status.blocker.is_some();
        // What is wrong with the cluster is no matter for a VM that runs, or that nobody wants to run.
        let asked = ValidatedWukong::validate(wukong, policy)
            .ok()
            .filter(|_| blocked);
        if let Some(asked) = asked {
            let environment = survey.environment();
            let checks = preflight(&environment, Some(&asked), now).into_iter();
            let namespace = wukong.namespace().unwrap_or_default();
            let trouble = survey
                .children(wukong)
                .trouble(&namespace, Platform::of(&environment));
            let failed = checks
                .filter(|check| check.status == CheckStatus::Fail)
                .chain(trouble);
            // What has happened already cannot be prevented by what a check finds.
            let open = failed.filter(|check| !is_true(&status, check.condition));
            open.for_each(|check| take_in(&mut found, check.into()));
        }
        let definite = status.phase == Some(Phase::Error);
        found.sort_by_key(|finding| {
            let rank = match (finding.blocks && definite, finding.evidence.is_empty()) {
                (true, _) => 0,
                (false, false) => 1,
                (false, true) => 2,
            };
            (finding.order, rank)
        });
        let blocker = blocked.then(|| found.remove(0));
        if let Some(blocker) = &blocker {
            // What the operator says of later conditions only follows from it.
            found.retain(|other| other.order == blocker.order || other.from_check);
        }
        let mut warnings = survey.warnings(wukong);
        warnings.drain(..warnings.len().saturating_sub(WARNINGS_MAX));
        Self {
            phase: status.phase.map(|phase| phase.to_string()),
            blocker,
            others: found,
            warnings,
        }
    }
}

/// Adds a finding; one of the same condition and reason gets its evidence instead.
fn take_in(found: &mut Vec<Finding>, new: Finding) {
    let same =
        |known: &&mut Finding| known.condition == new.condition && known.reason == new.reason;
    match found.iter_mut().find(same) {
        Some(known) => {
            known.evidence.extend(new.evidence);
            known.hint = known.hint.take().or(new.hint);
        }
        None => found.push(new),
    }
}

fn is_true(status: &WukongStatus, type_: ConditionType) -> bool {
    let of_type = |condition: &&Condition| condition.type_ == type_.as_ref();
    status
        .conditions
        .iter()
        .find(of_type)
        .is_some_and(|condition| condition.status == "True")
}

/// How many warnings are shown.
const WARNINGS_MAX: usize = 10;

/// The conditions that are not true, as findings.
fn of_status(status: &WukongStatus) -> Vec<Finding> {
    let ready = ConditionType::Ready.as_ref();
    let conditions = status
        .conditions
        .iter()
        .filter(|condition| condition.status != "True" && condition.type_ != ready);
    conditions
        .map(|condition| {
            let blocker = status
                .blocker
                .as_ref()
                .filter(|blocker| blocker.condition == condition.type_);
            Finding {
                order: condition.type_.parse().ok(),
                blocks: blocker.is_some(),
                from_check: false,
                condition: condition.type_.clone(),
                reason: condition.reason.clone(),
                object: blocker.and_then(|blocker| blocker.object.clone()),
                message: blocker
                    .map_or(&condition.message, |blocker| &blocker.message)
                    .clone(),
                hint: blocker.and_then(|blocker| blocker.hint.clone()),
                evidence: Vec::new(),
            }
        })
        .collect()
}

impl From<Check> for Finding {
    fn from(check: Check) -> Self {
        Self {
            order: Some(check.condition),
            blocks: false,
            from_check: true,
            condition: check.condition.to_string(),
            reason: check.reason.to_string(),
            object: check.subject,
            message: check.message,
            hint: check.hint,
            evidence: check.evidence,
        }
    }
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
        None => text += "Nothing stands in the way of it.\n",
    }
    if !diagnosis.others.is_empty() {
        text += "\nAlso off:\n";
        for other in &diagnosis.others {
            text += &finding(other, AnsiColor::Yellow.on_default());
        }
    }
    if !diagnosis.warnings.is_empty() && diagnosis.blocker.is_some() {
        text += "\nWarnings about its objects, the newest last:\n";
        for warning in &diagnosis.warnings {
            let _ = writeln!(text, "  {}", text::plain(warning));
        }
    }
    text
}

fn finding(finding: &Finding, style: Style) -> String {
    const DIM: Style = Style::new().dimmed();
    let mut text = format!(
        "{style}{}{style:#} ({}): {}\n",
        finding.reason,
        finding.condition,
        text::plain(&finding.message)
    );
    let lines = [("object", &finding.object), ("do", &finding.hint)];
    let evidence = finding.evidence.iter().map(|line| ("seen", line));
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
