//! What goes wrong is named, and heals by itself when its cause is gone.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::cluster;
use crate::support::{Space, condition, failing, phase, root, wukong};

/// What is said of a failure.
struct Said {
    condition: &'static str,
    reason: &'static str,
    part: &'static str,
    object: &'static str,
}

/// The name of a Wukong, what goes wrong, and what is said of it. `NAME` in the object stands for the Wukong.
type Row = (&'static str, &'static str, Value, Said);

fn disk(source: &str) -> Value {
    json!({"disks": [{"name": "root", "size": "1Gi", "image": source}]})
}

fn said(
    condition: &'static str,
    reason: &'static str,
    part: &'static str,
    object: &'static str,
) -> Said {
    Said {
        condition,
        reason,
        part,
        object,
    }
}

/// Makes each Wukong with its scenario, looks what its status says, takes the scenario away and waits until it runs.
async fn fail_and_heal(space: &Space<'_>, rows: Vec<Row>) {
    let looks = rows
        .into_iter()
        .map(|(name, scenario, spec, said)| async move {
            space.apply(&failing(wukong(name, spec), scenario)).await;
            let Said {
                condition: type_,
                reason,
                part,
                object,
            } = said;
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
            assert_eq!(
                blocker["object"],
                json!(object.replace("NAME", name)),
                "{name}: {blocker}"
            );
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
    join_all(looks).await;
}

#[tokio::test]
async fn an_import_that_fails_says_why() {
    let space = cluster().await.space("imports").await;
    let http = || disk("https://images.example.com/disk.qcow2");
    let registry = || disk("docker://registry.example.com/disk:1");
    let failed = |part| said("VolumesBound", "ImportFailed", part, "DataVolume/NAME.root");
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
    space.blocked("web", "ImportFailed").await;
    // CDI's own words come and go with each restart of the importer.
    let mut restarts = 0;
    space
        .until(
            "DataVolume",
            "web.root",
            "restarted three times",
            |volume| {
                restarts = volume["status"]["restartCount"]
                    .as_i64()
                    .unwrap_or_default();
                (restarts >= 3).then_some(())
            },
        )
        .await;
    let wukong = space.get("Wukong", "web").await;
    let message = condition(&wukong, "VolumesBound").2;
    assert!(
        message.contains("(DNS)") && message.contains("no such host"),
        "{message}"
    );
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
                said("VolumesBound", "ImagePullFailed", "cdi-importer", volume),
            ),
            (
                "quota",
                "quota",
                spec(),
                said("VolumesBound", "QuotaExceeded", "exceeded quota", volume),
            ),
            (
                "lost",
                "claim-lost=early",
                spec(),
                said("VolumesBound", "ClaimLost", "lost", claim),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_vm_that_finds_no_node_says_why() {
    let space = cluster().await.space("nodes").await;
    let nowhere = |reason, part| said("Scheduled", reason, part, "VirtualMachineInstance/NAME");
    let spec = || json!({});
    fail_and_heal(
        &space,
        vec![
            (
                "kvm",
                "unschedulable=kvm",
                spec(),
                nowhere("InsufficientDevices", "devices.kubevirt.io/kvm"),
            ),
            (
                "memory",
                "unschedulable=memory",
                spec(),
                nowhere("InsufficientMemory", "Insufficient memory"),
            ),
            (
                "cpu",
                "unschedulable=cpu",
                spec(),
                nowhere("InsufficientCPU", "Insufficient cpu"),
            ),
            (
                "selector",
                "unschedulable=selector",
                spec(),
                nowhere("NodeSelectorMismatch", "node affinity/selector"),
            ),
            (
                "taint",
                "unschedulable=taint",
                spec(),
                nowhere("UntoleratedTaint", "untolerated taint"),
            ),
            (
                "cordon",
                "unschedulable=cordon",
                spec(),
                nowhere("Unschedulable", "unschedulable"),
            ),
            (
                "volume",
                "unschedulable=volume-affinity",
                spec(),
                nowhere("VolumeNodeAffinity", "volume node affinity"),
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
                said("Running", "InternalError", "denied the request", vm),
            ),
            (
                "crash",
                "guest-crash",
                json!({}),
                said("Running", "CrashLoop", "failed", vm),
            ),
            (
                "launcher",
                "launcher-image-pull",
                json!({}),
                said(
                    "Scheduled",
                    "PodNotStarted",
                    "image",
                    "VirtualMachineInstance/NAME",
                ),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_silent_or_old_guest_agent_is_said_and_blocks_nothing() {
    let space = &cluster().await.space("agents").await;
    let rows = [
        ("silent", "agent-never", "AgentNotReady"),
        ("old", "agent-old", "AgentVersionNotSupported"),
    ];
    let looks = rows.map(|(name, scenario, reason)| async move {
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
    join_all(looks).await;
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
        let first = space.get("VirtualMachineInstance", "web").await["metadata"]["uid"].clone();
        space.scenario("web", Some(scenario)).await;
        space
            .until("VirtualMachineInstance", "web", "another one", |instance| {
                let uid = &instance["metadata"]["uid"];
                (uid.is_string() && *uid != first).then_some(())
            })
            .await;
        space.scenario("web", None).await;
        space.running("web").await;
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

#[tokio::test]
async fn what_is_named_and_missing_is_waited_for() {
    let space = &cluster().await.space("missing").await;
    let disk = |change: Value| {
        let mut disk = json!({"name": "root", "size": "1Gi"});
        crate::support::merge(&mut disk, change);
        json!({"disks": [disk]})
    };
    let class = |name: &str| {
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
        "provisioner": "csi.plant.wukong.dev", "volumeBindingMode": "Immediate", "allowVolumeExpansion": true})
    };
    let definition = json!({"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": "backup-net"}, "spec": {"config": "{}"}});
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "golden"},
        "spec": {"accessModes": ["ReadWriteMany"], "storageClassName": "standard",
            "resources": {"requests": {"storage": "1Gi"}}}});
    let rows = [
        (
            "class",
            disk(json!({"storageClassName": "arrives-later", "accessModes": ["ReadWriteOnce"]})),
            "StorageClassNotFound",
            "StorageClass/arrives-later",
            class("arrives-later"),
        ),
        (
            "nad",
            json!({"networks": [{"name": "backup", "type": "bridge", "nadName": "backup-net"}]}),
            "NADNotFound",
            "NetworkAttachmentDefinition/backup-net",
            definition,
        ),
        (
            "source",
            disk(json!({"source": {"pvc": {"name": "golden"}}})),
            "SourceNotFound",
            "PersistentVolumeClaim/golden",
            claim,
        ),
    ];
    let looks = rows.map(|(name, spec, reason, object, missing)| async move {
        space.apply(&wukong(name, spec)).await;
        let found = space.blocked(name, reason).await;
        assert_eq!(condition(&found, "DependenciesResolved").1, reason);
        assert_eq!(found["status"]["blocker"]["object"], object, "{found}");
        assert_eq!(phase(&found), "Pending", "{found}");
        space.apply(&missing).await;
        space.running(name).await;
    });
    join_all(looks).await;
}

#[tokio::test]
async fn a_class_that_binds_late_is_no_error() {
    let space = &cluster().await.space("late-binding").await;
    let looks = ["standard-wffc", "local-path"].map(|class| async move {
        let spec = |power: &str| json!({"powerState": power, "disks": [
            {"name": "root", "size": "1Gi", "image": "docker://registry.example.com/disk:1", "storageClassName": class}]});
        space.apply(&wukong(class, spec("Stopped"))).await;
        let waits = space
            .wukong(class, "waiting for its first consumer", |wukong| {
                condition(wukong, "VolumesBound").1 == "WaitingForFirstConsumer"
            })
            .await;
        assert_eq!(condition(&waits, "VolumesBound").0, "True");
        space
            .wukong(class, "stopped as asked", |wukong| {
                phase(wukong) == "Stopped" && condition(wukong, "Ready").0 == "True"
            })
            .await;
        space.edit(class, json!({"powerState": null})).await;
        space.running(class).await;
    });
    join_all(looks).await;
}

#[tokio::test]
async fn a_class_that_cannot_expand_refuses_growth_and_nothing_else() {
    let space = cluster().await.space("fixed").await;
    let disk = |size: &str| json!({"disks": [{"name": "root", "size": size, "image": root()["image"], "storageClassName": "fixed"}]});
    space.apply(&wukong("web", disk("1Gi"))).await;
    space.running("web").await;
    let mut grown = disk("2Gi");
    grown["cpu"] = json!(2);
    space.edit("web", grown).await;
    let said = space.blocked("web", "ResizeRefused").await;
    assert_eq!(phase(&said), "Running");
    let message = condition(&said, "VolumesBound").2;
    assert!(message.contains("fixed"), "{message}");
    let vm = space.get("VirtualMachine", "web").await;
    assert_eq!(
        vm.pointer("/spec/template/spec/domain/cpu/sockets"),
        Some(&json!(2))
    );
    space.edit("web", disk("1Gi")).await;
    space.running("web").await;
}

#[tokio::test]
async fn the_server_s_refusals_are_passed_on() {
    let space = cluster().await.space("refusals").await;
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-vms"},
        "spec": {"hard": {"count/virtualmachines.kubevirt.io": "0"}}});
    space.apply(&quota).await;
    space
        .until("ResourceQuota", "no-vms", "in force", |quota| {
            quota["status"]["hard"].is_object().then_some(())
        })
        .await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    let said = space.blocked("web", "QuotaExceeded").await;
    let (_, _, message) = condition(&said, "Created");
    assert!(message.contains("exceeded quota: no-vms"), "{message}");
    assert_eq!(said["status"]["blocker"]["object"], "VirtualMachine/web");
    // The disk is made all the same.
    space.get("DataVolume", "web.root").await;
    space.delete("ResourceQuota", "no-vms").await;
    space.running("web").await;

    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": space.name}, "spec": {
            "matchConstraints": {"resourceRules": [{"apiGroups": ["k8s.cni.cncf.io"], "apiVersions": ["*"],
                "resources": ["network-attachment-definitions"], "operations": ["CREATE"]}]},
            "validations": [{"expression": "object.metadata.name.startsWith('allowed')", "message": "only allowed networks"}]}});
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": space.name}, "spec": {"policyName": space.name, "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space.name}}}}});
    space.apply(&policy).await;
    space.apply(&binding).await;
    in_force(&space).await;
    let networks = json!({"networks": [{"name": "lan", "type": "bridge"}]});
    space.edit("web", networks).await;
    let said = space
        .wukong("web", "refused its network", |wukong| {
            condition(wukong, "NetworksConfigured").0 == "False"
        })
        .await;
    let (_, _, message) = condition(&said, "NetworksConfigured");
    assert!(message.contains("only allowed networks"), "{message}");
    assert_eq!(phase(&said), "Running");
    space
        .delete("ValidatingAdmissionPolicyBinding", &space.name)
        .await;
    space.delete("ValidatingAdmissionPolicy", &space.name).await;
    // An edit is tried at once.
    space
        .edit(
            "web",
            json!({"networks": [{"name": "lan", "type": "bridge", "vlanId": 5}]}),
        )
        .await;
    space.running("web").await;
}

