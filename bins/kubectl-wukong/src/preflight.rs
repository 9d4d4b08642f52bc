//! `preflight`: whether the cluster can run VMs, before one is created.

use std::fmt::Write;
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use serde::Serialize;
use wukong_api::Wukong;
use wukong_engine::diagnosis::{self, Check, CheckStatus, preflight};

use crate::cluster::{Cluster, ClusterArgs};
use crate::exit::Exit;
use crate::manifest::{self, Defaults, SettingsArgs};
use crate::output::{self, Format};
use crate::policy::{Policies, PolicyFileArgs};
use crate::survey::Survey;
use crate::text;

/// Check whether the cluster can run VMs, or the VM of a manifest, and show how to fix it.
///
/// The checks are in causal order. A check that depends on a failed one is skipped, so fix the first failure first. A
/// check of objects that you may not read is skipped as well, with a message. Nothing is written.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubectl wukong preflight
  kubectl wukong preflight -f vm.yaml
  kubectl wukong preflight -f vm.yaml --policy policy.yaml    # instead of the cluster's WukongPolicies
  kubectl wukong preflight --from dump.yaml    # without a cluster

Exit codes:
  0  no check fails
  1  a check fails, or the checks could not run")]
pub struct Args {
    /// File with the Wukongs to check the cluster for; `-` reads standard input
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    settings: SettingsArgs,

    #[command(flatten)]
    policies: PolicyFileArgs,

    /// File with the objects of a cluster, as printed by kubectl get -o yaml, instead of a cluster
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,

    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    output: Format,
}

/// The checks of the cluster, or of one Wukong.
#[derive(Serialize)]
struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    wukong: Option<String>,
    checks: Vec<Listed>,
}

/// A check as it is printed.
#[derive(Serialize)]
pub struct Listed {
    check: &'static str,
    condition: String,
    reason: String,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    documentation: String,
    evidence: Vec<String>,
}

