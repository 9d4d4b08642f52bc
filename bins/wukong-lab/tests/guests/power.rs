//! Guests that end by themselves, by mistake or by force, and what their run strategies make of it.
//!
//! The guest here is only a kernel with one program that does what the user data says: it is up in seconds.

use futures::join;
use serde_json::{Value, json};
use wukong_lab::wait::eventually;

use crate::inside::{image, instance};
use crate::space;
use crate::support::{self, Space, condition, phase};

async fn probe(space: &Space<'_>, name: &str, order: &str, strategy: &str) {
    let secret = format!("{name}-orders");
    space
        .apply(
            &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret},
            "stringData": {"userdata": format!("#cloud-config\n# probe: {order}\n")}}),
        )
        .await;
    let spec = json!({
        "memory": "128Mi",
        "osImage": image("probe.qcow2"),
        "disks": [{"name": "root", "size": "64Mi"}],
        "userDataSecret": secret,
        "startStrategy": {"runStrategy": strategy},
        "terminationGracePeriodSeconds": 1,
    });
    space.apply(&support::wukong(name, spec)).await;
}

/// The uid of the first instance, once its guest has done what it was told to.
async fn did(space: &Space<'_>, name: &str, words: &str) -> String {
    eventually(
        &format!("{name} says {words}"),
        space.patience,
        async || {
            let said = space.lab.guest(&space.name, name).await;
            let said = said.map(|guest| (guest.console(), guest.uid));
            match said {
                Ok((console, uid)) if console.contains(words) => Ok(uid),
                other => {
                    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
                    Err(format!("{other:?}"))
                }
            }
        },
    )
    .await
    .unwrap()
}

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
    let vm = space.get("VirtualMachine", name).await;
    assert_eq!(vm["status"]["printableStatus"], "Stopped", "{name}");
}

#[tokio::test]
#[ignore = "boots guests, which takes minutes: run with --ignored"]
async fn a_guest_that_powers_itself_off() {
    let Some((space, _permit)) = space("off", 2).await else {
        return;
    };
    let again = async {
        probe(&space, "always", "power-off", "Always").await;
        let first = did(&space, "always", "probe: power-off").await;
        another_instance(&space, "always", &first).await;
        space.delete("Wukong", "always").await;
        space.gone("Wukong", "always").await;
    };
    let over = async |name, strategy| {
        probe(&space, name, "power-off", strategy).await;
        space
            .until("VirtualMachineInstance", name, "shut down", |vmi| {
                (vmi["status"]["phase"] == "Succeeded").then_some(())
            })
            .await;
        stopped(&space, name).await;
    };
    join!(
        again,
        over("rerun", "RerunOnFailure"),
        over("once", "Once"),
        over("manual", "Manual"),
    );
}

#[tokio::test]
#[ignore = "boots guests, which takes minutes: run with --ignored"]
async fn a_guest_that_is_killed() {
    let Some((space, _permit)) = space("killed", 2).await else {
        return;
    };
    let kill = async |name, strategy| {
        probe(&space, name, "wait", strategy).await;
        let first = did(&space, name, "probe: wait").await;
        let guest = space.lab.guest(&space.name, name).await.unwrap();
        let killed = std::process::Command::new("kill")
            .args(["-KILL", &guest.pid.to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
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
#[ignore = "boots guests, which takes minutes: run with --ignored"]
async fn a_guest_that_panics() {
    let Some((space, _permit)) = space("panics", 1).await else {
        return;
    };
    probe(&space, "panics", "panic", "Always").await;
    let first = did(&space, "panics", "Kernel panic - not syncing").await;
    // Nobody tells KubeVirt: without a panic device the machine goes on, and only its silence shows.
    let wukong = space
        .wukong("panics", "not heard of", |wukong| {
            phase(wukong) == "Running" && condition(wukong, "GuestReady").0 == "False"
        })
        .await;
    assert_eq!(condition(&wukong, "GuestReady").1, "AgentNotReady");
    assert_eq!(instance(&space, "panics").await.as_deref(), Some(&*first));
}
