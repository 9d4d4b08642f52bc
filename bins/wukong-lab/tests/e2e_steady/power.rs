//! Power: whether the VM runs, after edits of the Wukong and after `virtctl`.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use wukong_lab::cluster::audit::{Mark, Requests};

use crate::cluster;
use crate::support::{DEADLINE, Space, blocker, condition, failing, phase, root, wukong};

/// Long compared with every delay of the operator.
const QUIET: Duration = Duration::from_secs(2);

/// What `virtctl start` and `virtctl stop` call.
async fn virtctl(space: &Space<'_>, call: &str, name: &str) {
    let path = format!(
        "/apis/subresources.kubevirt.io/v1/namespaces/{}/virtualmachines/{name}/{call}",
        space.name
    );
    let request = http::Request::put(path)
        .header("accept", "*/*")
        .body(b"{}".to_vec())
        .unwrap();
    space.client.request_text(request).await.unwrap();
}

/// Waits until the operator writes nothing to this namespace any more but events, and returns what it wrote since.
async fn left_alone(space: &Space<'_>, since: Mark) -> Requests {
    let namespace = space.name.clone();
    let writes = |request: &wukong_lab::cluster::audit::Request| {
        request.user == wukong_lab::cluster::operator::USER
            && request.namespace == namespace
            && request.is_write()
            && request.complete
            && !request.is_event()
    };
    let audit = space.lab.audit();
    audit
        .wait_quiet(since, QUIET, DEADLINE, writes)
        .await
        .unwrap()
}

async fn run_strategy(space: &Space<'_>, name: &str) -> Value {
    space.get("VirtualMachine", name).await["spec"]["runStrategy"].clone()
}

#[tokio::test]
async fn the_power_state_of_the_spec_is_applied() {
    let space = cluster().await.space("power-state").await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    space.running("web").await;
    let first = space.instance("web").await;

    space.edit("web", json!({"powerState": "Paused"})).await;
    let paused = space
        .wukong("web", "paused", |wukong| phase(wukong) == "Paused")
        .await;
    // As in the spec.
    assert_eq!(condition(&paused, "Ready").0, "True", "{paused}");
    space.edit("web", json!({"powerState": "Running"})).await;
    space.running("web").await;
    assert_eq!(space.instance("web").await, first, "pausing is no restart");

    space.edit("web", json!({"powerState": "Stopped"})).await;
    let stopped = space
        .wukong("web", "stopped", |wukong| phase(wukong) == "Stopped")
        .await;
    assert_eq!(condition(&stopped, "Running").1, "Halted");
    assert_eq!(condition(&stopped, "Ready").0, "True", "{stopped}");
    assert!(blocker(&stopped).is_empty());
    space.gone("VirtualMachineInstance", "web").await;
    space.edit("web", json!({"powerState": null})).await;
    space.running("web").await;

    space
        .apply(&wukong(
            "asleep",
            json!({"disks": [root()], "powerState": "Paused"}),
        ))
        .await;
    space
        .wukong("asleep", "paused from the start", |wukong| {
            phase(wukong) == "Paused"
        })
        .await;
}

#[tokio::test]
async fn each_start_strategy_means_what_it_says() {
    let space = &cluster().await.space("strategies").await;
    let strategy = |value: Value| json!({"startStrategy": value});
    let policy = |value: &str| json!({"highAvailability": {"restartPolicy": value}});
    let rows = [
        ("nothing", json!({}), "Always", "Running"),
        (
            "always",
            strategy(json!({"runStrategy": "Always"})),
            "Always",
            "Running",
        ),
        (
            "auto-start",
            strategy(json!({"autoStart": true})),
            "Always",
            "Running",
        ),
        (
            "no-auto-start",
            strategy(json!({"autoStart": false})),
            "Halted",
            "Stopped",
        ),
        (
            "halted",
            strategy(json!({"runStrategy": "Halted"})),
            "Halted",
            "Stopped",
        ),
        (
            "rerun",
            strategy(json!({"runStrategy": "RerunOnFailure"})),
            "RerunOnFailure",
            "Running",
        ),
        (
            "once",
            strategy(json!({"runStrategy": "Once"})),
            "Once",
            "Running",
        ),
        (
            "manual",
            strategy(json!({"runStrategy": "Manual"})),
            "Manual",
            "Running",
        ),
        (
            "by-hand",
            strategy(json!({"runStrategy": "Manual", "autoStart": false})),
            "Manual",
            "Stopped",
        ),
        (
            "on-failure",
            policy("OnFailure"),
            "RerunOnFailure",
            "Running",
        ),
        ("never", policy("Never"), "Once", "Running"),
        ("policy-always", policy("Always"), "Always", "Running"),
    ];
    let checks = rows.map(|(name, spec, strategy, expected)| async move {
        space.apply(&wukong(name, spec)).await;
        let found = space
            .wukong(name, expected, |wukong| {
                phase(wukong) == expected && condition(wukong, "Ready").0 == "True"
            })
            .await;
        assert_eq!(run_strategy(space, name).await, strategy, "{name}");
        assert!(blocker(&found).is_empty(), "{name}: {found}");
    });
    join_all(checks).await;
}

