//! Power: whether the VM runs.

use serde_json::{Value, json};
use wukong_api::status::Phase;
use wukong_engine::{Call, Expect};

use crate::support::cluster::Cluster;

const DISK: &str = "disks: [{name: root, size: 20Gi}]";

fn strategy(cluster: &Cluster) -> Value {
    cluster.vm()["spec"]["runStrategy"].clone()
}

fn ready(cluster: &Cluster) -> (String, String) {
    let conditions = cluster.status().conditions;
    let ready = conditions
        .iter()
        .find(|condition| condition.type_ == "Ready")
        .unwrap();
    (ready.status.clone(), ready.reason.clone())
}

fn is_ready(cluster: &Cluster, reason: &str) {
    assert_eq!(
        ready(cluster),
        ("True".to_owned(), reason.to_owned()),
        "{:#?}",
        cluster.status()
    );
}

#[test]
fn who_stops_the_vm_by_hand_finds_it_stopped() {
    let mut cluster = Cluster::running(DISK);
    cluster.virtctl("stop");
    let decision = cluster.pass();
    let apply = decision
        .apply_vm
        .expect("the run strategy is ours to send, as it is now");
    assert_eq!(apply.body["spec"]["runStrategy"], "Halted");
    let version = match apply.expect {
        Expect::Present {
            resource_version, ..
        } => resource_version,
        other => panic!("{other:?}"),
    };
    assert!(version.is_some(), "the VM must not have changed since");
    cluster.live();
    let done = cluster.done();
    assert_eq!(
        done.iter()
            .filter(|done| *done == "apply VirtualMachine/web")
            .count(),
        1,
        "{done:#?}"
    );
    assert_eq!(strategy(&cluster), "Halted");
    let status = cluster.status();
    assert_eq!(status.phase, Some(Phase::Stopped));
    assert_eq!(status.blocker.unwrap().reason, "StoppedElsewhere");
    // Neither a restart of the operator nor an edit of another field starts it.
    cluster.restart_operator();
    cluster.edit(&format!("cpu: 4, {DISK}"));
    cluster.live();
    assert_eq!(strategy(&cluster), "Halted");
    // The user asks.
    cluster.edit(&format!("cpu: 4, powerState: Running, {DISK}"));
    cluster.live();
    assert_eq!(strategy(&cluster), "Always");
    is_ready(&cluster, "Ready");
}

/// KubeVirt starts a VM of these strategies only when it comes from another one: not if the guest is still stopping then.
#[test]
fn an_edit_while_the_guest_stops_starts_it_again() {
    for strategy_of_spec in ["RerunOnFailure", "Once"] {
        let mut cluster = Cluster::running(DISK);
        cluster.virtctl("stop");
        cluster.step();
        assert!(cluster.instance()["metadata"]["deletionTimestamp"].is_string());
        cluster.edit(&format!(
            "powerState: Running, startStrategy: {{runStrategy: {strategy_of_spec}}}, {DISK}"
        ));
        cluster.pass();
        assert_eq!(strategy(&cluster), "Halted", "the guest is stopping");
        cluster.live();
        assert_eq!(strategy(&cluster), strategy_of_spec);
        is_ready(&cluster, "Ready");
    }
}

/// Also when the guest ended before the operator observed it running, and KubeVirt has removed its instance since.
#[test]
fn a_guest_that_ended_has_run() {
    let mut cluster = Cluster::new("startStrategy: {runStrategy: RerunOnFailure}");
    while cluster
        .server
        .get("VirtualMachineInstance", "web")
        .is_none()
    {
        cluster.settle();
        cluster.step();
    }
    let ended = json!({"phase": "Succeeded", "nodeName": "worker-1"});
    let stopped = json!({"printableStatus": "Stopped"});
    let server = &mut cluster.server;
    server.update_status("virt-controller", "VirtualMachineInstance", "web", ended);
    server.update_status("virt-controller", "VirtualMachine", "web", stopped);
    cluster.settle();
    is_ready(&cluster, "Completed");
    cluster.server.delete("VirtualMachineInstance", "web");
    cluster.settle();
    is_ready(&cluster, "Completed");
}

#[test]
fn a_stop_between_observation_and_write_is_not_undone() {
    let mut cluster = Cluster::running(DISK);
    cluster.edit(&format!("cpu: 4, {DISK}"));
    cluster.observe();
    let decision = cluster.decide();
    cluster.virtctl("stop");
    cluster.execute(&decision);
    assert_eq!(strategy(&cluster), "Halted");
    cluster.live();
    assert_eq!(strategy(&cluster), "Halted");
    assert_eq!(
        cluster.vm()["spec"]["template"]["spec"]["domain"]["cpu"]["sockets"],
        4
    );
}

#[test]
fn a_power_state_that_changes_is_enforced() {
    let mut cluster = Cluster::running(DISK);
    for (fields, expected, reason) in [
        ("powerState: Stopped, ", "Halted", "Halted"),
        ("powerState: Running, ", "Always", "Ready"),
        ("startStrategy: {autoStart: false}, ", "Halted", "Halted"),
        (
            "startStrategy: {autoStart: false}, powerState: Running, ",
            "Always",
            "Ready",
        ),
        ("startStrategy: {runStrategy: Once}, ", "Once", "Ready"),
        (
            "highAvailability: {restartPolicy: OnFailure}, ",
            "RerunOnFailure",
            "Ready",
        ),
        ("", "Always", "Ready"),
    ] {
        cluster.edit(&format!("{fields}{DISK}"));
        cluster.live();
        assert_eq!(strategy(&cluster), expected, "{fields}");
        is_ready(&cluster, reason);
    }
}

