//! `explain-reason`: the meaning of a reason and its fix.

use std::fmt::Write;

use anstyle::Style;
use anyhow::bail;
use strum::IntoEnumIterator;
use wukong_api::Reason;
use wukong_engine::diagnosis::rules::Rule;
use wukong_engine::environment::Platform;
use wukong_engine::reasons::{ReasonDoc, doc};

use crate::exit::Exit;
use crate::output;

/// Similarity from which a name is suggested, from 0 to 1.
const ALIKE: f64 = 0.75;

/// Explain the reason of a condition or blocker, and how to fix it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubectl wukong explain-reason ImportFailed
  kubectl wukong explain-reason                 # every reason
  kubectl wukong explain-reason $(kubectl get wk web -o jsonpath='{.status.blocker.reason}')")]
pub struct Args {
    /// Reason, case-insensitive [default: list all reasons]
    reason: Option<String>,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let text = match &args.reason {
        Some(written) => explain(doc(find(written)?)),
        None => all(),
    };
    output::print(&text)?;
    Ok(Exit::Done)
}

fn find(written: &str) -> anyhow::Result<Reason> {
    if let Some(reason) =
        Reason::iter().find(|reason| reason.as_ref().eq_ignore_ascii_case(written))
    {
        return Ok(reason);
    }
    let likeness = |reason: &Reason| {
        strsim::jaro_winkler(&written.to_lowercase(), &reason.as_ref().to_lowercase())
    };
    let nearest = Reason::iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest.filter(|nearest| likeness(nearest) >= ALIKE) {
        Some(nearest) => bail!("unknown reason {written}; did you mean {nearest}?"),
        None => bail!("unknown reason {written}; kubectl wukong explain-reason lists all reasons"),
    }
}

fn explain(doc: &ReasonDoc) -> String {
    const BOLD: Style = Style::new().bold();
    let conditions: Vec<&str> = doc.conditions.iter().map(AsRef::as_ref).collect();
    // Writing into a string cannot fail.
    let mut text = format!(
        "{BOLD}{}{BOLD:#} ({})\n\n{}\n",
        doc.reason,
        conditions.join(", "),
        prose(doc.meaning)
    );
    if !doc.fix.is_empty() {
        let _ = write!(text, "\n{BOLD}What to do{BOLD:#}\n{}\n", prose(doc.fix));
    }
    platforms(doc.platforms, &mut text);
    for rule in doc.rules() {
        let hint = prose(rule.hint);
        let _ = write!(text, "\n{BOLD}Check {}{BOLD:#}\n{hint}\n", rule.id);
        platforms(rule.platforms, &mut text);
    }
    text
}

fn platforms(fixes: &[(Platform, &str)], text: &mut String) {
    const BOLD: Style = Style::new().bold();
    for (platform, fix) in fixes {
        let _ = writeln!(text, "  {BOLD}{platform}{BOLD:#}: {}", prose(fix));
    }
}

/// Converts text of the guide for a terminal: removes Markdown's asterisks and fills in the default name of the KubeVirt
/// object.
fn prose(text: &str) -> String {
    Rule::advice(text.trim(), "kubevirt", "kubevirt").replace("**", "")
}

fn all() -> String {
    let mut table = output::table(["REASON", "MEANING"]);
    for reason in Reason::iter() {
        let doc = doc(reason);
        let first = doc
            .meaning
            .trim()
            .split_once(['\n', '.'])
            .map_or(doc.meaning, |(first, _)| first);
        table.add_row([reason.as_ref(), first]);
    }
    output::lines(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_found_in_any_case_and_explained() {
        for reason in Reason::iter() {
            let found = find(&reason.as_ref().to_lowercase()).unwrap();
            assert_eq!(found, reason);
            let text = anstream::adapter::strip_str(&explain(doc(found))).to_string();
            assert!(
                text.starts_with(reason.as_ref()) && text.lines().count() > 2,
                "{text}"
            );
            for raw in ["{kubevirt}", "{namespace}", "**"] {
                assert!(!text.contains(raw), "{raw} is not filled in: {text}");
            }
        }
    }

    #[test]
    fn the_nearest_name_is_suggested() {
        let error = find("ImportFaild").unwrap_err().to_string();
        assert!(error.ends_with("did you mean ImportFailed?"), "{error}");
    }
}
