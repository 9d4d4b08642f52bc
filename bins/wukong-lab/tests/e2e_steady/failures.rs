//! The status names each failure, and the VM recovers when the cause is gone.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::cluster;
use crate::support::{Space, condition, failing, phase, root, wukong};

/// The expected report of a failure.
struct Reported {
    condition: &'static str,
    reason: &'static str,
    part: &'static str,
    object: &'static str,
}

/// The name of a Wukong, its fault, and the expected report. `NAME` in the object stands for the Wukong.
type Row = (&'static str, &'static str, Value, Reported);

fn disk(source: &str) -> Value {
    json!({"disks": [{"name": "root", "size": "1Gi", "image": source}]})
}

fn reported(
    condition: &'static str,
    reason: &'static str,
    part: &'static str,
    object: &'static str,
) -> Reported {
    Reported {
        condition,
        reason,
        part,
        object,
    }
}

/// For objects with a name that is random.
const ANY: &str = "*";

/// Makes each Wukong with its scenario, checks its status, removes the scenario and waits until the VM runs.
async fn fail_and_heal(space: &Space<'_>, rows: Vec<Row>) {
    let checks = rows
        .into_iter()
        .map(|(name, scenario, spec, reported)| async move {
            space.apply(&failing(wukong(name, spec), scenario)).await;
            let Reported {
                condition: type_,
                reason,
                part,
                object,
            } = reported;
            let found = space
                .wukong(
                    name,
                    &format!("{scenario}: {type_} is {reason}"),
                    |wukong| {
                        let (status, found, message) = condition(wukong, type_);
                        status == "False" && found == reason && message.contains(part)
                    },
                )
                .await;
            let blocker = &found["status"]["blocker"];
            assert_eq!(blocker["reason"], reason, "{name}: {blocker}");
            assert_eq!(blocker["condition"], type_, "{name}: {blocker}");
            if object != ANY {
                let object = json!(object.replace("NAME", name));
                assert_eq!(blocker["object"], object, "{name}: {blocker}");
            }
            let message = blocker["message"].as_str().unwrap();
            assert!(message.contains(part), "{name}: {message}");
            let hint = blocker["hint"].as_str().unwrap_or_default();
            assert!(!hint.is_empty(), "{name}: {blocker}");
            assert_eq!(
                condition(&found, "Ready"),
                ("False", reason, message),
                "{name}"
            );
            assert_eq!(phase(&found), "Error", "{name}");
            space.scenario(name, None).await;
            let healed = space.running(name).await;
            assert!(healed["status"]["blocker"].is_null(), "{name}: {healed}");
        });
    join_all(checks).await;
}

