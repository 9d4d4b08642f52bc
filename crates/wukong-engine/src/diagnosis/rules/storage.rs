//! Rules about CDI, StorageClasses and the drivers behind them.

use wukong_api::validated::{Disk, Source};

use super::{Finding, RuleInput, gap};
use crate::environment::provisioners::IN_CLUSTER_PROVISIONERS;
use crate::facts::words::listed;
use crate::facts::{Presence, Seen, StorageClassFact, Text, find_condition, is_true};

/// Names from before CSI, and the drivers that serve them now (KEP-625).
const MIGRATED: [(&str, &str); 7] = [
    ("kubernetes.io/aws-ebs", "ebs.csi.aws.com"),
    ("kubernetes.io/gce-pd", "pd.csi.storage.gke.io"),
    ("kubernetes.io/azure-disk", "disk.csi.azure.com"),
    ("kubernetes.io/azure-file", "file.csi.azure.com"),
    ("kubernetes.io/cinder", "cinder.csi.openstack.org"),
    ("kubernetes.io/vsphere-volume", "csi.vsphere.vmware.com"),
    ("kubernetes.io/portworx-volume", "pxd.portworx.com"),
];

fn disks<'a>(input: &RuleInput<'a>) -> impl Iterator<Item = &'a Disk> {
    input.wukong.into_iter().flat_map(|wukong| &wukong.disks)
}

/// Whether CDI has to fill disks: for a cluster always, for a Wukong if a disk has a source.
fn needs_cdi(input: &RuleInput) -> bool {
    input.wukong.is_none() || disks(input).any(|disk| disk.source != Source::Blank)
}

pub(super) fn cdi_installed(input: &RuleInput) -> Finding {
    let presence = input.environment.data_volumes;
    if !needs_cdi(input) {
        return Finding::Irrelevant;
    }
    if let Some(gap) = gap(presence, "DataVolume") {
        return gap;
    }
    if presence == Presence::Served {
        return Finding::holds();
    }
    let filled = disks(input).filter(|disk| disk.source != Source::Blank);
    let names: Vec<&str> = filled.map(|disk| disk.name.as_str()).collect();
    if names.is_empty() {
        return Finding::found("CDI is not installed: disks cannot be filled from images")
            .mild(true);
    }
    Finding::found(format!(
        "CDI is not installed, and the disks {} need it",
        listed(names)
    ))
}

pub(super) fn cdi_available(input: &RuleInput) -> Finding {
    let environment = input.environment;
    if !needs_cdi(input) || environment.data_volumes != Presence::Served {
        return Finding::Irrelevant;
    }
    if let Some(gap) = gap(environment.cdis.presence(), "CDI") {
        return gap;
    }
    let Some(cdi) = environment.cdis.in_namespace("").next() else {
        return Finding::found("There is no CDI resource, so nothing deploys CDI");
    };
    if is_true(&cdi.conditions, "Available") {
        return Finding::holds();
    }
    let reported = find_condition(&cdi.conditions, "Degraded")
        .filter(|degraded| degraded.status == "True")
        .or_else(|| find_condition(&cdi.conditions, "Available"))
        .map(|reported| reported.message.as_str())
        .filter(|message| !message.is_empty())
        .unwrap_or("its conditions give no reason");
    Finding::found(match cdi.phase.as_str() {
        "" => "CDI is not available: the CDI resource has no status, so cdi-operator has not processed it".to_owned(),
        phase => format!("CDI is not available; it is in phase {phase} ({reported})"),
    })
    .about(format!("CDI/{}", cdi.meta.name))
}

pub(super) fn default_class(input: &RuleInput) -> Finding {
    let named = input.wukong.is_some() && disks(input).all(|disk| disk.storage_class.is_some());
    if named {
        return Finding::Irrelevant;
    }
    let classes = &input.environment.storage_classes;
    if let Some(gap) = gap(classes.presence(), "StorageClass") {
        return gap;
    }
    if classes.in_namespace("").any(|class| class.default) {
        return Finding::holds();
    }
    let unnamed = disks(input).filter(|disk| disk.storage_class.is_none());
    let names: Vec<&str> = unnamed.map(|disk| disk.name.as_str()).collect();
    if names.is_empty() {
        return Finding::found(
            "The cluster has no default StorageClass: every disk has to name one",
        )
        .mild(true);
    }
    Finding::found(format!(
        "The cluster has no default StorageClass, and the disks {} name none",
        listed(names)
    ))
}

