//! Pending changes of the running VM, and its restarts.

use serde_json::json;

use crate::support::cluster::Cluster;

const DISK: &str = "disks: [{name: root, size: 20Gi}]";
const LOGIN: &str = "cloudInitUser: {name: me, shell: /bin/sh, password: hunter2}";
const LAN: &str = "networks: [{name: lan, type: bridge, vlanId: 10}]";
const NOWHERE: &str = "highAvailability: {nodeSelector: {kubernetes.io/hostname: nowhere}}";

/// Path, current, desired and effect of what is pending.
fn pending(cluster: &Cluster) -> Vec<String> {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let line = |change: wukong_api::status::PendingChange| {
        let (current, desired) = (or_none(change.current), or_none(change.desired));
        format!("{}: {current} -> {desired}: {}", change.path, change.effect)
    };
    cluster
        .status()
        .pending_changes
        .into_iter()
        .map(line)
        .collect()
}

fn applied(cluster: &Cluster) -> (String, String) {
    let conditions = cluster.status().conditions;
    let found = conditions
        .into_iter()
        .find(|condition| condition.type_ == "ConfigurationApplied");
    let found = found.unwrap();
    (found.status, found.reason)
}

fn is_applied(cluster: &Cluster, status: &str, reason: &str) {
    assert_eq!(applied(cluster), (status.to_owned(), reason.to_owned()));
}

fn restarts(cluster: &mut Cluster) -> usize {
    let done = cluster.done();
    done.iter().filter(|done| *done == "call restart").count()
}

#[test]
fn what_the_running_vm_lacks_is_listed_until_it_is_restarted() {
    const BASE: &str = "disks: [{name: root, size: 20Gi}, {name: data, size: 1Gi}], networks: [{name: lan, type: bridge}]";
    for (edit, lines) in [
        (
            BASE.to_owned() + ", firmware: UEFI",
            &["spec.firmware: BIOS -> UEFI: needs restart"][..],
        ),
        (
            BASE.to_owned() + ", cpu: 1",
            &["spec.cpu: 2 -> 1: needs restart"],
        ),
        (
            BASE.to_owned() + ", memory: 2Gi",
            &["spec.memory: 4Gi -> 2Gi: needs restart"],
        ),
        // A change that could be plugged in waits beside one that needs a restart.
        (
            BASE.to_owned() + ", cpu: 4, terminationGracePeriodSeconds: 7",
            &[
                "spec.cpu: 2 -> 4: needs restart",
                "spec.terminationGracePeriodSeconds: 180 -> 7: needs restart",
            ],
        ),
        (
            BASE.replace("root, size: 20Gi", "root, size: 20Gi, bus: scsi"),
            &["spec.disks[root].bus: virtio -> scsi: needs restart"],
        ),
        (
            BASE.replace(", {name: data, size: 1Gi}", ""),
            &["spec.disks[data]: attached -> -: needs restart"],
        ),
        (
            BASE.replace(
                "data, size: 1Gi}",
                "data, size: 1Gi}, {name: more, size: 1Gi, bus: sata}",
            ),
            &["spec.disks[more]: - -> 1Gi blank: needs restart"],
        ),
        (
            BASE.to_owned() + ", highAvailability: {topologySpread: true, evictionStrategy: None}",
            &[
                "spec.highAvailability.topologySpread: false -> true: needs restart",
                "spec.highAvailability.evictionStrategy: LiveMigrateIfPossible -> None: needs restart",
            ],
        ),
        (
            BASE.to_owned() + ", highAvailability: {group: g}",
            &["spec.highAvailability.group: web -> g: needs restart"],
        ),
    ] {
        let mut cluster = Cluster::running(BASE);
        assert_eq!(pending(&cluster), [""; 0]);
        cluster.edit(&edit);
        cluster.live();
        assert_eq!(pending(&cluster), *lines, "{edit}");
        is_applied(&cluster, "False", "RestartRequired");
        cluster.virtctl("restart");
        cluster.live();
        assert_eq!(pending(&cluster), [""; 0], "{edit}");
        is_applied(&cluster, "True", "Applied");
    }
}

#[test]
fn a_nic_with_another_address_is_another_nic() {
    let lan = |mac: &str| format!("networks: [{{name: lan, type: bridge, macAddress: '{mac}'}}]");
    let mut cluster = Cluster::running(&lan("02:00:00:00:00:01"));
    cluster.edit(&lan("02:00:00:00:00:02"));
    cluster.live();
    assert_eq!(
        pending(&cluster),
        ["spec.networks[lan].macAddress: 02:00:00:00:00:01 -> 02:00:00:00:00:02: needs restart"]
    );
}

