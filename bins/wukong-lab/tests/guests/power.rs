//! Guests that end by themselves, by mistake or by force, and what their run strategies make of it; guests that people
//! start and stop.

use futures::join;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::inside::instance;
use crate::probe::{console_with, probe};
use crate::space;
use crate::support::plugin::run;
use crate::support::{Space, condition, phase};

async fn another_instance(space: &Space<'_>, name: &str, first: &str) -> Value {
    space
        .until("VirtualMachineInstance", name, "a new one", |vmi| {
            let uid = vmi["metadata"]["uid"].as_str()?;
            (uid != first && vmi["status"]["phase"] == "Running").then(|| vmi.clone())
        })
        .await
}

async fn stopped(space: &Space<'_>, name: &str) {
    space
        .wukong(name, "stopped", |wukong| phase(wukong) == "Stopped")
        .await;
    // KubeVirt tells of the instance before it tells of the machine.
    space
        .until("VirtualMachine", name, "stopped", |vm| {
            (vm["status"]["printableStatus"] == "Stopped").then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_guest_that_powers_itself_off() {
    let Some((space, _permit)) = space("off", 2).await else {
        return;
    };
    let again = async {
        let spec = json!({"highAvailability": {"restartPolicy": "Always"}});
        probe(&space, "always", "power-off", spec).await;
        let (first, _) = console_with(&space, "always", &["probe: power-off"]).await;
        another_instance(&space, "always", &first).await;
        space.delete("Wukong", "always").await;
        space.gone("Wukong", "always").await;
    };
    let over = async |name, spec| {
        probe(&space, name, "power-off", spec).await;
        space
            .until("VirtualMachineInstance", name, "shut down", |vmi| {
                (vmi["status"]["phase"] == "Succeeded").then_some(())
            })
            .await;
        stopped(&space, name).await;
    };
    join!(
        again,
        over(
            "rerun",
            json!({"highAvailability": {"restartPolicy": "OnFailure"}})
        ),
        over(
            "once",
            json!({"highAvailability": {"restartPolicy": "Never"}})
        ),
        over(
            "manual",
            json!({"startStrategy": {"runStrategy": "Manual"}})
        ),
    );
}

#[tokio::test]
async fn a_guest_that_is_killed() {
    let Some((space, _permit)) = space("killed", 2).await else {
        return;
    };
    let kill = async |name, strategy| {
        let spec = json!({"startStrategy": {"runStrategy": strategy}});
        probe(&space, name, "wait", spec).await;
        let (first, _) = console_with(&space, name, &["probe: wait"]).await;
        let guest = space.lab.guest(&space.name, name).await.unwrap();
        let pid = Pid::from_raw(guest.pid.try_into().unwrap()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        first
    };
    let back = async |name, strategy| {
        let first = kill(name, strategy).await;
        another_instance(&space, name, &first).await;
    };
    let gone = async |name, strategy| {
        let first = kill(name, strategy).await;
        let vmi = space
            .until("VirtualMachineInstance", name, "failed", |vmi| {
                (vmi["status"]["phase"] == "Failed").then(|| vmi.clone())
            })
            .await;
        assert_eq!(vmi["metadata"]["uid"], *first);
    };
    join!(
        back("always", "Always"),
        back("rerun", "RerunOnFailure"),
        gone("once", "Once"),
    );
}

#[tokio::test]
async fn a_guest_that_panics() {
    let Some((space, _permit)) = space("panics", 1).await else {
        return;
    };
    probe(&space, "panics", "panic", json!({})).await;
    let (first, _) = console_with(&space, "panics", &["Kernel panic - not syncing"]).await;
    // KubeVirt does not notice: without a panic device the machine goes on, and only its silence shows.
    let wukong = space
        .wukong("panics", "silent", |wukong| {
            phase(wukong) == "Running" && condition(wukong, "GuestReady").0 == "False"
        })
        .await;
    assert_eq!(condition(&wukong, "GuestReady").1, "AgentNotReady");
    assert_eq!(instance(&space, "panics").await.as_deref(), Some(&*first));
}

#[tokio::test]
async fn a_guest_is_started_restarted_and_stopped_by_hand() {
    let Some((space, _permit)) = space("hand", 1).await else {
        return;
    };
    let asked = async |call| {
        let (code, out, err) = run(&space, &[call, "vm"]).await;
        assert_eq!(code, 0, "{call}: {out}{err}");
    };
    let spec = json!({"startStrategy": {"autoStart": false}});
    probe(&space, "vm", "wait", spec).await;
    stopped(&space, "vm").await;
    assert_eq!(instance(&space, "vm").await, None);

    asked("start").await;
    let (first, _) = console_with(&space, "vm", &["probe: cpus 1", "probe: wait"]).await;
    asked("restart").await;
    another_instance(&space, "vm", &first).await;
    let (second, _) = console_with(&space, "vm", &["probe: wait"]).await;
    assert_ne!(first, second);
    asked("stop").await;
    stopped(&space, "vm").await;
    space.gone("VirtualMachineInstance", "vm").await;

    // What is changed meanwhile is there at the next start.
    space.edit("vm", json!({"cpu": 2})).await;
    asked("start").await;
    console_with(&space, "vm", &["probe: cpus 2", "probe: wait"]).await;
}
