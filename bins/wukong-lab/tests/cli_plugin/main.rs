//! `kubectl wukong` against a cluster: what it says is what the operator says, and what it asks for happens.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod guest;
#[path = "../support/mod.rs"]
mod support;

use serde_json::json;
use support::plugin::{doctor, run};
use support::{Cluster, blocker, failing, root, wukong};
use tokio::sync::OnceCell;
use wukong_lab::Operator;

async fn cluster() -> &'static Cluster {
    static CLUSTER: OnceCell<(Cluster, Operator)> = OnceCell::const_new();
    let (cluster, operator) = CLUSTER
        .get_or_init(|| Cluster::with_operator("plugin-tests"))
        .await;
    operator.process().check().unwrap();
    cluster
}

#[tokio::test]
async fn status_doctor_and_a_bundle_name_the_same_blocker() {
    let space = cluster().await.space("doctor").await;
    let dir = tempfile::tempdir().unwrap();
    for (scenario, reason) in [
        ("import-dns", "ImportFailed"),
        ("import-notfound", "ImportFailed"),
        ("image-pull", "ImagePullFailed"),
        ("unschedulable=kvm", "InsufficientDevices"),
        ("unschedulable=memory", "InsufficientMemory"),
        ("unschedulable=taint", "UntoleratedTaint"),
    ] {
        let name: String = scenario.replace('=', "-");
        space
            .apply(&failing(
                wukong(&name, json!({"disks": [root()]})),
                scenario,
            ))
            .await;
        let stored = space.blocked(&name, reason).await;
        let live = doctor(&space, &[&name]).await;
        assert_eq!(
            live["blocker"]["reason"],
            blocker(&stored),
            "{scenario}: {live}"
        );
        assert_eq!(
            live["blocker"]["condition"],
            stored["status"]["blocker"]["condition"]
        );

        let archive = dir.path().join(format!("{name}.tar.gz"));
        let archive = archive.to_str().unwrap();
        let (code, _, err) = run(&space, &["bundle", &name, "-o", archive]).await;
        assert_eq!(code, 0, "{err}");
        let offline = doctor(&space, &["--from", archive]).await;
        // The times in the chain go on between the two.
        for field in ["condition", "reason", "object", "message", "hint"] {
            let (offline, live) = (&offline["blocker"], &live["blocker"]);
            assert_eq!(offline[field], live[field], "{scenario}");
        }
    }
}

#[tokio::test]
async fn a_healthy_vm_has_no_blocker() {
    let space = cluster().await.space("healthy").await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    space.running("web").await;
    let (code, out, err) = run(&space, &["doctor", "web"]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let (code, ip, _) = run(&space, &["ip", "web"]).await;
    let address: std::net::IpAddr = ip.trim().parse().unwrap();
    let (_, list, _) = run(&space, &["list"]).await;
    assert!(
        code == 0 && list.contains(&address.to_string()) && list.contains("Running"),
        "{list}"
    );
}

#[tokio::test]
async fn power_is_asked_for_and_waited_for() {
    let space = cluster().await.space("power").await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    space.running("web").await;
    for (command, phase, words) in [
        ("stop", "Stopped", "is stopped"),
        ("start", "Running", "runs on node-"),
        ("pause", "Paused", "is paused"),
        ("unpause", "Running", "runs on node-"),
        ("restart", "Running", "runs again on node-"),
        ("migrate", "Running", "moved from node-"),
    ] {
        let (code, out, err) = run(&space, &[command, "web", "--wait", "--timeout", "2m"]).await;
        assert!(code == 0 && out.contains(words), "{command}: {out}{err}");
        space
            .wukong("web", phase, |wukong| support::phase(wukong) == phase)
            .await;
    }
}

#[tokio::test]
async fn what_was_stopped_elsewhere_is_started_again() {
    let space = cluster().await.space("elsewhere").await;
    space
        .apply(&wukong(
            "web",
            json!({"disks": [root()], "powerState": "Running"}),
        ))
        .await;
    space.running("web").await;
    space
        .merge(
            "VirtualMachine",
            "web",
            json!({"spec": {"runStrategy": "Halted"}}),
        )
        .await;
    space.blocked("web", "StoppedElsewhere").await;
    let (code, out, err) = run(&space, &["start", "web", "--wait", "--timeout", "2m"]).await;
    assert!(code == 0 && out.contains("runs on node-"), "{out}{err}");
}

#[tokio::test]
async fn waiting_ends_in_time_with_what_stands_in_the_way() {
    let space = cluster().await.space("late").await;
    space
        .apply(&failing(
            wukong("web", json!({"disks": [root()], "powerState": "Stopped"})),
            "import-dns",
        ))
        .await;
    space.blocked("web", "ImportFailed").await;
    let (code, _, err) = run(&space, &["start", "web", "--wait", "--timeout", "3s"]).await;
    assert!(
        code == 3 && err.contains("timed out after 3 s: ImportFailed"),
        "{code}: {err}"
    );
}

#[tokio::test]
async fn a_plan_of_what_is_applied_is_empty() {
    let space = cluster().await.space("plan").await;
    let mut web = wukong("web", json!({"disks": [root()]}));
    space.apply(&web).await;
    space.running("web").await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("web.json");
    let file = file.to_str().unwrap();
    std::fs::write(file, web.to_string()).unwrap();
    let (code, out, err) = run(&space, &["plan", "-f", file]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    web["spec"]["cpu"] = json!(2);
    std::fs::write(file, web.to_string()).unwrap();
    let (code, out, _) = run(&space, &["plan", "-f", file]).await;
    assert!(
        code == 2 && out.contains("1 -> 2") && out.contains("hot-plug"),
        "{out}"
    );
}
