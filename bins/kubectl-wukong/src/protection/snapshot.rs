//! `snapshot create`, `snapshot list`, `snapshot delete`, and `snapshot schedule`.

use std::time::Duration;

use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject, ListParams};
use serde_json::{Value, json};
use wukong_api::WukongSnapshot;
use wukong_api::protection::{SnapshotPhase, WukongSnapshotStatus};

use super::await_end::{await_end, blocker};
use super::{create, schedule, snapshots, timed_name};
use crate::cluster::{self, Cluster, ClusterArgs};
use crate::exit::Exit;
use crate::output;
use crate::text::{self, NONE};

/// Take, list and delete snapshots of a VM
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubectl wukong snapshot create web --wait
  kubectl wukong snapshot list web
  kubectl wukong snapshot delete web-20261130120000
  kubectl wukong snapshot schedule list")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take a snapshot of all disks of a VM
    Create {
        /// Name of the Wukong
        wukong: String,

        /// Name of the snapshot [default: the name of the Wukong, and the time]
        #[arg(long)]
        name: Option<String>,

        /// Accept a snapshot without all disks of the VM
        #[arg(long)]
        allow_partial: bool,

        /// Wait until disks can be restored from the snapshot
        #[arg(short, long)]
        wait: bool,

        /// Maximum time to wait, such as 90s or 10m
        #[arg(long, value_name = "DURATION", default_value = "5m", requires = "wait")]
        timeout: SignedDuration,
    },
    /// List the snapshots of a VM, or of all VMs of the namespace
    List {
        /// Name of the Wukong
        wukong: Option<String>,
    },
    /// Delete a snapshot
    Delete {
        /// Name of the snapshot
        name: String,
    },
    Schedule(schedule::Args),
}

pub async fn run(args: &Args, cluster: &ClusterArgs) -> anyhow::Result<Exit> {
    let cluster = cluster.connect().await?;
    let api = snapshots(&cluster);
    match &args.command {
        Command::Create {
            wukong,
            name,
            allow_partial,
            wait,
            timeout,
        } => {
            let stored = cluster.wukong(wukong).await?;
            let conditions = stored.status.iter().flat_map(|status| &status.conditions);
            let excluded = conditions.filter(|condition| {
                condition.type_ == "Snapshottable" && condition.status == "False"
            });
            for condition in excluded {
                output::note(&format!("note: {}", text::plain(&condition.message)));
            }
            let name = name.clone().unwrap_or_else(|| timed_name(wukong));
            request(&cluster, wukong, &name, *allow_partial)
                .await
                .map_err(cluster::readable)?;
            output::print(&format!("{name}: snapshot requested\n"))?;
            match wait {
                true => {
                    let timeout = Duration::try_from(*timeout).unwrap_or_default();
                    await_end(api, &name, timeout, ended).await
                }
                false => Ok(Exit::Done),
            }
        }
        Command::List { wukong } => {
            let list = api
                .list(&ListParams::default())
                .await
                .map_err(cluster::readable)?;
            let of_wukong = list.items.into_iter().filter(|snapshot| {
                wukong
                    .as_ref()
                    .is_none_or(|wukong| subject(&snapshot.data) == *wukong)
            });
            output::print(&table(of_wukong.collect(), Timestamp::now()))?;
            Ok(Exit::Done)
        }
        Command::Schedule(args) => schedule::run(args, &cluster).await,
        Command::Delete { name } => {
            api.delete(name, &DeleteParams::default())
                .await
                .map_err(cluster::readable)?;
            output::print(&format!("{name}: deleted\n"))?;
            Ok(Exit::Done)
        }
    }
}

/// Requests a snapshot of a Wukong.
pub async fn request(
    cluster: &Cluster,
    wukong: &str,
    name: &str,
    allow_partial: bool,
) -> kube::Result<()> {
    let mut spec = json!({"wukongName": wukong});
    if let (true, Some(fields)) = (allow_partial, spec.as_object_mut()) {
        fields.insert("allowPartial".into(), json!(true));
    }
    create::<WukongSnapshot>(&snapshots(cluster), name, spec).await
}

