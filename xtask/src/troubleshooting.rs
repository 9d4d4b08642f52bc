//! `gen-docs`: the troubleshooting guide, from the reasons and the rules.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use strum::IntoEnumIterator;
use wukong_api::{ConditionType, Reason};
use wukong_engine::diagnosis::rules::{RULES, Rule};
use wukong_engine::environment::Platform;
use wukong_engine::reasons::{ReasonDoc, Tone, doc};

use crate::generated;

/// Write the troubleshooting guide (docs/troubleshooting.md) from the reasons and the rules of the engine.
#[derive(clap::Args)]
pub struct Args {
    /// Change nothing; fail when a file is out of date.
    #[arg(long)]
    check: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    generated::write(
        Path::new("docs/troubleshooting.md"),
        &markdown(&alerts()?),
        args.check,
    )
}

const HEAD: &str = "\
<!-- Made by `cargo xtask gen-docs` from crates/wukong-engine/src/reasons, environment/rules and deploy/monitoring. Do not edit. -->

# Troubleshooting

`kubectl get wukong` shows the reason for which a VM is not as asked, `kubectl describe wukong NAME` the message and what to
do. Of several causes the first in causal order is named: mend that one, and look again. `kubectl wukong preflight` runs the
checks below before anything is applied. The alerts for Prometheus are [at the end](#alerts).
";

const ALERTS: &str = "
## Alerts

What they are made of is in [metrics.md](metrics.md).
";

fn markdown(alerts: &[Alert]) -> String {
    let mut text = HEAD.to_owned();
    contents(&mut text);
    for doc in sections() {
        section(doc, &mut text);
    }
    text.push_str(ALERTS);
    for Alert { alert, annotations } in alerts {
        let Annotations {
            description,
            action,
        } = annotations;
        let _ = write!(
            text,
            "\n### {alert}\n\n{}\n\n**What to do.** {}\n",
            description.trim(),
            action.trim()
        );
    }
    text
}

/// A rule of Prometheus, as far as the guide tells of it.
#[derive(Deserialize)]
struct Alert {
    alert: String,
    annotations: Annotations,
}

#[derive(Deserialize)]
struct Annotations {
    description: String,
    action: String,
}

/// Every alert, in the order of the file.
fn alerts() -> anyhow::Result<Vec<Alert>> {
    #[derive(Deserialize)]
    struct PrometheusRule {
        spec: Spec,
    }
    #[derive(Deserialize)]
    struct Spec {
        groups: Vec<Group>,
    }
    #[derive(Deserialize)]
    struct Group {
        rules: Vec<Alert>,
    }
    let path = "deploy/monitoring/prometheus-rule.yaml";
    let text = std::fs::read_to_string(generated::root().join(path))?;
    let rule: PrometheusRule = serde_saphyr::from_str(&text).with_context(|| path)?;
    let groups = rule.spec.groups.into_iter();
    Ok(groups.flat_map(|group| group.rules).collect())
}

/// The reasons in causal order: of the first condition that has them, then of the rules that find them.
fn sections() -> Vec<&'static ReasonDoc> {
    let place = |doc: &ReasonDoc| RULES.iter().position(|rule| rule.reason == doc.reason);
    let mut docs: Vec<&ReasonDoc> = Reason::iter().map(doc).collect();
    docs.sort_by_key(|doc| {
        (
            doc.conditions.iter().min(),
            place(doc).unwrap_or(RULES.len()),
        )
    });
    docs
}

/// A table of the conditions with the reasons that keep them from being true.
fn contents(text: &mut String) {
    text.push_str("\n| condition | reasons |\n|---|---|\n");
    for condition in ConditionType::iter() {
        let reasons: Vec<String> = sections()
            .into_iter()
            .filter(|doc| doc.conditions.contains(&condition) && doc.tone != Tone::Fine)
            .map(|doc| link(doc.reason))
            .collect();
        if !reasons.is_empty() {
            let _ = writeln!(text, "| `{condition}` | {} |", reasons.join(", "));
        }
    }
}

fn link(reason: Reason) -> String {
    format!("[{reason}](#{})", reason.to_string().to_lowercase())
}

fn section(doc: &ReasonDoc, text: &mut String) {
    let conditions: Vec<String> = doc.conditions.iter().map(|c| format!("`{c}`")).collect();
    let tone = match doc.tone {
        Tone::Fine => "all is well",
        Tone::Worth => "works, and worth knowing",
        Tone::Waits => "usually comes by itself",
        Tone::Wrong => "needs a hand",
    };
    let _ = write!(
        text,
        "\n## {}\n\n*{}: {tone}.* {}\n",
        doc.reason,
        conditions.join(", "),
        doc.meaning
    );
    if !doc.fix.is_empty() {
        let _ = write!(text, "\n**What to do.** {}\n", doc.fix);
    }
    for rule in doc.rules() {
        let _ = write!(text, "\n*Check `{}`*: {}.\n", rule.id, hint(rule.hint));
        platforms(rule_platforms(rule), text);
    }
    platforms(doc.platforms.iter().copied().collect(), text);
}

fn rule_platforms(rule: &Rule) -> BTreeMap<Platform, &'static str> {
    rule.platforms.iter().copied().collect()
}

fn platforms(fixes: BTreeMap<Platform, &'static str>, text: &mut String) {
    if fixes.is_empty() {
        return;
    }
    text.push_str("\n| platform | what to do there |\n|---|---|\n");
    for (platform, fix) in fixes {
        let anchor = platform.to_string().to_lowercase().replace(' ', "-");
        let fix = hint(fix).replace('|', "\\|");
        let _ = writeln!(text, "| [{platform}](platforms.md#{anchor}) | {fix} |");
    }
}

/// A hint with the usual name of the KubeVirt resource.
fn hint(text: &str) -> String {
    Rule::advice(text, "kubevirt", "kubevirt")
}