/// What `kubectl wukong start` does to a VM that was stopped by hand and has no power state in its manifest yet.
#[test]
fn asking_for_what_is_the_default_is_asking() {
    let mut cluster = Cluster::running(DISK);
    cluster.virtctl("stop");
    cluster.live();
    cluster.edit(&format!("powerState: Running, {DISK}"));
    cluster.live();
    assert_eq!(strategy(&cluster), "Always");
}

#[test]
fn a_pause_is_carried_out_once() {
    let mut cluster = Cluster::running(DISK);
    cluster.edit(&format!("powerState: Paused, {DISK}"));
    cluster.live();
    assert_eq!(
        cluster.done(),
        [
            "apply VirtualMachine/web",
            "call pause",
            "apply VirtualMachine/web",
            "write status"
        ],
        "noted as pending, called, noted as done"
    );
    is_ready(&cluster, "Paused");
    assert_eq!(cluster.status().phase, Some(Phase::Paused));
    // A user unpauses it by hand.
    cluster.virtctl("unpause");
    cluster.live();
    assert!(!cluster.done().contains(&"call pause".to_owned()));
    // And pauses it again, until the spec changes.
    cluster.virtctl("pause");
    cluster.edit(&format!("powerState: Running, {DISK}"));
    cluster.live();
    is_ready(&cluster, "Ready");
}

#[test]
fn a_vm_that_is_created_paused_runs_first() {
    let mut cluster = Cluster::running(&format!("powerState: Paused, {DISK}"));
    assert_eq!(strategy(&cluster), "Always");
    is_ready(&cluster, "Paused");
    cluster.restart_operator();
    cluster.live();
    assert_eq!(cluster.done(), [""; 0]);
}

/// The spec changes back after the call was made and before its effect shows.
#[test]
fn a_pause_that_is_taken_back_does_not_stay() {
    let mut cluster = Cluster::running(DISK);
    cluster.edit(&format!("powerState: Paused, {DISK}"));
    while cluster.pass().calls != [Call::Pause] {}
    cluster.edit(DISK);
    cluster.live();
    is_ready(&cluster, "Ready");
    let conditions = cluster.instance()["status"]["conditions"].clone();
    let mut conditions = conditions.as_array().unwrap().iter();
    assert!(
        conditions.all(|condition| condition["type"] != "Paused"),
        "not paused"
    );
}

#[test]
fn somebody_who_pauses_by_hand_is_named_and_left_alone() {
    let mut cluster = Cluster::running(DISK);
    cluster.virtctl("pause");
    cluster.live();
    assert_eq!(cluster.done(), ["write status"]);
    assert_eq!(cluster.status().blocker.unwrap().reason, "Paused");
}

#[test]
fn a_manual_vm_is_started_exactly_once() {
    let manual = format!("startStrategy: {{runStrategy: Manual}}, {DISK}");
    let mut cluster = Cluster::new(&manual);
    cluster.live();
    let starts = |cluster: &mut Cluster| {
        cluster
            .done()
            .iter()
            .filter(|done| *done == "call start")
            .count()
    };
    assert_eq!(starts(&mut cluster), 1);
    is_ready(&cluster, "Ready");
    // It shuts down, and stays so, whatever else happens.
    cluster.server.delete("VirtualMachineInstance", "web");
    cluster.live();
    is_ready(&cluster, "Halted");
    cluster.restart_operator();
    cluster.edit(&format!("cpu: 4, {manual}"));
    cluster.live();
    assert_eq!(starts(&mut cluster), 0);
    is_ready(&cluster, "Halted");
}

#[test]
fn a_call_is_not_repeated_while_its_effect_may_still_show() {
    let mut cluster = Cluster::new("startStrategy: {runStrategy: Manual}");
    while cluster.pass().calls != [Call::Start] {
        cluster.step();
    }
    // The watch is late.
    cluster.unobserved.insert("VirtualMachine");
    let decision = cluster.pass();
    assert_eq!(decision.calls, []);
    let again = decision.wake_at.unwrap();
    cluster.now = again;
    assert_eq!(cluster.pass().calls, [Call::Start]);
}

#[test]
fn a_manual_vm_without_auto_start_waits_for_a_hand() {
    let mut cluster = Cluster::new(&format!(
        "startStrategy: {{runStrategy: Manual, autoStart: false}}, {DISK}"
    ));
    cluster.live();
    assert!(!cluster.done().contains(&"call start".to_owned()));
    is_ready(&cluster, "Halted");
}

#[test]
fn a_change_that_needs_a_restart_waits_for_approval() {
    let mut cluster = Cluster::running(DISK);
    cluster.edit(&format!("firmware: UEFI, {DISK}"));
    cluster.live();
    assert!(!cluster.done().contains(&"call restart".to_owned()));
    let conditions = cluster.status().conditions;
    let applied = conditions
        .iter()
        .find(|condition| condition.type_ == "ConfigurationApplied")
        .unwrap();
    assert_eq!(
        (applied.status.as_str(), applied.reason.as_str()),
        ("False", "RestartRequired")
    );
    is_ready(&cluster, "Ready");
    cluster.edit(&format!(
        "firmware: UEFI, restartApproval: Automatic, {DISK}"
    ));
    cluster.live();
    assert_eq!(
        cluster
            .done()
            .iter()
            .filter(|done| *done == "call restart")
            .count(),
        1
    );
    let booted = &cluster.instance()["spec"]["domain"]["firmware"];
    assert_eq!(booted["bootloader"], json!({"efi": {"secureBoot": false}}));
}
