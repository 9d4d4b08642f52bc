//! Every reason, and a cluster that has it. A reason that no cluster has must not exist.

use std::fmt::Write;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::json;
use strum::IntoEnumIterator;
use wukong_api::status::Phase;
use wukong_api::{ConditionType, Reason, WukongStatus};
use wukong_engine::{FailureKind, Presence};

use crate::node_networks;
use crate::states::{
    IMAGE, WithoutInstance, all, changed, deleted, edited, hidden, importing, instance, migratable,
    refused, running_with, status_of, unschedulable, waiting_with, without,
};
use crate::support::api_server::NAMESPACE;
use crate::support::cluster::Cluster;
use crate::support::environment;
use crate::support::simulator::DEFAULT_CLASS;

const LAN: &str = "networks: [{name: lan, type: bridge, ipConfig: {address: 10.0.0.5/24}}]";

/// A cluster in which a decision has this reason.
fn cluster_with(reason: Reason) -> Option<Cluster> {
    use Reason as R;
    Some(match reason {
        // No problem.
        R::Valid | R::Resolved | R::Bound | R::Created | R::Scheduled | R::Running | R::AgentConnected | R::Applied
        | R::Ready => Cluster::running(IMAGE),
        R::Configured => Cluster::running("networks: [{name: lan, type: bridge}]"),

        // The spec, and the referenced objects.
        R::InvalidSpec => Cluster::new("memory: '4', disks: [{name: root, size: 1.5.2Gi}]"),
        R::ImmutableFieldChanged => edited(IMAGE, &IMAGE.replace("20Gi", "10Gi")),
        R::NameConflict => {
            let mut cluster = Cluster::new(IMAGE);
            let theirs = json!({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "metadata": {"name": "web", "namespace": NAMESPACE}});
            cluster.server.create("kubectl", theirs);
            cluster
        }
        R::StorageClassNotFound => Cluster::new("disks: [{name: root, size: 1Gi, storageClassName: fast}]"),
        R::NoDefaultStorageClass => {
            let mut cluster = Cluster::new("disks: [{name: root, size: 1Gi}]");
            cluster.server.update("kubectl", "StorageClass", DEFAULT_CLASS, |class| class["metadata"]["annotations"] = json!({}));
            cluster
        }
        R::NADNotFound => Cluster::new("networks: [{name: lan, type: bridge, nadName: shared}]"),
        R::SourceNotFound => Cluster::new("disks: [{name: root, size: 1Gi, source: {snapshot: {name: golden}}}]"),

        // Networks.
        R::DegradedToPodNetwork => without("NetworkAttachmentDefinition", LAN),
        R::MultusNotInstalled => without("NetworkAttachmentDefinition", &LAN.replace("}}]", "}, onMissingMultus: Block}]")),
        R::MACConflict | R::IPConflict => {
            let nic = match reason {
                R::MACConflict => "macAddress: '02:00:00:00:00:01'",
                _ => "ipConfig: {address: 10.0.0.5/24}",
            };
            let fields = format!("networks: [{{name: lan, type: bridge, {nic}}}]");
            let mut cluster = Cluster::new(&fields);
            cluster.server.create("kubectl", json!({
                "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong",
                "metadata": {"name": "db", "namespace": "elsewhere", "uid": "db", "creationTimestamp": "2024-01-01T00:00:00Z"},
                "spec": crate::support::manifests::spec(&fields),
            }));
            cluster
        }
        R::ApplyConflict => {
            let definition = wukong_api::names::network_attachment_definition("web", "lan");
            let target = format!("NetworkAttachmentDefinition/{definition}");
            refused(LAN, &target, FailureKind::Denied, "VLANs are not for this namespace")
        }

        // Disks.
        R::Pending => Cluster::new(IMAGE),
        R::Importing => importing("ImportInProgress", &[("Running", "True", "Pod is running", "")], json!({"progress": "42.0%"})),
        R::ImportFailed => importing(
            "ImportInProgress",
            &[("Running", "False", "Error", "Unable to connect to http data source: Get \"https://images.lan/x.qcow2\": dial tcp: lookup images.lan: no such host")],
            json!({"restartCount": 3}),
        ),
        R::ImagePullFailed => importing(
            "ImportScheduled",
            &[("Running", "False", "ImagePullFailed", "failed to pull image: quay.io/kubevirt/cdi-importer:v1.66.0")],
            json!({}),
        ),
        R::QuotaExceeded => importing(
            "Pending",
            &[("Bound", "False", "ErrExceededQuota", "persistentvolumeclaims \"web.root\" is forbidden: exceeded quota: storage, requested: requests.storage=21Gi, used: requests.storage=0, limited: requests.storage=20Gi")],
            json!({}),
        ),
        R::ClaimLost => changed(IMAGE, "PersistentVolumeClaim", "web.root", json!({"phase": "Lost"})),
        R::Resizing => {
            let mut cluster = edited(IMAGE, &IMAGE.replace("20Gi", "30Gi"));
            cluster.settle();
            cluster
        }
        R::ResizeRefused => {
            let mut cluster = edited(IMAGE, &IMAGE.replace("20Gi", "30Gi"));
            cluster.server.update("kubectl", "StorageClass", DEFAULT_CLASS, |class| class["allowVolumeExpansion"] = json!(false));
            cluster
        }
        R::WaitingForFirstConsumer => importing("PendingPopulation", &[("Bound", "False", "Pending", "PVC web.root Pending")], json!({})),
        R::CDINotInstalled => without("DataVolume", IMAGE),

        // The VirtualMachine.
        R::KubeVirtNotInstalled => without("VirtualMachine", "cpu: 1"),
        R::Creating => {
            let mut cluster = Cluster::new(IMAGE);
            cluster.settle();
            cluster
        }
        R::ApplyFailed => refused("cpu: 1", "VirtualMachine/web", FailureKind::Transient, "the server did not answer within 10 seconds"),
        R::AdmissionDenied => refused(
            "cpu: 1", "VirtualMachine/web", FailureKind::Denied,
            "admission webhook \"virtualmachine-validator.kubevirt.io\" denied the request: spec.template.spec.domain.machine.type is not supported: pc",
        ),
        R::FieldManagerConflict => {
            let mut cluster = Cluster::running("cpu: 1");
            cluster.server.update("virt-api", "VirtualMachine", "web", |vm| {
                let disks = &mut vm["spec"]["template"]["spec"]["domain"]["devices"]["disks"];
                disks.as_array_mut().unwrap().push(json!({"name": "hot", "disk": {"bus": "scsi"}}));
            });
            cluster
        }
        R::NotObserved => hidden(Presence::Unknown),
        R::NotPermitted => hidden(Presence::Forbidden),

        // Its node.
        R::Scheduling => instance("Scheduling", "Starting", &[]),
        R::InsufficientDevices => unschedulable("0/1 nodes are available: 1 Insufficient devices.kubevirt.io/kvm, 1 Insufficient devices.kubevirt.io/tun, 1 Insufficient devices.kubevirt.io/vhost-net. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."),
        R::InsufficientMemory => unschedulable("0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient memory."),
        R::InsufficientCPU => unschedulable("0/2 nodes are available: 2 Insufficient cpu."),
        R::NodeSelectorMismatch => unschedulable("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."),
        R::UntoleratedTaint => unschedulable("0/2 nodes are available: 2 node(s) had untolerated taint(s)."),
        R::VolumeNodeAffinity => unschedulable("0/2 nodes are available: 2 node(s) had volume node affinity conflict."),
        R::Unschedulable => unschedulable("no nodes available to schedule pods"),
        R::PodNotStarted => instance("Pending", "Starting", &[("Synchronized", "False", "FailedCreate", "failed to render launch manifest: couldn't find configuration for network binding: macvtap")]),

        // Its guest.
        R::Starting => instance("Scheduled", "Starting", &[]),
        R::Stopping => instance("Running", "Stopping", &[]),
        R::CrashLoop => changed("cpu: 1", "VirtualMachine", "web", json!({"printableStatus": "CrashLoopBackOff", "startFailure": {"consecutiveFailCount": 4}})).without_instance(),
        R::Paused => {
            let mut cluster = Cluster::running("cpu: 1");
            cluster.virtctl("pause");
            cluster
        }
        R::Halted => Cluster::running("powerState: Stopped"),
        R::StoppedElsewhere => {
            let mut cluster = Cluster::running("cpu: 1");
            cluster.virtctl("stop");
            cluster.live();
            cluster
        }
        R::Completed => changed("startStrategy: {runStrategy: Once}", "VirtualMachine", "web", json!({"printableStatus": "Stopped"})).without_instance(),
        R::InternalError => changed(
            "cpu: 1", "VirtualMachine", "web",
            json!({"printableStatus": "Stopped", "conditions": [{"type": "Failure", "status": "True", "reason": "FailedCreate",
                   "message": "error creating VMI: admission webhook denied the request: label value too long"}]}),
        ).without_instance(),
        R::Migrating => changed("cpu: 1", "VirtualMachineInstance", "web", json!({"phase": "Running", "nodeName": "worker-1",
            "migrationState": {"startTimestamp": "2025-11-22T12:00:00Z", "targetNode": "node-2"}})),
        R::AgentNotReady => changed("cpu: 1", "VirtualMachineInstance", "web", json!({"phase": "Running", "nodeName": "worker-1"})),
        R::AgentVersionNotSupported => changed("cpu: 1", "VirtualMachineInstance", "web", json!({"phase": "Running", "conditions": [
            {"type": "AgentConnected", "status": "True"},
            {"type": "AgentVersionNotSupported", "status": "True", "message": "This guest agent doesn't support required public key commands"}]})),
        R::AddressMismatch => changed(LAN, "VirtualMachineInstance", "web", json!({"phase": "Running",
            "interfaces": [{"name": "lan", "ipAddress": "10.0.0.77", "ipAddresses": ["10.0.0.77", "fe80::1"]}],
            "conditions": [{"type": "AgentConnected", "status": "True"}]})),
        R::RestartRequired => {
            let mut cluster = edited("cpu: 1", "firmware: UEFI");
            cluster.live();
            cluster
        }
        R::UnsupportedCombination => Cluster::running("startStrategy: {runStrategy: Once, autoStart: false}"),
        R::PolicyViolation => Cluster::new("disks: [{name: root, size: 20Gi, image: 'http://169.254.169.254/latest'}]"),
        R::ShrinkRefused => {
            let mut cluster = edited(IMAGE, &IMAGE.replace("20Gi", "10Gi"));
            cluster.settle();
            cluster
        }
        R::PowerOffRequired => {
            let mut cluster = edited(IMAGE, &IMAGE.replace("20Gi", "30Gi"));
            cluster.settle();
            let status = json!({"phase": "Bound", "capacity": {"storage": "20Gi"}, "conditions": [{
                "type": "ControllerResizeError", "status": "True", "reason": "",
                "message": "resize volume \"pvc-1\" failed: rpc error: code = FailedPrecondition desc = volume is published to a node",
            }]});
            cluster.server.update_status("external-resizer", "PersistentVolumeClaim", "web.root", status);
            cluster
        }
        R::MigrationRequired => {
            let mut cluster = edited("cpu: 1", "cpu: 2");
            cluster.settle();
            cluster
        }
        R::PluggingDevices => {
            let mut cluster = edited(IMAGE, &IMAGE.replace(']', ", {name: data, size: 1Gi}]"))
                .within(&environment::Cluster::healthy());
            cluster.settle();
            cluster
        }
        R::FirstBootOnly => {
            let login = |shell: &str| format!("{IMAGE}, cloudInitUser: {{name: me, shell: {shell}}}");
            let mut cluster = edited(&login("/bin/sh"), &login("/bin/zsh"));
            cluster.live();
            cluster
        }
        R::Deleting => {
            let mut cluster = Cluster::running("cpu: 1");
            cluster.server.update("kubectl", "Wukong", "web", |wukong| wukong["metadata"]["finalizers"] = json!(["foregroundDeletion"]));
            cluster.server.delete("Wukong", "web");
            cluster
        }
        R::WaitingForVM => cluster_with(R::Deleting)?,
        R::WaitingForDisk => deleted(IMAGE),
        R::DisksRetained => deleted("disks: [{name: data, size: 1Gi}]"),

        // What comes before the first boot.
        R::SnapshotNotReady => {
            let mut cluster = Cluster::new("disks: [{name: root, size: 1Gi, source: {snapshot: {name: golden}}}]");
            cluster.server.create("kubectl", json!({
                "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot",
                "metadata": {"name": "golden", "namespace": NAMESPACE}, "status": {"readyToUse": false},
            }));
            cluster
        }
        R::EmulationOnly => Cluster::running("cpu: 1").within(&environment::Cluster::healthy().emulating()),
        R::CRDOutdated => {
            let mut cluster = Cluster::running(IMAGE);
            let wanted = cluster.status();
            let mut kept = wanted.clone();
            kept.first_boot = None;
            kept.volumes[0].requested = None;
            cluster.memory.status_cut = Some((wanted, kept).into());
            cluster
        }
        R::SecretNotFound => waiting_with("FailedMount", "MountVolume.SetUp failed for volume \"cloudinitdisk-udata\" : secret \"mine\" not found"),
        R::InvalidUserData => changed("userDataSecret: mine", "VirtualMachineInstance", "web", json!({"phase": "Scheduled", "nodeName": "worker-1",
            "conditions": all(&[("Synchronized", "False", "Synchronizing with the Domain failed.",
                "server error. command SyncVMI failed: \"ReadCloudInitVolumeDataSource failed: no cloud-init data-source found at volume: cloudinit\"")])})),
        R::PlainTextPassword => Cluster::new("cloudInitUser: {name: me, password: hello}"),
        R::NotManaged => Cluster::running(node_networks::OVER_ETH1),
        R::Applying => node_networks::applying(),

        // KubeVirt's conditions about a migration.
        R::Migratable => migratable("True", ""),
        R::DisksNotShared => migratable("False", "DisksNotLiveMigratable"),
        R::PodNetworkBridge => migratable("False", "InterfaceNotLiveMigratable"),
        R::HostDevices => migratable("False", "HostDeviceNotLiveMigratable"),
        R::NotMigratable => migratable("False", "SEVNotLiveMigratable"),

        // Missing objects, ends, and states that wait for another program.
        R::NodeLost => Cluster::running(IMAGE).within(&environment::Cluster::healthy().change("Node", "worker-1", |node| {
            node["status"]["conditions"] = json!([{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status."}]);
        })),
        R::PodTerminating => running_with(json!({"conditions": all(&[("Ready", "False", "PodTerminating", "virt-launcher pod is terminating")])})),
        R::NotReady => running_with(json!({"conditions": all(&[("Ready", "False", "PodConditionMissing", "the pod of the guest is not ready")])})),
        R::DiskNotAttached => running_with(json!({"volumeStatus": [
            {"name": "root", "phase": "AttachedToNode", "hotplugVolume": {"attachPodName": "hp-volume-x"}}]})),
        R::MigrationFailed => running_with(json!({"migrationState": {"failed": true, "failureReason": "target pod is down"}})),
        R::NamespaceTerminating => refused("cpu: 1", "VirtualMachine/web", FailureKind::Denied,
            "virtualmachines.kubevirt.io \"web\" is forbidden: unable to create new content in namespace default because it is being terminated"),
        R::AwaitingFinalizer => {
            let mut cluster = Cluster::running(IMAGE);
            for (kind, finalizer) in [
                ("Wukong", "foregroundDeletion"),
                ("VirtualMachine", "backup.example.org/protect"),
            ] {
                cluster.server.update("backup", kind, "web", |object| {
                    object["metadata"]["finalizers"] = json!([finalizer]);
                });
                cluster.server.delete(kind, "web");
            }
            cluster.remove_instance();
            cluster
        }
        R::OperationInProgress => {
            let mut cluster = Cluster::running(IMAGE);
            let mut status = cluster.vm()["status"].clone();
            status["snapshotInProgress"] = json!("before-upgrade");
            cluster.server.update_status("virt-controller", "VirtualMachine", "web", status);
            cluster
        }
        R::Snapshottable | R::NoSnapshotClass => {
            let mut cluster = Cluster::running(IMAGE);
            let mut status = cluster.vm()["status"].clone();
            status["volumeSnapshotStatuses"] = json!([{"name": "root", "enabled": reason == R::Snapshottable,
                "reason": "No VolumeSnapshotClass: Volume snapshots are not configured for this StorageClass [local] [root]"}]);
            cluster.server.update_status("virt-controller", "VirtualMachine", "web", status);
            cluster
        }
        // Reasons of snapshots, schedules and restores: see their tests.
        R::SnapshotIncomplete | R::VMRunning | R::ScheduleActive | R::ScheduleSuspended | R::TooManyFailures
        | R::RunSucceeded | R::RunFailed | R::SlotSkipped => return None,
        // Only a reader that is not the operator gives it.
        R::OperatorNotReady | R::OperationFailed | R::MigrationPending => return None,

        // What the rules about the environment say: see the tests of those.
        R::Available | R::KubeVirtNotAvailable | R::PlacementTooNarrow | R::VirtHandlerNotReady
        | R::NoVirtualizationDevices | R::DevicePluginUnhealthy | R::FeatureGateDisabled | R::BindingNotRegistered
        | R::CDINotAvailable | R::MultusUnhealthy | R::NMStateNotInstalled | R::BridgeMissingOnNodes
        | R::Degraded | R::WouldIsolateNode
        | R::ProvisionerNotReady | R::StorageProfileIncomplete | R::SingleNode => return None,
    })
}

/// Reasons that only snapshots, schedules and restores have: see `snapshots.rs`, `schedules.rs` and `restores.rs`.
const OF_PROTECTION: [Reason; 8] = [
    Reason::SnapshotIncomplete,
    Reason::VMRunning,
    Reason::ScheduleActive,
    Reason::ScheduleSuspended,
    Reason::TooManyFailures,
    Reason::RunSucceeded,
    Reason::RunFailed,
    Reason::SlotSkipped,
];

/// Reasons that only a reader of the whole cluster gives: see `environment/reasons.rs` and `cases/surroundings`.
const OF_A_READER: [Reason; 3] = [
    Reason::MigrationPending,
    Reason::OperationFailed,
    Reason::OperatorNotReady,
];

/// Every reason is reached: here, or by the tests of the rules about the cluster.
#[test]
fn no_reason_is_reached_nowhere() {
    for reason in Reason::iter() {
        let elsewhere = environment::OF_THE_CLUSTER.contains(&reason)
            || OF_A_READER.contains(&reason)
            || OF_PROTECTION.contains(&reason);
        assert!(elsewhere || cluster_with(reason).is_some(), "{reason}");
    }
}

/// Every reason that decisions give, with its cluster.
fn clusters() -> impl Iterator<Item = (Reason, Cluster)> {
    Reason::iter().filter_map(|reason| Some((reason, cluster_with(reason)?)))
}

#[test]
fn every_reason_is_reached_and_says_what_to_do() {
    let mut text = String::new();
    for (reason, cluster) in clusters() {
        let status = status_of(cluster);
        let condition = status
            .conditions
            .iter()
            .find(|condition| condition.reason == reason.as_ref())
            .unwrap_or_else(|| panic!("{reason} is not said: {status:#?}"));
        let phase = status.phase.unwrap();
        writeln!(
            text,
            "{reason}\n  {}={} in phase {phase}\n  {}",
            condition.type_, condition.status, condition.message
        )
        .unwrap();
        match &status.blocker {
            Some(blocker) if blocker.reason == reason.as_ref() => {
                writeln!(
                    text,
                    "  blocks; about {}; do: {}",
                    blocker.object.as_deref().unwrap_or("-"),
                    blocker.hint.as_deref().unwrap_or("-")
                )
                .unwrap();
            }
            Some(blocker) => writeln!(
                text,
                "  blocked by {} ({})",
                blocker.reason, blocker.message
            )
            .unwrap(),
            None => writeln!(text, "  Ready={}", status.conditions.last().unwrap().status).unwrap(),
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn every_status_keeps_the_rules() {
    for (_, mut cluster) in clusters() {
        cluster.observe();
        let decision = cluster.decide();
        keeps_the_rules(&decision.status);
        assert_eq!(
            decision,
            cluster.decide(),
            "the same input gives the same decision"
        );
    }
}

/// The rules of status: one blocker, causal order, bounded messages on one line.
pub fn keeps_the_rules(status: &WukongStatus) {
    let types: Vec<ConditionType> = status
        .conditions
        .iter()
        .map(|condition| condition.type_.parse().unwrap())
        .collect();
    assert!(types.is_sorted_by(|a, b| a < b), "{types:?}");
    let ready = status.conditions.last().unwrap();
    assert_eq!(ready.type_, "Ready");
    match &status.blocker {
        Some(blocker) => {
            for command in blocker
                .hint
                .iter()
                .flat_map(|hint| hint.split("kubectl wukong ").skip(1))
            {
                let of_the_cluster = command.starts_with("preflight");
                assert!(of_the_cluster || command.contains(" -n "), "{blocker:?}");
            }
            assert_eq!(
                (&blocker.reason, &blocker.message),
                (&ready.reason, &ready.message)
            );
            assert_ne!(ready.status, "True");
            assert!(
                status.phase != Some(Phase::Error) || blocker.hint.is_some(),
                "{blocker:?}"
            );
            let first = status
                .conditions
                .iter()
                .find(|condition| condition.type_ == blocker.condition)
                .unwrap();
            assert_eq!(
                (&first.reason, &first.status),
                (&ready.reason, &ready.status)
            );
        }
        None => assert!(
            ready.status == "True" || ready.reason == "Deleting",
            "{ready:?}"
        ),
    }
    for condition in &status.conditions {
        let Condition {
            message, reason, ..
        } = condition;
        assert!(!message.is_empty() && message.len() <= 1024, "{message}");
        assert!(!message.chars().any(char::is_control), "{message:?}");
        assert!(reason.parse::<Reason>().is_ok());
    }
}

/// Between a failing disk and a node that is missing, the disk is why.
#[test]
fn the_first_cause_is_named() {
    let mut cluster = importing(
        "ImportInProgress",
        &[("Running", "True", "Pod is running", "")],
        json!({}),
    );
    cluster
        .refusals
        .insert("VirtualMachine/web".into(), (FailureKind::Denied, "no"));
    cluster.settle();
    assert_eq!(cluster.status().blocker.unwrap().reason, "Importing");
}
