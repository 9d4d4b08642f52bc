//! Errors in the spec, missing objects, and rejections of the API server.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::cluster;
use crate::support::{DEADLINE, Space, condition, merge, phase, root, wukong};

#[tokio::test]
async fn what_is_named_and_missing_is_waited_for() {
    let space = &cluster().await.space("missing").await;
    let disk = |change: Value| {
        let mut disk = json!({"name": "root", "size": "1Gi"});
        merge(&mut disk, change);
        json!({"disks": [disk]})
    };
    let class = |name: &str| {
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
        "provisioner": "csi.simulator.wukong.dev", "volumeBindingMode": "Immediate", "allowVolumeExpansion": true})
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
    let checks = rows.map(|(name, spec, reason, object, missing)| async move {
        space.apply(&wukong(name, spec)).await;
        let found = space.blocked(name, reason).await;
        assert_eq!(condition(&found, "DependenciesResolved").1, reason);
        assert_eq!(found["status"]["blocker"]["object"], object, "{found}");
        assert_eq!(phase(&found), "Pending", "{found}");
        space.apply(&missing).await;
        space.running(name).await;
    });
    join_all(checks).await;
}

#[tokio::test]
async fn a_class_that_binds_late_is_no_error() {
    let space = &cluster().await.space("late-binding").await;
    let checks = ["standard-wffc", "local-path"].map(|class| async move {
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
            .wukong(class, "stopped as in the spec", |wukong| {
                phase(wukong) == "Stopped" && condition(wukong, "Ready").0 == "True"
            })
            .await;
        space.edit(class, json!({"powerState": null})).await;
        space.running(class).await;
    });
    join_all(checks).await;
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
    let blocked = space.blocked("web", "ResizeRefused").await;
    assert_eq!(phase(&blocked), "Running");
    let message = condition(&blocked, "VolumesBound").2;
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
    let blocked = space.blocked("web", "QuotaExceeded").await;
    let (_, _, message) = condition(&blocked, "Created");
    assert!(message.contains("quota no-vms is exceeded"), "{message}");
    assert_eq!(blocked["status"]["blocker"]["object"], "VirtualMachine/web");
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
    let blocked = space
        .wukong("web", "refused its network", |wukong| {
            condition(wukong, "NetworksConfigured").0 == "False"
        })
        .await;
    let (_, _, message) = condition(&blocked, "NetworksConfigured");
    assert!(message.contains("only allowed networks"), "{message}");
    assert_eq!(phase(&blocked), "Running");
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
    wukong_lab::cluster::wait::eventually("the policy is in force", DEADLINE, async || match space
        .try_dry_run(&probe)
        .await
    {
        Err(error) if error.to_string().contains("only allowed") => Ok(()),
        other => Err(other),
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn every_problem_of_a_manifest_is_reported_at_once() {
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
    let blocked = space.blocked("web", "InvalidSpec").await;
    assert_eq!(phase(&blocked), "Error");
    let message = condition(&blocked, "SpecValid").2;
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
    // After the spec becomes invalid again, the running VM stays as it is.
    let mark = space.mark();
    space.edit("web", json!({"memory": "5"})).await;
    let blocked = space.blocked("web", "InvalidSpec").await;
    assert_eq!(phase(&blocked), "Running");
    let writes = space
        .requested_since(mark)
        .filter(|request| request.is_write() && request.subresource != "status");
    assert!(writes.is_empty(), "{writes}");
}
