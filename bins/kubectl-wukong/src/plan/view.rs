//! The plan as text.

use std::collections::BTreeMap;
use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use wukong_engine::changes::{Class, Rollout};

use super::planned::{Listed, Plan};
use crate::text;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// Renders all plans and their summary.
pub fn plans(plans: &[Plan], rollout: Rollout) -> String {
    let mut text = String::new();
    for plan in plans {
        text += &one(plan);
        for conflict in &plan.conflicts {
            let red = style(Class::Refused);
            let message = text::plain(&conflict.message);
            let _ = writeln!(text, "  {red}!{red:#} {}: {message}", conflict.reason);
        }
        text.push('\n');
    }
    text + &sum(plans, rollout)
}

fn one(plan: &Plan) -> String {
    let title = format!("{BOLD}{}/{}{BOLD:#}", plan.namespace, plan.name);
    if plan.creates {
        let green = AnsiColor::Green.on_default();
        let lines = plan
            .objects
            .iter()
            .map(|object| format!("  {green}+{green:#} {object}\n"));
        return format!("{title}: new, creates\n{}", lines.collect::<String>());
    }
    if plan.changes.is_empty() {
        return format!("{title}: no changes\n");
    }
    let width = |text: fn(&Listed) -> String| {
        plan.changes
            .iter()
            .map(|change| text(change).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (paths, values) = (width(|change| change.path.clone()), width(value));
    let mut text = format!("{title}:\n");
    for change in &plan.changes {
        let style = style(change.class);
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "  {style}{}{style:#} {:paths$}  {:values$}  {style}{}{style:#}\n      {DIM}{}{DIM:#}",
            sign(change),
            change.path,
            value(change),
            change.class,
            change.why,
        );
    }
    text
}

fn sign(change: &Listed) -> char {
    match (&change.from, &change.to, change.class) {
        (_, _, Class::Refused | Class::DestroysData) => '!',
        (None, Some(_), _) => '+',
        (Some(_), None, _) => '-',
        _ => '~',
    }
}

fn value(change: &Listed) -> String {
    match (&change.from, &change.to) {
        (None, None) => "(secret)".into(),
        (Some(one), None) | (None, Some(one)) => text::plain(one),
        (Some(from), Some(to)) => format!("{} -> {}", text::plain(from), text::plain(to)),
    }
}

fn style(class: Class) -> Style {
    match class {
        Class::InPlace | Class::HotPlug => AnsiColor::Green.on_default(),
        Class::HotUnplug | Class::NeedsRestart | Class::PowerOff | Class::FirstBootOnly => {
            AnsiColor::Yellow.on_default()
        }
        Class::Refused | Class::DestroysData => AnsiColor::Red.on_default().bold(),
    }
}

fn sum(plans: &[Plan], rollout: Rollout) -> String {
    let mut classes: BTreeMap<Class, usize> = BTreeMap::new();
    for change in plans.iter().flat_map(|plan| &plan.changes) {
        *classes.entry(change.class).or_default() += 1;
    }
    let new = plans.iter().filter(|plan| plan.creates).count();
    let new = (new > 0).then(|| format!("{new} new"));
    let counts = classes
        .iter()
        .map(|(class, count)| format!("{count} {class}"));
    let parts: Vec<String> = new.into_iter().chain(counts).collect();
    if parts.is_empty() {
        return "No changes.\n".into();
    }
    let staged = match rollout {
        Rollout::Stage => " KubeVirt stages changes of running VMs (vmRolloutStrategy: Stage).",
        Rollout::LiveUpdate => "",
    };
    let refused = match classes.contains_key(&Class::Refused) {
        true => " A refused change blocks its whole manifest.",
        false => "",
    };
    format!(
        "{BOLD}Plan:{BOLD:#} {}.{staged}{refused}\n",
        parts.join(", ")
    )
}