#[test]
fn what_reaches_the_running_vm_is_pending_for_a_moment_only() {
    let mut cluster = Cluster::running(DISK);
    cluster.edit(&format!(
        "cpu: 4, {DISK}, highAvailability: {{nodeSelector: {{a: b}}}}"
    ));
    cluster.settle();
    assert_eq!(
        pending(&cluster),
        [
            "spec.cpu: 2 -> 4: hot-plug",
            "spec.highAvailability.nodeSelector: - -> a=b: in place"
        ]
    );
    cluster.live();
    assert_eq!(pending(&cluster), [""; 0]);
    is_applied(&cluster, "True", "Applied");
}

/// KubeVirt changes the instance at once, and says on it that the guest waits for a migration.
#[test]
fn cpus_that_wait_for_a_migration_that_cannot_be_are_pending() {
    let mut cluster = Cluster::running(DISK);
    cluster.edit(&format!("cpu: 4, {DISK}"));
    cluster.live();
    let mut status = cluster.instance()["status"].clone();
    status["currentCPUTopology"] = json!({"sockets": 2});
    status["conditions"] = json!([
        {"type": "AgentConnected", "status": "True"},
        {"type": "LiveMigratable", "status": "False", "reason": "DisksNotLiveMigratable"},
        {"type": "HotVCPUChange", "status": "True"},
    ]);
    cluster
        .server
        .update_status("virt-handler", "VirtualMachineInstance", "web", status);
    cluster.settle();
    assert_eq!(pending(&cluster), ["spec.cpu: 2 -> 4: needs restart"]);
    is_applied(&cluster, "False", "RestartRequired");
}

/// KubeVirt's default starts no migration for a NIC that was added, or that is to be on another network.
#[test]
fn a_nic_that_waits_for_a_migration_is_pending() {
    let other = "networks: [{name: lan, type: bridge, nadName: theirs}]";
    let second = LAN.replace(']', ", {name: more, type: bridge}]");
    for (from, to, line) in [
        (
            LAN.to_owned(),
            second,
            "spec.networks[more]: - -> bridge br-more: hot-plug",
        ),
        (
            LAN.to_owned(),
            other.to_owned(),
            "spec.networks[lan].nadName: web-lan-8d5d927d -> theirs: hot-plug",
        ),
    ] {
        let mut cluster = Cluster::running(&from);
        let before = cluster.instance()["status"]["interfaces"].clone();
        cluster.edit(&to);
        cluster.live();
        let mut status = cluster.instance()["status"].clone();
        status["interfaces"] = before;
        cluster
            .server
            .update_status("virt-handler", "VirtualMachineInstance", "web", status);
        cluster.settle();
        assert_eq!(pending(&cluster), [line]);
        is_applied(&cluster, "False", "MigrationRequired");
    }
}

/// CDI never changes a DataVolume, so the operator does not ask for it.
#[test]
fn settings_of_a_disk_that_are_refused_are_pending() {
    let root = |settings: &str| format!("disks: [{{name: root, size: 20Gi, {settings}}}]");
    for (from, to, line) in [
        (
            "storageClassName: fast",
            "storageClassName: slow",
            "spec.disks[root].storageClassName: fast -> slow: refused",
        ),
        (
            "accessModes: [ReadWriteOnce]",
            "accessModes: [ReadWriteMany]",
            "spec.disks[root].accessModes: ReadWriteOnce -> ReadWriteMany: refused",
        ),
        (
            "accessModes: [ReadWriteOnce], volumeMode: Block",
            "accessModes: [ReadWriteOnce], volumeMode: Filesystem",
            "spec.disks[root].volumeMode: Block -> Filesystem: refused",
        ),
    ] {
        let mut cluster = Cluster::new(&root(from));
        cluster.create_class("fast");
        cluster.create_class("slow");
        cluster.live();
        cluster.edit(&root(to));
        cluster.live();
        assert_eq!(pending(&cluster), [line]);
        is_applied(&cluster, "False", "ImmutableFieldChanged");
    }
}

#[test]
fn a_smaller_disk_is_refused_and_reported_with_the_configuration() {
    let mut cluster = Cluster::running(DISK);
    cluster.edit("disks: [{name: root, size: 10Gi}], cpu: 8");
    cluster.live();
    assert_eq!(
        pending(&cluster),
        [
            "spec.cpu: 2 -> 8: hot-plug",
            "spec.disks[root].size: 20Gi -> 10Gi: refused"
        ]
    );
    is_applied(&cluster, "False", "ShrinkRefused");
    cluster.edit(DISK);
    cluster.live();
    assert_eq!(pending(&cluster), [""; 0]);
    is_applied(&cluster, "True", "Applied");
}