pub async fn run(args: &Args, cluster_args: &ClusterArgs) -> anyhow::Result<Exit> {
    let (cluster, context_namespace) = match &args.from {
        Some(_) => (None, "default".to_owned()),
        None => {
            let cluster = cluster_args.connect().await?;
            let namespace = cluster.namespace.clone();
            (Some(cluster), namespace)
        }
    };
    let manifests = match args.files.is_empty() {
        true => Vec::new(),
        false => {
            let defaults = Defaults {
                namespace: cluster_args.namespace.as_deref(),
                context_namespace: &context_namespace,
                uid: None,
            };
            manifest::read(&args.files, &defaults, &args.settings.operator_settings())?
        }
    };
    let now = Timestamp::now();
    let mut reports = Vec::new();
    let dump = args.from.as_deref().map(manifest::documents).transpose()?;
    let wukongs: Vec<&Wukong> = manifests.iter().map(|manifest| &manifest.wukong).collect();
    let mut survey = match (&dump, &cluster) {
        (Some(objects), _) => Survey::of_objects(objects),
        (None, Some(cluster)) => Survey::of_cluster(cluster, &wukongs).await?,
        (None, None) => Survey::default(),
    };
    let mut policies = match (dump, &cluster) {
        _ if !args.policies.policy_files.is_empty() => {
            Policies::of_files(&args.policies.policy_files)?
        }
        (Some(objects), _) => Policies::of_objects(objects)?,
        (None, Some(cluster)) => Policies::of_cluster(cluster).await?,
        (None, None) => Policies::default(),
    };
    if manifests.is_empty() {
        reports.push((None, preflight(&survey.environment(), None, now)));
    }
    let mut read = context_namespace;
    for manifest in &manifests {
        let mut stored = None;
        // Quotas and limits are those of the manifest's namespace.
        if let Some(cluster) = &cluster {
            let there = Cluster {
                namespace: manifest.validated.identity.namespace.clone(),
                ..cluster.clone()
            };
            if read != there.namespace {
                survey.read_namespace(&there).await?;
                read.clone_from(&there.namespace);
            }
            policies.read_namespace(&there).await?;
            stored = there.wukong_opt(&manifest.validated.identity.name).await?;
        }
        let problems = policies.problems(&manifest.wukong, stored.as_ref());
        let mut checks = Vec::from_iter(diagnosis::policies(policies.presence, &problems));
        checks.extend(preflight(
            &survey.environment(),
            Some(&manifest.validated),
            now,
        ));
        reports.push((Some(manifest.to_string()), checks));
    }
    output::print(&match args.output {
        Format::Table => reports
            .iter()
            .map(|(of, checks)| view(of.as_deref(), checks))
            .collect(),
        Format::Yaml => output::to_yaml(&listed(reports.clone()))?,
        Format::Json => output::to_json(&listed(reports.clone()))?,
    })?;
    let failed = reports
        .iter()
        .flat_map(|(_, checks)| checks)
        .any(|check| check.status == CheckStatus::Fail);
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

/// Returns checks as they are printed.
pub fn list(checks: Vec<Check>) -> Vec<Listed> {
    let one = |check: Check| Listed {
        check: check.id,
        condition: check.condition.to_string(),
        reason: check.reason.to_string(),
        status: check.status.to_string(),
        object: check.subject,
        message: check.message,
        hint: check.hint,
        documentation: check.anchor,
        evidence: check.evidence,
    };
    checks.into_iter().map(one).collect()
}

fn listed(reports: Vec<(Option<String>, Vec<Check>)>) -> Vec<Report> {
    let report = |(wukong, checks)| Report {
        wukong,
        checks: list(checks),
    };
    reports.into_iter().map(report).collect()
}

/// Renders the checks as text. Details are indented by a fixed width, so that they stay readable on a narrow terminal.
fn view(of: Option<&str>, checks: &[Check]) -> String {
    const DIM: Style = Style::new().dimmed();
    let mut text = String::new();
    let width = checks.iter().map(|check| check.id.len()).max().unwrap_or(0);
    for check in checks {
        let (mark, colour) = match check.status {
            CheckStatus::Pass => ('✓', AnsiColor::Green),
            CheckStatus::Warn => ('!', AnsiColor::Yellow),
            CheckStatus::Fail => ('✗', AnsiColor::Red),
            CheckStatus::Unknown => ('?', AnsiColor::Yellow),
        };
        let style = colour.on_default();
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "{style}{mark}{style:#} {:width$}  {}",
            check.id,
            text::plain(&check.message)
        );
        if matches!(check.status, CheckStatus::Pass | CheckStatus::Unknown) {
            continue;
        }
        for line in &check.evidence {
            let _ = writeln!(text, "      {DIM}{}{DIM:#}", text::plain(line));
        }
        for (label, value) in [
            ("do", check.hint.as_deref()),
            ("see", Some(check.anchor.as_str())),
        ] {
            if let Some(value) = value {
                let value = text::plain(value);
                let _ = writeln!(text, "      {DIM}{label}:{DIM:#} {value}");
            }
        }
    }
    format!("{text}\n{}\n", sentence(of, checks))
}

/// Returns the result of the checks in one sentence.
fn sentence(of: Option<&str>, checks: &[Check]) -> String {
    let subject = of.map_or_else(|| "VMs".to_owned(), |of| format!("Wukong {of}"));
    let count = |status| checks.iter().filter(|check| check.status == status).count();
    if let Some(first) = checks
        .iter()
        .find(|check| check.status == CheckStatus::Fail)
    {
        let more = match count(CheckStatus::Fail) {
            1 => String::new(),
            number => format!(", and {} more", number - 1),
        };
        return format!("This cluster cannot run {subject}: {}{more}.", first.reason);
    }
    let asides = [
        (CheckStatus::Warn, "with a warning"),
        (CheckStatus::Unknown, "not checked"),
    ];
    let asides: Vec<String> = asides
        .into_iter()
        .filter(|(status, _)| count(*status) > 0)
        .map(|(status, words)| format!("{} {words}", count(status)))
        .collect();
    let asides = if asides.is_empty() {
        String::new()
    } else {
        format!(" ({})", asides.join(", "))
    };
    match checks.iter().any(|check| check.status == CheckStatus::Pass) {
        true => format!("This cluster can run {subject}{asides}."),
        false => format!("Nothing could be checked for {subject}{asides}."),
    }
}
