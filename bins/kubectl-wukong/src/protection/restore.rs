//! `restore`: shows what a restore changes, asks, and creates the WukongRestore.

use std::time::Duration;

use anyhow::bail;
use jiff::SignedDuration;
use serde_json::{Value, json};
use wukong_api::protection::{
    RestorePhase, WukongRestoreSpec, WukongRestoreStatus, WukongSnapshotStatus,
};
use wukong_api::status::{Phase, VolumeStatus};
use wukong_api::{ValidatedWukong, Wukong, WukongRestore, WukongSpec, names};
use wukong_engine::changes::{self, RunningVm};

use super::await_end::{await_end, blocker};
use super::question::confirmed;
use super::{create, ready_snapshot, restores, timed_name};
use crate::cluster::{self, Cluster, ClusterArgs};
use crate::exit::Exit;
use crate::output;
use crate::text;

/// Give the disks of a VM the content of a snapshot, or of an earlier generation
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubectl wukong restore web --snapshot before-upgrade --stop --wait
  kubectl wukong restore web --snapshot before-upgrade --disk data --dry-run
  kubectl wukong restore web --generation 1 --stop

Exit codes:
  0  done; without --wait: requested
  1  failed, refused, or not confirmed
  2  --dry-run: there are changes
  3  timed out: the operator continues")]
pub struct Args {
    /// Name of the Wukong
    wukong: String,

    /// Snapshot with the content
    #[arg(long, value_name = "NAME", required_unless_present = "generation")]
    snapshot: Option<String>,

    /// Generation of the disks, as in status.volumes of the Wukong
    #[arg(long, value_name = "NUMBER", conflicts_with = "snapshot")]
    generation: Option<u32>,

    /// Restore only this disk; can be repeated
    #[arg(long = "disk", value_name = "NAME")]
    disks: Vec<String>,

    /// Stop the VM for the restore, and start it afterwards
    #[arg(long)]
    stop: bool,

    /// Leave the VM off after the restore
    #[arg(long, requires = "stop")]
    no_start: bool,

    /// Name of the restore [default: the name of the Wukong, and the time]
    #[arg(long)]
    name: Option<String>,

    /// Show the changes and stop
    #[arg(long)]
    dry_run: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    /// Wait until the VM has its restored disks
    #[arg(short, long)]
    wait: bool,

    /// Maximum time to wait, such as 90s or 10m
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "15m",
        requires = "wait"
    )]
    timeout: SignedDuration,
}

pub async fn run(args: &Args, cluster: &ClusterArgs) -> anyhow::Result<Exit> {
    let cluster = cluster.connect().await?;
    let spec = args.spec();
    output::print(&planned(&cluster, &spec).await?)?;
    if args.dry_run {
        return Ok(Exit::Changes);
    }
    if !args.yes && !confirmed("Restore?")? {
        output::note("not confirmed: nothing was changed");
        return Ok(Exit::Failed);
    }
    let name = args
        .name
        .clone()
        .unwrap_or_else(|| timed_name(&args.wukong));
    request(&cluster, &name, &spec)
        .await
        .map_err(cluster::readable)?;
    output::print(&format!("{name}: restore requested\n"))?;
    match args.wait {
        true => {
            let timeout = Duration::try_from(args.timeout).unwrap_or_default();
            await_end(restores(&cluster), &name, timeout, ended).await
        }
        false => Ok(Exit::Done),
    }
}

/// Requests a restore.
pub async fn request(cluster: &Cluster, name: &str, spec: &WukongRestoreSpec) -> kube::Result<()> {
    create::<WukongRestore>(&restores(cluster), name, json!(spec)).await
}

/// What a restore changes, for people.
///
/// # Errors
/// The Wukong or the snapshot cannot be read, the snapshot is not ready, or there is nothing to restore.
pub async fn planned(cluster: &Cluster, spec: &WukongRestoreSpec) -> anyhow::Result<String> {
    let wukong = cluster.wukong(&spec.wukong_name).await?;
    let snapshot = match &spec.snapshot_name {
        Some(name) => Some(ready_snapshot(cluster, name, &spec.wukong_name).await?),
        None => None,
    };
    plan(&wukong, spec, snapshot.as_ref())
}

impl Args {
    fn spec(&self) -> WukongRestoreSpec {
        WukongRestoreSpec {
            wukong_name: self.wukong.clone(),
            snapshot_name: self.snapshot.clone(),
            from_generation: self.generation,
            disks: self.disks.clone(),
            stop: self.stop.then_some(true),
            start: self.no_start.then_some(false),
        }
    }
}

