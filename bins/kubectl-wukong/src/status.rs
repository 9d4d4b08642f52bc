//! `status`: the details of one Wukong.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::DynamicObject;
use kube::runtime::watcher;
use wukong_api::status::{Blocker, WukongStatus};
use wukong_api::{ConditionType, Wukong};

use crate::cluster::{self, ClusterArgs};
use crate::exit::Exit;
use crate::live;
use crate::output::{self, Format};
use crate::text::{self, NONE};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const WAITS: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();

/// Show one Wukong: why it does not run, its conditions, networks, disks and pending changes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubectl wukong status web
  kubectl wukong status web --watch
  kubectl wukong status web -o json | jq .status.blocker")]
pub struct Args {
    /// Name of the Wukong
    name: String,

    /// Redraw on every change, until interrupted
    #[arg(short, long)]
    watch: bool,

    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    output: Format,
}

pub async fn run(args: &Args, cluster: &ClusterArgs) -> anyhow::Result<Exit> {
    let cluster = cluster.connect().await?;
    let wukong = cluster.wukong(&args.name).await?;
    let show = |wukong: &Wukong| match args.output {
        Format::Table => Ok(view(wukong, Timestamp::now())),
        Format::Yaml => output::to_yaml(wukong),
        Format::Json => output::to_json(wukong),
    };
    if !args.watch {
        output::print(&show(&wukong)?)?;
        return Ok(Exit::Done);
    }
    let config = watcher::Config::default().fields(&format!("metadata.name={}", args.name));
    let view = |objects: &live::Objects<DynamicObject>| match objects.values().next() {
        Some(object) => show(&cluster::decode(object)?),
        None => Ok(format!("Wukong {} was deleted.\n", args.name)),
    };
    live::draw(cluster.wukongs(false), config, |object| object, view).await?;
    Ok(Exit::Done)
}

/// Renders the Wukong as text with colours.
fn view(wukong: &Wukong, now: Timestamp) -> String {
    let nothing = WukongStatus::default();
    let status = wukong.status.as_ref().unwrap_or(&nothing);
    let sections = [
        heading(wukong, status, now),
        status
            .blocker
            .as_ref()
            .map(|blocker| blocker_section(blocker, now))
            .unwrap_or_default(),
        conditions(status, now),
        networks(status),
        disks(status),
        pending(status),
    ];
    let sections: Vec<String> = sections
        .into_iter()
        .filter(|section| !section.is_empty())
        .collect();
    sections.join("\n")
}

fn heading(wukong: &Wukong, status: &WukongStatus, now: Timestamp) -> String {
    let phase = status.phase.map_or_else(
        || "not observed by the operator yet".into(),
        |phase| phase.to_string(),
    );
    let style = match text::phase_colour(status.phase) {
        Some(comfy_table::Color::Green) => GOOD,
        Some(comfy_table::Color::Red) => BAD,
        Some(_) => WAITS,
        None => DIM,
    };
    let spec = &wukong.spec;
    let mut facts = vec![
        format!("{} CPU", spec.cpu),
        format!("{} memory", text::plain(&spec.memory.0)),
    ];
    facts.extend(spec.os_image.as_deref().map(text::plain));
    facts.extend(status.node_name.as_ref().map(|node| format!("on {node}")));
    facts.push(format!(
        "{} old",
        text::age(wukong.creation_timestamp().as_ref(), now)
    ));
    format!(
        "{BOLD}{}/{}{BOLD:#}  {style}{phase}{style:#}\n{}\n",
        wukong.namespace().unwrap_or_default(),
        wukong.name_any(),
        facts.join(", ")
    )
}

fn blocker_section(blocker: &Blocker, now: Timestamp) -> String {
    let mut section = format!(
        "{BAD}{}{BAD:#}, since {}: {}\n",
        text::plain(&blocker.reason),
        text::age(Some(&blocker.since), now),
        text::plain(&blocker.message)
    );
    for (label, value) in [("object", &blocker.object), ("do", &blocker.hint)] {
        if let Some(value) = value {
            // Writing into a string cannot fail.
            let _ = writeln!(section, "  {DIM}{label:<6}{DIM:#}  {}", text::plain(value));
        }
    }
    section
}

