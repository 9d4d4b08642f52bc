//! `clone`: a new Wukong with the disks of a snapshot of another one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use jiff::SignedDuration;
use kube::Api;
use kube::api::DynamicObject;
use kube::core::{ApiResource, GroupVersionKind, ObjectMeta};
use wukong_api::protection::WukongSnapshotStatus;
use wukong_api::spec::{Disk, DiskSource, NamedSource, Quantity};
use wukong_api::{ValidatedWukong, Wukong};
use wukong_protection::snapshot::volume_snapshot;

use super::await_end::await_end;
use super::question::confirmed;
use super::snapshot::{self, ended};
use super::{ready_snapshot, snapshots, timed_name};
use crate::action;
use crate::cluster::{self, Cluster, ClusterArgs};
use crate::exit::Exit;
use crate::output;
use crate::text;

/// Create a VM with the disks of another one
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubectl wukong clone web web-test
  kubectl wukong clone web web-test --snapshot before-upgrade --address lan=10.0.0.77/24
  kubectl wukong clone web web-test --snapshot before-upgrade --print > web-test.yaml")]
pub struct Args {
    /// Name of the Wukong to clone
    source: String,

    /// Name of the new Wukong
    name: String,

    /// Snapshot with the content [default: a new snapshot]
    #[arg(long, value_name = "NAME")]
    snapshot: Option<String>,

    /// Static address of a network of the new VM; can be repeated
    #[arg(long = "address", value_name = "NETWORK=CIDR", value_parser = address)]
    addresses: Vec<(String, String)>,

    /// Print the manifest of the new Wukong, and create only the snapshot
    #[arg(long)]
    print: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    /// Maximum time to wait for a new snapshot, such as 90s or 10m
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    timeout: SignedDuration,
}

fn address(text: &str) -> Result<(String, String), String> {
    let (network, address) = text
        .split_once('=')
        .ok_or_else(|| format!("{text} is not of the form NETWORK=CIDR"))?;
    Ok((network.to_owned(), address.to_owned()))
}

/// The snapshot that the new disks are copies of.
struct Taken {
    /// Uid of the VirtualMachineSnapshot.
    uid: String,
    status: WukongSnapshotStatus,
}

pub async fn run(args: &Args, cluster: &ClusterArgs) -> anyhow::Result<Exit> {
    let cluster = cluster.connect().await?;
    let source = cluster.wukong(&args.source).await?;
    let addresses: BTreeMap<String, String> = args.addresses.iter().cloned().collect();
    // What is wrong with the manifest is said before a snapshot is taken.
    let draft = clone(&source, &args.name, &addresses, None)?;
    validate(&draft)?;
    if !args.print {
        output::print(&summary(&source, &args.name, args.snapshot.as_deref()))?;
        if !args.yes && !confirmed("Clone?")? {
            output::note("not confirmed: nothing was changed");
            return Ok(Exit::Failed);
        }
    }
    let snapshot = match &args.snapshot {
        Some(name) => name.clone(),
        None => {
            let name = timed_name(&args.source);
            match take(&cluster, &args.source, &name, args.timeout).await? {
                Exit::Done => name,
                other => return Ok(other),
            }
        }
    };
    let taken = taken(&cluster, &snapshot, &args.source).await?;
    let clone = clone(&source, &args.name, &addresses, Some(&taken))?;
    validate(&clone)?;
    let mut manifest = serde_json::to_value(&clone)?;
    if let Some(fields) = manifest.as_object_mut() {
        fields.remove("status");
    }
    if args.print {
        output::print_objects(&output::to_yaml(&manifest)?)?;
        return Ok(Exit::Done);
    }
    let object: DynamicObject = serde_json::from_value(manifest)?;
    cluster
        .wukongs(false)
        .create(&action::creation(), &object)
        .await
        .map_err(cluster::readable)?;
    output::print(&format!("{}: created\n", args.name))?;
    Ok(Exit::Done)
}

fn validate(wukong: &Wukong) -> anyhow::Result<()> {
    ValidatedWukong::try_from(wukong)
        .map(|_| ())
        .map_err(|error| anyhow!("the clone is not valid: {error}"))
}

async fn take(
    cluster: &Cluster,
    wukong: &str,
    name: &str,
    timeout: SignedDuration,
) -> anyhow::Result<Exit> {
    snapshot::request(cluster, wukong, name, false)
        .await
        .map_err(cluster::readable)?;
    let timeout = Duration::try_from(timeout).unwrap_or_default();
    await_end(snapshots(cluster), name, timeout, ended).await
}

async fn taken(cluster: &Cluster, name: &str, wukong: &str) -> anyhow::Result<Taken> {
    let status = ready_snapshot(cluster, name, wukong).await?;
    let kind = GroupVersionKind::gvk("snapshot.kubevirt.io", "v1beta1", "VirtualMachineSnapshot");
    let resource = ApiResource::from_gvk_with_plural(&kind, "virtualmachinesnapshots");
    let api: Api<DynamicObject> =
        Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource);
    let vm_snapshot = api.get(name).await.map_err(cluster::readable)?;
    Ok(Taken {
        uid: vm_snapshot.metadata.uid.unwrap_or_default(),
        status,
    })
}