#[tokio::test]
async fn a_guest_that_shuts_itself_down_is_treated_as_its_strategy_says() {
    let space = &cluster().await.space("shutdown").await;
    let rows = ["RerunOnFailure", "Once", "Manual"];
    let checks = rows.map(|strategy| async move {
        let name = strategy.to_lowercase();
        let spec = json!({"startStrategy": {"runStrategy": strategy}});
        space
            .apply(&failing(wukong(&name, spec), "guest-shutdown"))
            .await;
        let down = space
            .wukong(&name, "shut down by its guest", |wukong| {
                phase(wukong) == "Stopped" && condition(wukong, "Ready").0 == "True"
            })
            .await;
        assert!(blocker(&down).is_empty(), "{down}");
        let mark = space.mark();
        space.scenario(&name, None).await;
        // The operator does not start it again.
        left_alone(space, mark).await;
        assert_eq!(
            phase(&space.get("Wukong", &name).await),
            "Stopped",
            "{name}"
        );
    });
    join_all(checks).await;

    // `Always` starts it again.
    space
        .apply(&failing(wukong("always", json!({})), "guest-shutdown"))
        .await;
    let first = space
        .until("VirtualMachineInstance", "always", "there", |instance| {
            let uid = &instance["metadata"]["uid"];
            uid.is_string().then(|| uid.clone())
        })
        .await;
    space
        .until(
            "VirtualMachineInstance",
            "always",
            "another one",
            |instance| {
                let uid = &instance["metadata"]["uid"];
                (uid.is_string() && *uid != first).then_some(())
            },
        )
        .await;
    space.scenario("always", None).await;
    space.running_again("always", &first).await;
}

#[tokio::test]
async fn a_manual_vm_is_started_once_and_then_left_to_people() {
    let space = cluster().await.space("manual").await;
    let spec = json!({"disks": [root()], "startStrategy": {"runStrategy": "Manual"}});
    space.apply(&wukong("web", spec)).await;
    space.running("web").await;
    virtctl(&space, "stop", "web").await;
    let stopped = space
        .wukong("web", "stopped", |wukong| phase(wukong) == "Stopped")
        .await;
    assert_eq!(condition(&stopped, "Ready").0, "True", "{stopped}");
    let mark = space.mark();
    space.edit("web", json!({"cpu": 2})).await;
    left_alone(&space, mark).await;
    assert_eq!(phase(&space.get("Wukong", "web").await), "Stopped");
    let starts = space
        .asked()
        .filter(|request| request.subresource == "start");
    assert_eq!(starts.len(), 1, "{starts}");
    virtctl(&space, "start", "web").await;
    space.running("web").await;
}

#[tokio::test]
async fn a_vm_that_a_user_stops_or_starts_stays_so_until_the_spec_changes() {
    let space = cluster().await.space("virtctl").await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    space.running("web").await;
    let mark = space.mark();
    virtctl(&space, "stop", "web").await;
    let stopped = space.blocked("web", "StoppedElsewhere").await;
    assert_eq!(phase(&stopped), "Stopped");
    assert_eq!(condition(&stopped, "Ready").0, "False");
    // At most one, which notes what the other writer decided.
    let writes = left_alone(&space, mark)
        .await
        .filter(|request| request.subresource != "status" && request.code == 200);
    assert!(writes.len() <= 1, "{writes}");
    assert_eq!(run_strategy(&space, "web").await, "Halted");

    // An edit of something else does not start it.
    let mark = space.mark();
    space.edit("web", json!({"cpu": 2})).await;
    left_alone(&space, mark).await;
    assert_eq!(run_strategy(&space, "web").await, "Halted");
    assert_eq!(
        blocker(&space.get("Wukong", "web").await),
        "StoppedElsewhere"
    );

    // A new power state does.
    space.edit("web", json!({"powerState": "Running"})).await;
    space.running("web").await;

    // The other way round.
    space.edit("web", json!({"powerState": "Stopped"})).await;
    space
        .wukong("web", "stopped", |wukong| phase(wukong) == "Stopped")
        .await;
    virtctl(&space, "start", "web").await;
    space
        .wukong("web", "started by hand", |wukong| {
            phase(wukong) == "Running"
        })
        .await;
    let mark = space.mark();
    left_alone(&space, mark).await;
    assert_eq!(phase(&space.get("Wukong", "web").await), "Running");
}