fn conditions(status: &WukongStatus, now: Timestamp) -> String {
    let mut rows = output::table(["", "CONDITION", "REASON", "SINCE", "MESSAGE"]);
    let blocked = status
        .blocker
        .as_ref()
        .map(|blocker| blocker.condition.as_str());
    for condition in &status.conditions {
        let ready = condition.type_ == ConditionType::Ready.as_ref();
        let (mark, colour) = match condition.status.as_str() {
            "True" => ("✓", comfy_table::Color::Green),
            "False" if ready || blocked == Some(&condition.type_) => ("✗", comfy_table::Color::Red),
            "False" => ("…", comfy_table::Color::Yellow),
            _ => ("?", comfy_table::Color::Yellow),
        };
        rows.add_row([
            comfy_table::Cell::new(mark).fg(colour),
            text::plain(&condition.type_).into(),
            text::plain(&condition.reason).into(),
            text::age(Some(&condition.last_transition_time), now).into(),
            text::plain(&condition.message).into(),
        ]);
    }
    section(&rows)
}

fn networks(status: &WukongStatus) -> String {
    let mut rows = output::table(["NETWORK", "ADDRESSES", "MAC", "GUEST INTERFACE"]);
    for nic in &status.networks {
        let addresses = match (nic.ip_addresses.as_slice(), &nic.ip_address) {
            ([], None) if nic.intended.is_empty() => NONE.into(),
            ([], None) => format!("{} (not observed yet)", nic.intended.join(", ")),
            ([], Some(address)) => address.clone(),
            (all, _) => all.join(", "),
        };
        rows.add_row([
            text::plain(&nic.name),
            text::plain(&addresses),
            nic.mac_address.clone().unwrap_or_else(|| NONE.into()),
            nic.interface
                .as_deref()
                .map_or_else(|| NONE.into(), text::plain),
        ]);
    }
    section(&rows)
}

fn disks(status: &WukongStatus) -> String {
    let mut rows = output::table(["DISK", "SIZE", "STATE", "CLAIM", "ON DELETION"]);
    for volume in &status.volumes {
        let state = match (&volume.phase, &volume.progress) {
            (Some(phase), Some(progress)) if !volume.bound || progress != "100.0%" => {
                format!("{phase} {progress}")
            }
            (Some(phase), _) => phase.clone(),
            (None, _) => NONE.into(),
        };
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| NONE.into());
        rows.add_row([
            text::plain(&volume.name),
            or_none(&volume.size),
            text::plain(&state),
            or_none(&volume.pvc_name),
            or_none(&volume.reclaim_policy),
        ]);
    }
    section(&rows)
}

fn pending(status: &WukongStatus) -> String {
    let mut rows = output::table(["PENDING CHANGE", "CURRENT", "DESIRED", "EFFECT"]);
    for change in &status.pending_changes {
        let or_none =
            |text: &Option<String>| text.as_deref().map_or_else(|| NONE.into(), text::plain);
        rows.add_row([
            text::plain(&change.path),
            or_none(&change.current),
            or_none(&change.desired),
            text::plain(&change.effect),
        ]);
    }
    section(&rows)
}

fn section(rows: &comfy_table::Table) -> String {
    match rows.is_empty() {
        true => String::new(),
        false => output::lines(rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(manifest: &str) -> String {
        let wukong = serde_saphyr::from_str(manifest).unwrap();
        let view = view(&wukong, "2026-01-20T12:00:00Z".parse().unwrap());
        anstream::adapter::strip_str(&view).to_string()
    }

    #[test]
    fn a_vm_that_waits_for_an_import() {
        insta::assert_snapshot!(
            "status-importing",
            shown(include_str!("../tests/data/importing.yaml"))
        );
    }

    #[test]
    fn a_vm_that_runs() {
        insta::assert_snapshot!(
            "status-running",
            shown(include_str!("../tests/data/running.yaml"))
        );
    }

    #[test]
    fn a_vm_without_a_status() {
        insta::assert_snapshot!(
            "status-new",
            shown(
                "{apiVersion: vm.novasphere.dev/v1alpha1, kind: Wukong, metadata: {name: web, namespace: shop}, spec: {cpu: 1, memory: 1Gi}}"
            )
        );
    }

    #[test]
    fn a_long_message_is_one_line() {
        let message = "cannot resolve images.example.com ".repeat(10);
        let message = message.trim_end();
        let text = shown(&format!(
            "{{apiVersion: vm.novasphere.dev/v1alpha1, kind: Wukong, metadata: {{name: web, namespace: shop}}, \
             spec: {{cpu: 1, memory: 1Gi}}, status: {{conditions: [{{type: Ready, status: 'False', reason: ImportFailed, \
             message: {message}, lastTransitionTime: '2026-01-20T11:55:00Z'}}]}}}}"
        ));
        let row = format!("✗  Ready      ImportFailed  5m     {message}");
        assert!(text.lines().any(|line| line == row), "{text}");
    }
}