/// The new Wukong: the spec of the source without its identity. Without a snapshot, a draft that has the same problems.
///
/// # Errors
/// A disk is not in the snapshot, or an address is missing.
fn clone(
    source: &Wukong,
    name: &str,
    addresses: &BTreeMap<String, String>,
    taken: Option<&Taken>,
) -> anyhow::Result<Wukong> {
    let planned = ValidatedWukong::try_from(source)
        .map_err(|error| anyhow!("the Wukong to clone is not valid: {error}"))?;
    let mut spec = source.spec.clone();
    spec.running = None;
    spec.restore_from_snapshot = None;
    if !spec.disks.is_empty() {
        spec.os_image = None;
    }
    for disk in &mut spec.disks {
        let policy = planned.disk(&disk.name).map(|known| known.reclaim_policy);
        copied(disk, taken)?;
        disk.reclaim_policy = policy;
    }
    let mut unused: BTreeSet<&String> = addresses.keys().collect();
    for network in &mut spec.networks {
        network.mac_address = None;
        let Some(ip) = &mut network.ip_config else {
            continue;
        };
        if ip.address.is_none() && ip.addresses.is_empty() {
            continue;
        }
        let Some(address) = addresses.get(&network.name) else {
            bail!(
                "network {} has a static address: give the clone another one with --address {}=CIDR",
                network.name,
                network.name
            );
        };
        unused.remove(&network.name);
        ip.address = Some(address.clone());
        ip.addresses.clear();
    }
    if let Some(network) = unused.first() {
        bail!("--address {network}: there is no network {network} with a static address");
    }
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        namespace: source.metadata.namespace.clone(),
        labels: source.metadata.labels.clone(),
        ..ObjectMeta::default()
    };
    Ok(Wukong {
        metadata,
        spec,
        status: None,
    })
}

fn copied(disk: &mut Disk, taken: Option<&Taken>) -> anyhow::Result<()> {
    let Some(taken) = taken else {
        return Ok(());
    };
    let volumes = &taken.status.volumes;
    let volume = volumes
        .iter()
        .find(|volume| volume.name == disk.name && volume.included)
        .with_context(|| format!("disk {} is not in the snapshot", disk.name))?;
    if disk.claim.take().is_some() {
        let size = volume.size.clone();
        disk.size = size.map(Quantity);
        disk.shareable = None;
    }
    disk.image = None;
    disk.serial = None;
    disk.source = Some(DiskSource {
        snapshot: Some(NamedSource {
            name: volume_snapshot(&taken.uid, &disk.name),
        }),
        ..DiskSource::default()
    });
    Ok(())
}

fn summary(source: &Wukong, name: &str, snapshot: Option<&str>) -> String {
    let of = text::plain(source.metadata.name.as_deref().unwrap_or_default());
    let from = match snapshot {
        Some(snapshot) => format!("snapshot {snapshot}"),
        None => "a new snapshot".to_owned(),
    };
    let disks: Vec<String> = source
        .spec
        .disks
        .iter()
        .map(|disk| text::plain(&disk.name))
        .collect();
    let cloud_init = "new: MAC addresses, firmware UUID, instance ID; cloud-init runs again (user, SSH host keys, host name, network)";
    let same = "the same inside the guest: machine-id, and with it the DHCP client ID of some systems; the SID of Windows";
    format!(
        "{name}: a clone of {of} from {from}\n  disks: {}\n  {cloud_init}\n  {same}\n",
        disks.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn source() -> Wukong {
        serde_json::from_value(json!({
            "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong",
            "metadata": {"name": "web", "namespace": "shop", "uid": "u"},
            "spec": {"cpu": 1, "memory": "1Gi", "osImage": "ubuntu:24.04",
                "disks": [{"name": "root", "size": "20Gi"}, {"name": "data", "size": "5Gi"}],
                "networks": [{"name": "lan", "type": "bridge", "macAddress": "02:00:00:00:00:01",
                    "ipConfig": {"address": "10.0.0.5/24"}}]},
            "status": {"phase": "Running"},
        }))
        .unwrap()
    }

    fn taken() -> Taken {
        Taken {
            uid: "s1".into(),
            status: serde_json::from_value(json!({"readyToUse": true, "volumes": [
                {"name": "root", "included": true}, {"name": "data", "included": true}]}))
            .unwrap(),
        }
    }

    fn addresses(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(network, address): &(&str, &str)| ((*network).into(), (*address).into());
        all.iter().map(owned).collect()
    }

    #[test]
    fn a_clone_has_the_disks_of_the_snapshot_and_no_identity_of_its_source() {
        let lan = addresses(&[("lan", "10.0.0.77/24")]);
        let clone = clone(&source(), "web-test", &lan, Some(&taken())).unwrap();
        validate(&clone).unwrap();
        assert_eq!(clone.metadata.uid, None);
        let spec = serde_json::to_value(&clone.spec).unwrap();
        assert_eq!(
            spec["disks"],
            json!([
                {"name": "root", "size": "20Gi", "reclaimPolicy": "Delete", "source": {"snapshot": {"name": "vmsnapshot-s1-volume-root"}}},
                {"name": "data", "size": "5Gi", "reclaimPolicy": "Retain", "source": {"snapshot": {"name": "vmsnapshot-s1-volume-data"}}},
            ])
        );
        assert_eq!(
            spec["networks"],
            json!([{"name": "lan", "type": "bridge", "ipConfig": {"address": "10.0.0.77/24"}}])
        );
        assert_eq!(spec["osImage"], json!(null));
    }

    #[test]
    fn a_static_address_is_asked_for() {
        for given in [&[][..], &[("lan", "10.0.0.77/24"), ("dmz", "10.1.0.1/24")]] {
            let error = clone(&source(), "web-test", &addresses(given), None).unwrap_err();
            assert!(error.to_string().contains("--address"), "{error}");
        }
    }
}