pub(super) fn class_exists(input: &RuleInput) -> Finding {
    let classes = &input.environment.storage_classes;
    let mut named = disks(input)
        .filter_map(|disk| Some((disk, disk.storage_class.as_deref()?)))
        .peekable();
    if named.peek().is_none() {
        return Finding::Irrelevant;
    }
    if let Some(gap) = gap(classes.presence(), "StorageClass") {
        return gap;
    }
    match named.find(|(_, class)| matches!(classes.get("", class), Seen::Absent)) {
        Some((disk, class)) => Finding::found(format!(
            "disk {}: there is no StorageClass {class}; there are {}",
            disk.name,
            listed(
                classes
                    .in_namespace("")
                    .map(|class| class.meta.name.as_str())
            )
        ))
        .about(format!("StorageClass/{class}")),
        None => Finding::holds(),
    }
}

/// The relevant classes, each with the disk that uses it: those of the disks, or the cluster's default.
fn classes<'a>(input: &RuleInput<'a>) -> Vec<(Option<&'a Disk>, &'a StorageClassFact)> {
    let classes = &input.environment.storage_classes;
    let default = || classes.in_namespace("").find(|class| class.default);
    let Some(wukong) = input.wukong else {
        return default().map(|class| (None, class)).into_iter().collect();
    };
    let of_disk = |disk: &'a Disk| {
        let class = match &disk.storage_class {
            Some(name) => classes.get("", name).present(),
            None => default(),
        };
        Some((Some(disk), class?))
    };
    wukong.disks.iter().filter_map(of_disk).collect()
}

pub(super) fn provisioner(input: &RuleInput) -> Finding {
    let presence = input.environment.storage_classes.presence();
    if let Some(gap) = gap(presence, "StorageClass") {
        return gap;
    }
    let classes = classes(input);
    if classes.is_empty() {
        return Finding::Irrelevant;
    }
    let trouble = classes.iter().find_map(|(_, class)| unserved(input, class));
    trouble.unwrap_or_else(Finding::holds)
}

/// Reports a driver of a class that does not work.
fn unserved(input: &RuleInput, class: &StorageClassFact) -> Option<Finding> {
    let environment = input.environment;
    let name = &class.meta.name;
    let provisioner = class.provisioner.as_str();
    let subject = format!("StorageClass/{name}");
    if provisioner.is_empty() || provisioner == "kubernetes.io/no-provisioner" {
        return None;
    }
    if let Some((_, prefix)) = IN_CLUSTER_PROVISIONERS
        .iter()
        .find(|(known, _)| *known == provisioner)
    {
        let pods = input.provisioners;
        if let Some(gap) = gap(pods.presence(), "Pod") {
            return Some(gap);
        }
        let mut serving = pods
            .iter()
            .filter(|pod| pod.meta.name.starts_with(prefix))
            .peekable();
        if serving.peek().is_none() {
            return Some(
                Finding::found(format!(
                    "StorageClass {name}: its provisioner {provisioner} has no pod {prefix}, so claims of this class stay Pending"
                ))
                .about(subject),
            );
        }
        let pods: Vec<_> = serving.collect();
        if pods.iter().any(|pod| pod.is_ready()) {
            return None;
        }
        let (pod, failure) = pods.iter().find_map(|pod| Some((pod, pod.failure()?)))?;
        return Some(
            Finding::found(format!(
                "StorageClass {name}: the pod of its provisioner {provisioner} does not run, {failure}"
            ))
            .about(format!("Pod/{}", pod.meta.name))
            .evidence(vec![format!("in namespace {}", pod.meta.namespace)]),
        );
    }
    let driver = MIGRATED
        .iter()
        .find(|(old, _)| *old == provisioner)
        .map_or(provisioner, |(_, driver)| driver);
    if let Some(gap) = gap(environment.csi_drivers.presence(), "CSIDriver") {
        return Some(gap);
    }
    if let Some(gap) = gap(environment.csi_nodes.presence(), "CSINode") {
        return Some(gap);
    }
    let declared = matches!(environment.csi_drivers.get("", driver), Seen::Present(_));
    let registered = environment.csi_nodes.has(driver);
    let message = match (declared, registered) {
        (_, true) => return None,
        (true, false) => format!(
            "StorageClass {name}: its driver {driver} is registered on no node, so no pod can use volumes of this class"
        ),
        (false, false) => format!(
            "StorageClass {name}: its driver {driver} is not installed (no CSIDriver, no CSINode), so claims of this class stay Pending"
        ),
    };
    // A provisioner that is no CSI driver needs neither object.
    let perhaps_not_csi = !declared && !driver.contains("csi");
    Some(Finding::found(message).about(subject).mild(perhaps_not_csi))
}