/// What the restore changes, for people.
///
/// # Errors
/// There is nothing to restore.
fn plan(
    wukong: &Wukong,
    spec: &WukongRestoreSpec,
    snapshot: Option<&WukongSnapshotStatus>,
) -> anyhow::Result<String> {
    let name = &spec.wukong_name;
    let status = wukong.status.clone().unwrap_or_default();
    let mut lines = Vec::new();
    for disk in &spec.disks {
        if !status.volumes.iter().any(|volume| volume.name == *disk) {
            bail!("{name} has no disk {disk}");
        }
    }
    for volume in &status.volumes {
        let disk = text::plain(&volume.name);
        let wanted = spec.disks.is_empty() || spec.disks.contains(&volume.name);
        let used = text::plain(volume.pvc_name.as_deref().unwrap_or_default());
        let foreign = wukong
            .spec
            .disks
            .iter()
            .any(|known| known.name == volume.name && known.claim.is_some());
        let to = match (snapshot, spec.from_generation) {
            _ if !wanted || foreign => None,
            (Some(snapshot), _) => {
                let mut volumes = snapshot.volumes.iter();
                let has = volumes.any(|taken| taken.name == volume.name && taken.included);
                has.then(|| next_generation(name, volume))
            }
            (None, Some(generation)) => {
                let mut others = volume.other_generations.iter();
                let other = others.find(|other| other.generation == generation);
                other.map(|other| text::plain(&other.pvc_name))
            }
            (None, None) => None,
        };
        match to {
            Some(to) => lines.push(format!(
                "  disk {disk}: {used} -> {to}: replaces the content of the disk; claim {used} stays with the present content"
            )),
            None if wanted && !spec.disks.is_empty() => {
                bail!("disk {disk} is not in the snapshot or generation")
            }
            None => lines.push(format!("  disk {disk}: stays as it is ({used})")),
        }
    }
    if !lines.iter().any(|line| line.contains("->")) {
        bail!("there is no disk of {name} to restore");
    }
    lines.extend(
        snapshot
            .map(|taken| since(wukong, taken))
            .unwrap_or_default(),
    );
    let off = matches!(status.phase, Some(Phase::Stopped));
    lines.push(match (off, spec.stop, spec.start) {
        (true, ..) => "  the VM is off, and stays off".to_owned(),
        (false, Some(true), Some(false)) => "  the VM is stopped, and stays off".to_owned(),
        (false, Some(true), _) => {
            "  the VM is stopped when the claims are complete, and started afterwards".to_owned()
        }
        (false, ..) => format!(
            "  the VM runs: the restore waits until you stop it (kubectl wukong stop {name}); --stop stops it"
        ),
    });
    let from = match (&spec.snapshot_name, snapshot, spec.from_generation) {
        (Some(snapshot), Some(taken), _) => {
            let at = taken
                .creation_time
                .as_ref()
                .map(|at| format!(" of {}", at.0));
            format!("snapshot {snapshot}{}", at.unwrap_or_default())
        }
        (_, _, generation) => format!("generation {}", generation.unwrap_or_default()),
    };
    Ok(format!(
        "{name}: restore from {from}\n{}\n",
        lines.join("\n")
    ))
}

/// The fields of the spec that have changed since the snapshot. A restore brings back disks only.
fn since(wukong: &Wukong, taken: &WukongSnapshotStatus) -> Vec<String> {
    let Some(then) = &taken.spec else {
        return Vec::new();
    };
    let validated = |spec: WukongSpec| {
        let wukong = Wukong {
            spec: spec.without_passwords(),
            ..wukong.clone()
        };
        ValidatedWukong::try_from(&wukong).ok()
    };
    let then = serde_json::from_value(then.clone())
        .ok()
        .and_then(validated);
    let (Some(then), Some(now)) = (then, validated(wukong.spec.clone())) else {
        return vec!["  the spec of that time cannot be compared with the present one".into()];
    };
    let changes = changes::classify(&then, &now, &RunningVm::default());
    let shown = |value: &Option<String>| text::plain(value.as_deref().unwrap_or("-"));
    let change = |change: &changes::Change| {
        let path = text::plain(&change.path);
        format!(
            "    {path}: {} -> {}",
            shown(&change.from),
            shown(&change.to)
        )
    };
    let mut lines: Vec<String> = changes.iter().map(change).collect();
    if !lines.is_empty() {
        lines.insert(0, "  changed since the snapshot, and not restored:".into());
    }
    lines
}