/// How a snapshot has ended.
pub(super) fn ended(status: &Value) -> Option<Result<String, String>> {
    let parsed: WukongSnapshotStatus = serde_json::from_value(status.clone()).ok()?;
    match parsed.phase? {
        SnapshotPhase::Succeeded if parsed.ready_to_use => {
            let consistency = parsed.consistency.map_or("", |state| match state.as_ref() {
                "FileSystem" => ", with consistent file systems",
                "Offline" => " of the VM that is off",
                _ => ", as after a power failure",
            });
            Some(Ok(format!("is taken{consistency}")))
        }
        SnapshotPhase::Failed => Some(Err(blocker(status))),
        _ => None,
    }
}

fn subject(snapshot: &Value) -> String {
    let name = snapshot.pointer("/spec/wukongName").and_then(Value::as_str);
    text::plain(name.unwrap_or_default())
}

/// The snapshots, the newest last.
fn table(mut snapshots: Vec<DynamicObject>, now: Timestamp) -> String {
    snapshots.sort_by_key(|snapshot| {
        let created = snapshot.creation_timestamp().map(|created| created.0);
        (created, snapshot.name_any())
    });
    if snapshots.is_empty() {
        return "no snapshots\n".into();
    }
    let mut table = output::table([
        "NAME",
        "WUKONG",
        "PHASE",
        "READY",
        "CONSISTENCY",
        "TAKEN",
        "DISKS",
        "REASON",
    ]);
    for snapshot in &snapshots {
        let status: WukongSnapshotStatus = snapshot
            .data
            .get("status")
            .and_then(|status| serde_json::from_value(status.clone()).ok())
            .unwrap_or_default();
        let disks = status.volumes.iter().filter(|volume| volume.included);
        let disks: Vec<String> = disks.map(|volume| text::plain(&volume.name)).collect();
        let shown = |text: &str| match text {
            "" => NONE.to_owned(),
            text => text::plain(text),
        };
        let taken = text::age(status.creation_time.as_ref(), now);
        let reason = status.blocker.map(|blocker| blocker.reason);
        table.add_row([
            text::plain(&snapshot.name_any()),
            subject(&snapshot.data),
            shown(status.phase.as_ref().map_or("", AsRef::as_ref)),
            status.ready_to_use.to_string(),
            shown(status.consistency.as_ref().map_or("", AsRef::as_ref)),
            taken,
            shown(&disks.join(",")),
            shown(&reason.unwrap_or_default()),
        ]);
    }
    output::lines(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_shows_what_a_snapshot_is_good_for() {
        let snapshot = |name: &str, status: Value| -> DynamicObject {
            serde_json::from_value(json!({
                "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "WukongSnapshot",
                "metadata": {"name": name, "creationTimestamp": "2026-11-30T11:00:00Z"},
                "spec": {"wukongName": "web"}, "status": status,
            }))
            .unwrap()
        };
        let all = vec![
            snapshot(
                "later",
                json!({"phase": "Pending", "blocker": {"condition": "SourceResolved", "reason": "NoSnapshotClass",
                "message": "m", "since": "2026-11-30T11:00:00Z"}}),
            ),
            snapshot(
                "before",
                json!({"phase": "Succeeded", "readyToUse": true, "consistency": "FileSystem",
                "creationTime": "2026-11-30T11:00:00Z",
                "volumes": [{"name": "root", "included": true}, {"name": "data", "included": false}]}),
            ),
        ];
        let now = "2026-11-30T12:00:00Z".parse().unwrap();
        assert_eq!(
            table(all, now),
            "NAME    WUKONG  PHASE      READY  CONSISTENCY  TAKEN  DISKS  REASON\n\
             before  web     Succeeded  true   FileSystem   1h     root   -\n\
             later   web     Pending    false  -            -      -      NoSnapshotClass\n"
        );
    }
}