#[test]
fn what_only_the_first_boot_heeds_stays_pending_over_restarts() {
    let mut cluster = Cluster::running(&format!("{DISK}, {LOGIN}, sshKeySecret: keys"));
    let edit = format!("{DISK}, {LOGIN}, sshKeySecret: others")
        .replace("/bin/sh", "/bin/zsh")
        .replace("hunter2", "hunter3");
    cluster.edit(&edit);
    // The Secret of the keys is in the template of the VM, so KubeVirt demands a restart, which does not bring the keys.
    for (reason, keys) in [
        ("RestartRequired", "needs restart"),
        ("FirstBootOnly", "first boot only"),
    ] {
        let expected = [
            &format!("spec.sshKeySecret: - -> others: {keys}"),
            "spec.cloudInitUser.password: - -> -: first boot only",
            "spec.cloudInitUser.shell: - -> /bin/zsh: first boot only",
        ];
        cluster.live();
        assert_eq!(pending(&cluster), expected);
        is_applied(&cluster, "False", reason);
        cluster.restart_operator();
        cluster.virtctl("restart");
    }
    // A boot disk that is created again boots for the first time.
    cluster.server.delete("DataVolume", "web.root");
    cluster.live();
    cluster.virtctl("restart");
    cluster.live();
    assert_eq!(pending(&cluster), [""; 0]);
    is_applied(&cluster, "True", "Applied");
}

#[test]
fn an_address_that_somebody_gave_the_guest_is_not_pending() {
    let lan = |address: &str| {
        format!(
            "{DISK}, networks: [{{name: lan, type: bridge, ipConfig: {{address: {address}/24}}}}]"
        )
    };
    let mut cluster = Cluster::running(&lan("10.0.0.5"));
    cluster.edit(&lan("10.0.0.6"));
    cluster.live();
    assert_eq!(
        pending(&cluster),
        ["spec.networks[lan].ipConfig: - -> 10.0.0.6/24: first boot only"]
    );
    let mut status = cluster.instance()["status"].clone();
    status["interfaces"][1]["ipAddress"] = json!("10.0.0.6");
    cluster
        .server
        .update_status("virt-handler", "VirtualMachineInstance", "web", status);
    cluster.settle();
    assert_eq!(pending(&cluster), [""; 0]);
}

#[test]
fn another_network_reaches_the_vm_when_its_pod_is_made_anew() {
    let edited = LAN.replace("10", "20");
    let line = ["spec.networks[lan]: - -> bridge br-lan, VLAN 20: needs restart"];
    for moved in [false, true] {
        let mut cluster = Cluster::running(LAN);
        cluster.edit(&edited);
        cluster.live();
        assert_eq!(pending(&cluster), line);
        is_applied(&cluster, "False", "RestartRequired");
        if moved {
            let mut status = cluster.instance()["status"].clone();
            status["nodeName"] = json!("node-2");
            cluster
                .server
                .update_status("virt-handler", "VirtualMachineInstance", "web", status);
        } else {
            cluster.virtctl("restart");
        }
        cluster.live();
        assert_eq!(pending(&cluster), [""; 0], "moved: {moved}");
    }
    // KubeVirt requires no restart; the approval counts all the same.
    let mut cluster = Cluster::running(LAN);
    cluster.edit(&format!("{edited}, restartApproval: Automatic"));
    cluster.live();
    assert_eq!(restarts(&mut cluster), 1);
    assert_eq!(pending(&cluster), [""; 0]);
}

#[test]
fn an_approved_restart_is_made_once_for_each_change() {
    let mut cluster = Cluster::running(&format!("{DISK}, restartApproval: Automatic"));
    for firmware in ["UEFI", "UEFISecureBoot", "UEFI"] {
        cluster.edit(&format!(
            "{DISK}, restartApproval: Automatic, firmware: {firmware}"
        ));
        cluster.live();
        assert_eq!(restarts(&mut cluster), 1, "{firmware}");
        is_applied(&cluster, "True", "Applied");
    }
    // Neither a KubeVirt that insists, nor an operator that forgets, makes it two.
    for _ in 0..3 {
        let status = json!({"printableStatus": "Running", "conditions": [
            {"type": "RestartRequired", "status": "True", "message": "a non-live-updatable field was changed"},
        ]});
        cluster
            .server
            .update_status("virt-controller", "VirtualMachine", "web", status);
        cluster.restart_operator();
        cluster.settle();
        is_applied(&cluster, "False", "RestartRequired");
        cluster.live();
    }
    assert_eq!(restarts(&mut cluster), 0);
}

/// KubeVirt creates the next instance from the first edit, and the operator observes it only after it has applied the second.
#[test]
fn an_edit_during_an_approved_restart_gets_a_restart_of_its_own() {
    let edited = |firmware| format!("{DISK}, restartApproval: Automatic, firmware: {firmware}");
    let mut cluster = Cluster::running(&edited("BIOS"));
    let first = cluster.instance()["metadata"]["uid"].clone();
    cluster.edit(&edited("UEFI"));
    cluster.settle();
    while cluster.instance().is_null() || cluster.instance()["metadata"]["uid"] == first {
        assert!(cluster.step());
        if cluster.instance()["metadata"]["uid"] == first {
            cluster.settle();
        }
    }
    cluster.edit(&edited("UEFISecureBoot"));
    cluster.live();
    assert_eq!(restarts(&mut cluster), 2);
    is_applied(&cluster, "True", "Applied");
    assert_eq!(pending(&cluster), [""; 0]);
}