pub(super) fn profile(input: &RuleInput) -> Finding {
    let environment = input.environment;
    if environment.data_volumes != Presence::Served {
        return Finding::Irrelevant;
    }
    // A disk with access modes in the spec needs no profile.
    let silent = classes(input)
        .into_iter()
        .filter(|(disk, _)| disk.is_none_or(|disk| disk.access_modes.is_empty()));
    let silent: Vec<_> = silent.collect();
    if silent.is_empty() {
        return Finding::Irrelevant;
    }
    if let Some(gap) = gap(environment.storage_profiles.presence(), "StorageProfile") {
        return gap;
    }
    let incomplete = silent.iter().find(|(_, class)| {
        let profile = environment
            .storage_profiles
            .get("", &class.meta.name)
            .present();
        profile.is_some_and(|profile| {
            profile
                .property_sets
                .iter()
                .all(|set| set.access_modes.is_empty())
        })
    });
    match incomplete {
        Some((disk, class)) => {
            let name = &class.meta.name;
            let prefix = disk.map_or_else(String::new, |disk| format!("disk {}: ", disk.name));
            Finding::found(format!(
                "{prefix}CDI does not know the access modes of StorageClass {name}: its StorageProfile is empty"
            ))
            .about(format!("StorageProfile/{name}"))
            .mild(disk.is_none())
        }
        None => Finding::holds(),
    }
}

/// Whether every disk can be used by two nodes at once, as live migration needs it.
pub(super) fn shared_disks(input: &RuleInput) -> Finding {
    if !super::manifest::wants_migration(input) {
        return Finding::Irrelevant;
    }
    let profiles = &input.environment.storage_profiles;
    let preferred = |class: &StorageClassFact| {
        let profile = profiles.get("", &class.meta.name).present()?;
        profile.property_sets.first()
    };
    let shared = |modes: &[Text]| modes.iter().any(|mode| mode == "ReadWriteMany");
    let classes = classes(input);
    let class_of = |disk: &Disk| {
        classes
            .iter()
            .find(|(of, _)| of.is_some_and(|of| of.name == disk.name))
            .map(|(_, class)| *class)
    };
    let mut judged = false;
    for disk in disks(input) {
        let modes: Vec<Text> = if disk.access_modes.is_empty() {
            match class_of(disk).and_then(preferred) {
                Some(set) => set.access_modes.clone(),
                None => continue,
            }
        } else {
            disk.access_modes
                .iter()
                .map(|mode| format!("{mode:?}").into())
                .collect()
        };
        judged = true;
        if !shared(&modes) {
            return Finding::found(format!(
                "disk {} can be used by one node at a time ({}), so the VM cannot move while it runs",
                disk.name,
                listed(modes.iter().map(Text::as_str))
            ));
        }
    }
    match gap(profiles.presence(), "StorageProfile") {
        _ if judged => Finding::holds(),
        Some(gap) if disks(input).next().is_some() => gap,
        _ => Finding::Irrelevant,
    }
}