/// Waits until the policy of this namespace refuses.
async fn in_force(space: &Space<'_>) {
    let probe = json!({"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": "probe"}, "spec": {"config": "{}"}});
    wukong_lab::wait::eventually(
        "the policy is in force",
        crate::support::DEADLINE,
        async || match space.try_dry_run(&probe).await {
            Err(error) if error.to_string().contains("only allowed") => Ok(()),
            other => Err(other),
        },
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn all_that_is_wrong_in_a_manifest_is_said_at_once() {
    let space = cluster().await.space("invalid").await;
    let spec = json!({
        "memory": "4",
        "networks": [
            {"name": "lan", "type": "bridge", "macAddress": "01:00:5e:00:00:01"},
            {"name": "dmz", "type": "bridge", "ipConfig": {"address": "10.0.0.1/24", "gateway": "10.9.0.1"}},
        ],
        "disks": [{"name": "root", "size": "1Gi", "image": "http://user:hunter2@images.example.com/disk.qcow2"}],
    });
    space.apply(&wukong("web", spec)).await;
    let said = space.blocked("web", "InvalidSpec").await;
    assert_eq!(phase(&said), "Error");
    let message = condition(&said, "SpecValid").2;
    for part in [
        "spec.memory",
        "4Gi",
        "spec.networks[0].macAddress",
        "spec.networks[1].ipConfig.gateway",
        "spec.disks[0].image",
    ] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    assert!(!message.contains("hunter2"), "{message}");
    assert!(space.list("VirtualMachine").await.is_empty());
    let sound = json!({"memory": "4Gi", "networks": null, "disks": [root()]});
    space.edit("web", sound).await;
    space.running("web").await;
    // Made wrong again, what runs goes on as it is.
    let mark = space.mark();
    space.edit("web", json!({"memory": "5"})).await;
    let said = space.blocked("web", "InvalidSpec").await;
    assert_eq!(phase(&said), "Running");
    let writes = space
        .asked_since(mark)
        .filter(|request| request.is_write() && request.subresource != "status");
    assert!(writes.is_empty(), "{writes}");
}