#[test]
fn no_approval_restarts_for_what_a_restart_does_not_bring() {
    let base = format!("{DISK}, restartApproval: Automatic");
    let mut cluster = Cluster::running(&format!("{base}, {LOGIN}"));
    cluster.edit(&format!("{base}, {}", LOGIN.replace("/bin/sh", "/bin/zsh")));
    cluster.live();
    cluster.edit(&format!("{base}, userDataSecret: mine"));
    cluster.live();
    is_applied(&cluster, "False", "FirstBootOnly");
    assert_eq!(restarts(&mut cluster), 0);
}

/// KubeVirt changes the instance and leaves its pod as it is, which waits for ever.
#[test]
fn a_vm_that_never_found_its_node_is_restarted_without_asking_once_that_helps() {
    let mut cluster = Cluster::running(&format!("{DISK}, {NOWHERE}"));
    assert_eq!(cluster.instance()["status"]["phase"], "Scheduling");
    // A restart would not help.
    cluster.edit(&format!(
        "{DISK}, {NOWHERE}, terminationGracePeriodSeconds: 7"
    ));
    cluster.live();
    assert_eq!(restarts(&mut cluster), 0);
    cluster.restart_operator();
    cluster.edit(&format!("{DISK}, terminationGracePeriodSeconds: 7"));
    cluster.live();
    assert_eq!(restarts(&mut cluster), 1);
    assert!(cluster.status().blocker.is_none());
    assert_eq!(cluster.instance()["status"]["phase"], "Running");
    // From then on it is asked.
    cluster.edit(&format!("{DISK}, {NOWHERE}, firmware: UEFI"));
    cluster.live();
    assert_eq!(restarts(&mut cluster), 0);
}

/// KubeVirt creates the instance from the first spec, and the operator observes it only after it has applied the second.
#[test]
fn an_instance_of_an_earlier_spec_that_finds_no_node_is_restarted() {
    let mut cluster = Cluster::new(NOWHERE);
    cluster.settle();
    while cluster.instance().is_null() {
        assert!(cluster.step());
    }
    cluster.edit("firmware: UEFI");
    cluster.live();
    assert_eq!(restarts(&mut cluster), 1);
    assert_eq!(cluster.instance()["status"]["phase"], "Running");
}

/// Its pod waits for a network that is gone. Without that network in the spec, a restart lets it start.
#[test]
fn a_vm_that_waits_for_a_network_is_restarted_once_it_needs_none() {
    const NAD: &str = "NetworkAttachmentDefinition";
    let theirs = "networks: [{name: lan, type: bridge, nadName: theirs}]";
    let mut cluster = Cluster::new(theirs);
    cluster.server.create(
        "kubectl",
        json!({
            "apiVersion": "k8s.cni.cncf.io/v1", "kind": NAD,
            "metadata": {"name": "theirs", "namespace": "shop"}, "spec": {"config": "{}"},
        }),
    );
    cluster.settle();
    assert!(!cluster.vm().is_null());
    cluster.server.delete(NAD, "theirs");
    cluster.live();
    assert_eq!(cluster.instance()["status"]["phase"], "Scheduling");
    // A restart would not help.
    cluster.edit(&format!("cpu: 1, {theirs}"));
    cluster.live();
    assert_eq!(restarts(&mut cluster), 0);
    cluster.edit("cpu: 1");
    cluster.live();
    assert_eq!(restarts(&mut cluster), 1);
    assert_eq!(cluster.instance()["status"]["phase"], "Running");
    assert!(cluster.status().blocker.is_none());
}

#[test]
fn a_link_goes_down_and_up_under_the_running_guest() {
    let lan = |state: &str| format!("networks: [{{name: lan, type: bridge{state}}}]");
    let mut cluster = Cluster::running(&lan(""));
    let instance = cluster.instance()["metadata"]["uid"].clone();
    for (state, seen) in [
        (", linkState: Down", json!("down")),
        (", linkState: Up", json!("up")),
        (", linkState: Down", json!("down")),
        ("", json!(null)),
    ] {
        cluster.edit(&lan(state));
        cluster.live();
        let nics = &cluster.instance()["spec"]["domain"]["devices"]["interfaces"];
        assert_eq!(nics[1]["state"], seen);
        let status = cluster.status();
        assert!(
            status.pending_changes.is_empty(),
            "{:?}",
            status.pending_changes
        );
        assert_eq!(cluster.instance()["metadata"]["uid"], instance);
    }
}