#[tokio::test]
async fn an_import_that_fails_says_why() {
    let space = cluster().await.space("imports").await;
    let http = || disk("https://images.example.com/disk.qcow2");
    let registry = || disk("docker://registry.example.com/disk:1");
    let failed = |part| reported("VolumesBound", "ImportFailed", part, "DataVolume/NAME.root");
    fail_and_heal(
        &space,
        vec![
            ("dns", "import-dns", http(), failed("(DNS)")),
            ("network", "import-network", http(), failed("(Network)")),
            ("tls", "import-tls", http(), failed("(TLS)")),
            ("auth", "import-auth", http(), failed("(Auth)")),
            ("notfound", "import-notfound", http(), failed("(NotFound)")),
            ("space", "import-space", http(), failed("(Space)")),
            ("format", "import-format", http(), failed("(Format)")),
            ("checksum", "checksum", http(), failed("(Checksum)")),
            ("registry-dns", "import-dns", registry(), failed("(DNS)")),
            (
                "registry-network",
                "import-network",
                registry(),
                failed("(Network)"),
            ),
            ("registry-tls", "import-tls", registry(), failed("(TLS)")),
            ("registry-auth", "import-auth", registry(), failed("(Auth)")),
            (
                "registry-notfound",
                "import-notfound",
                registry(),
                failed("(NotFound)"),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_cause_of_a_failing_import_stays_while_the_importer_restarts() {
    let space = cluster().await.space("flapping").await;
    space
        .apply(&failing(
            wukong("web", json!({"disks": [root()]})),
            "import-dns",
        ))
        .await;
    let cause = |wukong: &Value| {
        let message = condition(wukong, "VolumesBound").2.to_owned();
        message.contains("(DNS)").then_some(message)
    };
    let reported = space
        .until("Wukong", "web", "the DNS error is reported", cause)
        .await;
    // CDI's own words come and go with each restart of the importer.
    let restarts = |volume: &Value| volume["status"]["restartCount"].as_i64();
    let before = restarts(&space.get("DataVolume", "web.root").await).unwrap_or_default();
    space
        .until("DataVolume", "web.root", "restarted twice more", |volume| {
            restarts(volume).filter(|restarts| *restarts >= before + 2)
        })
        .await;
    assert_eq!(cause(&space.get("Wukong", "web").await), Some(reported));
}

#[tokio::test]
async fn a_disk_that_cannot_be_made_says_why() {
    let space = cluster().await.space("disks-fail").await;
    let volume = "DataVolume/NAME.root";
    let claim = "PersistentVolumeClaim/NAME.root";
    let spec = || json!({"disks": [root()]});
    fail_and_heal(
        &space,
        vec![
            (
                "pull",
                "image-pull",
                spec(),
                reported("VolumesBound", "ImagePullFailed", "cdi-importer", volume),
            ),
            (
                "quota",
                "quota",
                spec(),
                reported("VolumesBound", "QuotaExceeded", "quota", volume),
            ),
            (
                "lost",
                "claim-lost=early",
                spec(),
                reported("VolumesBound", "ClaimLost", "lost", claim),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_vm_that_finds_no_node_says_why() {
    let space = cluster().await.space("nodes").await;
    let nowhere = |reason, part| reported("Scheduled", reason, part, "VirtualMachineInstance/NAME");
    let spec = || json!({});
    fail_and_heal(
        &space,
        vec![
            (
                "kvm",
                "unschedulable=kvm",
                spec(),
                nowhere("InsufficientDevices", "lack the device kvm"),
            ),
            (
                "memory",
                "unschedulable=memory",
                spec(),
                nowhere("InsufficientMemory", "too little memory left"),
            ),
            (
                "cpu",
                "unschedulable=cpu",
                spec(),
                nowhere("InsufficientCPU", "too little CPU left"),
            ),
            (
                "selector",
                "unschedulable=selector",
                spec(),
                nowhere("NodeSelectorMismatch", "labels that the pod asks for"),
            ),
            (
                "taint",
                "unschedulable=taint",
                spec(),
                nowhere("UntoleratedTaint", "have a taint"),
            ),
            (
                "cordon",
                "unschedulable=cordon",
                spec(),
                nowhere("Unschedulable", "are cordoned"),
            ),
            (
                "volume",
                "unschedulable=volume-affinity",
                spec(),
                nowhere("VolumeNodeAffinity", "do not reach the volume of a disk"),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_vm_that_does_not_start_says_why() {
    let space = cluster().await.space("starts").await;
    let vm = "VirtualMachine/NAME";
    fail_and_heal(
        &space,
        vec![
            (
                "refused",
                "vm-create-failure",
                json!({}),
                reported(
                    "Running",
                    "InternalError",
                    "KubeVirt cannot start the VM",
                    vm,
                ),
            ),
            (
                "crash",
                "guest-crash",
                json!({}),
                reported("Running", "CrashLoop", "failed", vm),
            ),
            (
                "launcher",
                "launcher-image-pull",
                json!({}),
                reported(
                    "VolumesBound",
                    "ImagePullFailed",
                    "cannot resolve quay.io",
                    ANY,
                ),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_silent_or_old_guest_agent_is_reported_and_blocks_nothing() {
    let space = &cluster().await.space("agents").await;
    let rows = [
        ("silent", "agent-never", "AgentNotReady"),
        ("old", "agent-old", "AgentVersionNotSupported"),
    ];
    let checks = rows.map(|(name, scenario, reason)| async move {
        space
            .apply(&failing(wukong(name, json!({})), scenario))
            .await;
        let found = space
            .wukong(name, reason, |wukong| {
                let (status, found, _) = condition(wukong, "GuestReady");
                status == "False" && found == reason && phase(wukong) == "Running"
            })
            .await;
        assert_eq!(condition(&found, "Ready").0, "True", "{found}");
        assert!(found["status"]["blocker"].is_null(), "{found}");
        space.scenario(name, None).await;
        space
            .wukong(name, "answered by its guest", |wukong| {
                condition(wukong, "GuestReady").0 == "True"
            })
            .await;
    });
    join_all(checks).await;
}

#[tokio::test]
async fn what_happens_to_a_running_guest_is_followed() {
    let space = cluster().await.space("events").await;
    // Paused by the hypervisor, for instance because a disk is full.
    space.apply(&wukong("web", json!({}))).await;
    space.running("web").await;
    space.scenario("web", Some("pause")).await;
    let paused = space.blocked("web", "Paused").await;
    assert_eq!(phase(&paused), "Paused");
    space.scenario("web", None).await;
    space.running("web").await;

    for scenario in ["guest-crash=running", "node-lost"] {
        let first = space.instance("web").await;
        space.scenario("web", Some(scenario)).await;
        space
            .until("VirtualMachineInstance", "web", "another one", |instance| {
                let uid = &instance["metadata"]["uid"];
                (uid.is_string() && *uid != first).then_some(())
            })
            .await;
        space.scenario("web", None).await;
        space.running_again("web", &first).await;
    }

    space.scenario("web", Some("slow-shutdown=40")).await;
    space.edit("web", json!({"powerState": "Stopped"})).await;
    let stopping = space
        .wukong("web", "stopping", |wukong| phase(wukong) == "Stopping")
        .await;
    assert_eq!(condition(&stopping, "Running").1, "Stopping");
    space
        .wukong("web", "stopped", |wukong| phase(wukong) == "Stopped")
        .await;
}

/// The operator creates nothing again: the volume may come back, and its data cannot be replaced.
#[tokio::test]
async fn a_volume_that_is_lost_under_a_running_vm_is_named_and_nothing_is_made_anew() {
    let space = cluster().await.space("lost-volume").await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    space.running("web").await;
    let before = space.get("DataVolume", "web.root").await["metadata"]["uid"].clone();
    space.scenario("web", Some("claim-lost")).await;
    let lost = space.blocked("web", "ClaimLost").await;
    assert_eq!(phase(&lost), "Running", "{lost:#}");
    let object = &lost["status"]["blocker"]["object"];
    assert_eq!(object, "PersistentVolumeClaim/web.root");
    space.scenario("web", None).await;
    space.running("web").await;
    let after = space.get("DataVolume", "web.root").await["metadata"]["uid"].clone();
    assert_eq!(before, after);
}
