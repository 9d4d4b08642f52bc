//! Reports of KubeVirt and CDI that are false or outdated.

use serde_json::json;
use wukong_api::{ConditionType, WukongStatus};

use crate::states::{
    IMAGE, WithoutInstance, all, changed, import_status, importing, status_of, unschedulable,
};
use crate::support::cluster::Cluster;

fn reason_of(status: &WukongStatus, type_: ConditionType) -> Option<&str> {
    let condition = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == type_.as_ref())?;
    Some(&condition.reason)
}

/// A VM that was made before its claims shows `ErrorUnschedulable` through the whole import.
#[test]
fn a_claim_that_was_missing_is_no_lack_of_nodes() {
    let mut cluster = Cluster::running(IMAGE);
    let volume = import_status("ImportInProgress", false, "Pod is running");
    cluster
        .server
        .update_status("cdi-controller", "DataVolume", "web.root", volume);
    let missing = "PVC shop/web.root does not exist, waiting for it to appear";
    for (printable, synchronized) in [("ErrorPvcNotFound", true), ("ErrorUnschedulable", false)] {
        cluster.server.update_status(
            "virt-controller",
            "VirtualMachine",
            "web",
            json!({"printableStatus": printable}),
        );
        let mut conditions = vec![("PodScheduled", "False", "Unschedulable", missing)];
        if synchronized {
            conditions.push(("Synchronized", "False", "FailedPvcNotFound", missing));
        }
        let status = json!({"phase": "Pending", "conditions": all(&conditions)});
        cluster
            .server
            .update_status("virt-controller", "VirtualMachineInstance", "web", status);
        let status = status_of(cluster.clone());
        assert_eq!(
            reason_of(&status, ConditionType::Scheduled),
            Some("Scheduling"),
            "{printable}"
        );
        assert_eq!(status.blocker.unwrap().reason, "Importing", "{printable}");
    }
}

#[test]
fn an_unbound_claim_is_a_matter_of_storage() {
    let mut cluster = unschedulable(
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
    );
    cluster.edit("cpu: 1");
    assert_eq!(
        status_of(cluster).blocker.unwrap().reason,
        "ProvisionerNotReady"
    );
}

/// After a stop the VM keeps the condition of the pod that it no longer has.
#[test]
fn a_stopped_vm_is_not_unschedulable() {
    let cluster = changed(
        "powerState: Stopped",
        "VirtualMachine",
        "web",
        json!({"printableStatus": "Stopped",
        "conditions": all(&[("PodScheduled", "False", "Unschedulable", "0/1 nodes are available: 1 Insufficient memory.")])}),
    );
    let status = status_of(cluster);
    assert_eq!(reason_of(&status, ConditionType::Scheduled), None);
    assert_eq!(status.blocker, None);
}

/// KubeVirt shows the state of the disks on a VM that no one starts.
#[test]
fn a_halted_vm_is_halted_whatever_its_disks_do() {
    for printable in [
        "Provisioning",
        "DataVolumeError",
        "WaitingForVolumeBinding",
        "Stopped",
    ] {
        let cluster = changed(
            "powerState: Stopped",
            "VirtualMachine",
            "web",
            json!({"printableStatus": printable}),
        );
        assert_eq!(
            reason_of(&status_of(cluster), ConditionType::Running),
            Some("Halted"),
            "{printable}"
        );
    }
}

/// An import on a CSI class shows an unbound claim to its end, and harmless conflicts of its own.
#[test]
fn an_unbound_claim_is_no_failed_import() {
    for bound in [
        "PVC web.root Pending",
        "target PVC web.root Pending and [prime-1] : Error saving claim: Operation cannot be fulfilled on persistentvolumeclaims \"prime-1\": the object has been modified",
    ] {
        let conditions = [
            ("Bound", "False", "Pending", bound),
            ("Ready", "False", "TransferRunning", ""),
            ("Running", "True", "Pod is running", ""),
        ];
        let status = status_of(importing(
            "ImportInProgress",
            &conditions,
            json!({"progress": "10.0%"}),
        ));
        assert_eq!(status.blocker.unwrap().reason, "Importing", "{bound}");
    }
}

/// After success CDI still says `Succeeded`.
#[test]
fn a_lost_claim_is_lost_although_its_import_succeeded() {
    let status = status_of(changed(
        IMAGE,
        "PersistentVolumeClaim",
        "web.root",
        json!({"phase": "Lost"}),
    ));
    assert_eq!(status.blocker.unwrap().reason, "ClaimLost");
    assert_eq!(status.volumes[0].phase.as_deref(), Some("Succeeded"));
}

/// KubeVirt's own start of a VM with the strategy `Always` after its guest ended.
#[test]
fn a_guest_that_is_started_again_is_starting() {
    let cluster = changed(
        "cpu: 1",
        "VirtualMachine",
        "web",
        json!({"printableStatus": "Stopped"}),
    )
    .without_instance();
    assert_eq!(
        reason_of(&status_of(cluster), ConditionType::Running),
        Some("Starting")
    );
}

/// A restarted importer that makes progress is no failed import; one that only runs again still is.
#[test]
fn an_import_that_goes_on_after_a_restart_is_no_failure() {
    for (progress, reason) in [("90.0%", "Importing"), ("N/A", "ImportFailed")] {
        let status = status_of(importing(
            "ImportInProgress",
            &[("Running", "True", "Pod is running", "")],
            json!({"progress": progress, "restartCount": 2}),
        ));
        assert_eq!(status.blocker.unwrap().reason, reason, "{progress}");
    }
}

/// A VM of these strategies is "Stopped" also before KubeVirt makes its first instance.
#[test]
fn a_vm_that_never_ran_did_not_end() {
    for strategy in ["RerunOnFailure", "Once"] {
        let mut cluster = Cluster::new(&format!("startStrategy: {{runStrategy: {strategy}}}"));
        cluster.settle();
        cluster.server.update_status(
            "virt-controller",
            "VirtualMachine",
            "web",
            json!({"printableStatus": "Stopped"}),
        );
        let status = status_of(cluster);
        assert_eq!(
            reason_of(&status, ConditionType::Running),
            Some("Starting"),
            "{strategy}"
        );
        assert_eq!(
            reason_of(&status, ConditionType::Ready),
            Some("Starting"),
            "{strategy}"
        );
    }
}

/// KubeVirt reports `CrashLoopBackOff` only between two attempts; during an attempt, it reports the same as for any start.
#[test]
fn a_guest_that_fails_again_and_again_does_so_during_an_attempt_too() {
    let looping = |phase: Option<&str>, printable: &str| {
        let status =
            json!({"printableStatus": printable, "startFailure": {"consecutiveFailCount": 4}});
        let mut cluster = changed("cpu: 1", "VirtualMachine", "web", status);
        match phase {
            Some(phase) => {
                let instance = json!({"phase": phase});
                cluster.server.update_status(
                    "virt-handler",
                    "VirtualMachineInstance",
                    "web",
                    instance,
                );
            }
            None => cluster = cluster.without_instance(),
        }
        status_of(cluster).blocker.map(|blocker| blocker.reason)
    };
    let crash_loop = Some("CrashLoop".to_owned());
    assert_eq!(looping(None, "CrashLoopBackOff"), crash_loop);
    assert_eq!(looping(None, "Stopped"), crash_loop);
    for phase in ["Pending", "Scheduling", "Scheduled", "Failed"] {
        assert_eq!(looping(Some(phase), "Starting"), crash_loop, "{phase}");
    }
    assert_eq!(looping(Some("Running"), "Running"), None);
}