/// The claim that the operator will make for a disk.
fn next_generation(wukong: &str, volume: &VolumeStatus) -> String {
    let others = volume
        .other_generations
        .iter()
        .map(|other| other.generation);
    let highest = others.chain(volume.generation).max().unwrap_or(1);
    names::claim_of_generation(wukong, &volume.name, highest.max(1).saturating_add(1))
}

fn ended(status: &Value) -> Option<Result<String, String>> {
    let parsed: WukongRestoreStatus = serde_json::from_value(status.clone()).ok()?;
    match parsed.phase? {
        RestorePhase::Succeeded => Some(Ok("the VM has its restored disks".into())),
        RestorePhase::Failed => Some(Err(blocker(status))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wukong(phase: &str) -> Wukong {
        serde_json::from_value(json!({
            "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong", "metadata": {"name": "web"},
            "spec": {"cpu": 1, "memory": "1Gi"},
            "status": {"phase": phase, "volumes": [
                {"name": "root", "pvcName": "web.root.r3", "generation": 3,
                    "otherGenerations": [{"generation": 1, "pvcName": "web.root"}]},
                {"name": "data", "pvcName": "web.data"},
            ]},
        }))
        .unwrap()
    }

    fn spec(fields: Value) -> WukongRestoreSpec {
        let mut spec = json!({"wukongName": "web"});
        let given = fields.as_object().cloned().unwrap_or_default();
        spec.as_object_mut().unwrap().extend(given);
        serde_json::from_value(spec).unwrap()
    }

    fn snapshot() -> WukongSnapshotStatus {
        serde_json::from_value(json!({
            "readyToUse": true, "creationTime": "2026-11-30T11:00:00Z",
            "volumes": [{"name": "root", "included": true}],
        }))
        .unwrap()
    }

    #[test]
    fn the_plan_names_every_disk_and_what_happens_to_the_vm() {
        let from = spec(json!({"snapshotName": "before", "stop": true}));
        assert_eq!(
            plan(&wukong("Running"), &from, Some(&snapshot())).unwrap(),
            "web: restore from snapshot before of 2026-11-30T11:00:00Z\n  \
             disk root: web.root.r3 -> web.root.r4: replaces the content of the disk; claim web.root.r3 stays with the present content\n  \
             disk data: stays as it is (web.data)\n  \
             the VM is stopped when the claims are complete, and started afterwards\n"
        );
        let back = spec(json!({"fromGeneration": 1}));
        let text = plan(&wukong("Running"), &back, None).unwrap();
        assert!(text.contains("web.root.r3 -> web.root:"), "{text}");
        assert!(text.contains("waits until you stop it"), "{text}");
    }

    #[test]
    fn the_plan_names_what_else_has_changed_since_the_snapshot() {
        let back = spec(json!({"snapshotName": "before", "stop": true}));
        let mut taken = snapshot();
        let text =
            |taken: &WukongSnapshotStatus| plan(&wukong("Running"), &back, Some(taken)).unwrap();
        taken.spec = Some(json!({"cpu": 1, "memory": "1Gi"}));
        assert!(!text(&taken).contains("changed since"));
        taken.spec =
            Some(json!({"cpu": 2, "memory": "1Gi", "disks": [{"name": "old", "size": "1Gi"}]}));
        let shown = text(&taken);
        let expected = "\n  changed since the snapshot, and not restored:\n    spec.cpu: 2 -> 1\n    spec.disks[old]: 1Gi blank -> -\n";
        assert!(shown.contains(expected), "{shown}");
        taken.spec = Some(json!({"cpu": 0, "memory": "1Gi"}));
        assert!(text(&taken).contains("cannot be compared"));
    }

    #[test]
    fn a_restore_of_nothing_is_refused() {
        for (fields, taken) in [
            (json!({"snapshotName": "before", "disks": ["data"]}), true),
            (json!({"snapshotName": "before", "disks": ["logs"]}), true),
            (json!({"fromGeneration": 7}), false),
        ] {
            let taken = taken.then(snapshot);
            assert!(
                plan(&wukong("Stopped"), &spec(fields.clone()), taken.as_ref()).is_err(),
                "{fields}"
            );
        }
    }
}
