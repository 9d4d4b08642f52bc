//! VMs from their creation to their deletion.

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{Patch, PatchParams, PropagationPolicy};
use wukong_lab::cluster::audit::Request;
use wukong_lab::cluster::wait::eventually;

use super::*;
use crate::support::{DEADLINE, condition};

#[tokio::test]
async fn a_vm_that_comes_before_its_disk_shows_two_false_errors() {
    let space = space("early").await;
    let early = shows(
        &space,
        ("VirtualMachine", "vm"),
        printable,
        "Running",
        async {
            space.apply(&virtual_machine("vm", "Always")).await;
            let vm = until_printable(&space, "vm", "ErrorPvcNotFound").await;
            let missing = format!(
                "PVC {}/vm does not exist, waiting for it to appear",
                space.name
            );
            assert_eq!(
                condition(&vm, "Synchronized"),
                ("False", "FailedPvcNotFound", missing.as_str())
            );
            assert_eq!(
                condition(&vm, "PodScheduled"),
                ("False", "Unschedulable", missing.as_str())
            );
            space.apply(&image("vm", "standard")).await;
        },
    );
    let seen: Vec<String> = early
        .await
        .into_iter()
        .skip_while(|status| status != "ErrorPvcNotFound")
        .collect();
    assert_eq!(
        seen,
        [
            "ErrorPvcNotFound",
            "ErrorUnschedulable",
            "Starting",
            "Running"
        ]
    );
}

#[tokio::test]
async fn a_vm_whose_disk_exists_is_provisioned_then_starts() {
    let space = space("late").await;
    let mut dv = image("vm", "standard");
    merge(&mut dv, scenario("slow-import=20"));
    space.apply(&dv).await;
    space
        .until("PersistentVolumeClaim", "vm", "there", |claim| {
            claim.is_object().then_some(())
        })
        .await;
    let vm = virtual_machine("vm", "Always");
    let seen = shows(
        &space,
        ("VirtualMachine", "vm"),
        printable,
        "Running",
        space.apply(&vm),
    )
    .await;
    let seen: Vec<&str> = seen
        .iter()
        .map(String::as_str)
        .filter(|status| *status != "-")
        .collect();
    assert!(
        matches!(
            seen[..],
            ["Provisioning", "Starting", "Running"]
                | ["Starting", "Provisioning", "Starting", "Running"]
        ),
        "{seen:?}"
    );
}

#[tokio::test]
async fn defaults_belong_to_nobody_and_status_to_virt_controller() {
    let space = space("defaults").await;
    let mut desired = with(
        virtual_machine("vm", "Always"),
        json!({"domain": {"memory": {"guest": "1024Mi"}, "features": {"acpi": {}}}, "hostname": ""}),
    );
    space
        .apply(&data_volume("vm", "standard", json!({"blank": {}})))
        .await;
    space.apply(&desired).await;
    let vm = until_ready(&space, "vm").await;
    let domain = &vm["spec"]["template"]["spec"]["domain"];
    assert_eq!(domain["machine"]["type"], "q35");
    assert_eq!(domain["memory"]["guest"], "1Gi");
    assert!(domain["firmware"]["uuid"].is_string() && domain["firmware"]["serial"].is_string());
    assert_eq!(vm["spec"]["template"]["spec"]["architecture"], "amd64");
    assert_eq!(
        vm["metadata"]["finalizers"],
        json!(["kubevirt.io/virtualMachineControllerFinalize"])
    );
    let entries = vm["metadata"]["managedFields"].as_array().unwrap();
    let managers: Vec<_> = entries
        .iter()
        .map(|entry| {
            (
                entry["manager"].as_str().unwrap(),
                entry["subresource"].as_str(),
            )
        })
        .collect();
    assert!(
        managers.contains(&("virt-controller", Some("status"))),
        "{managers:?}"
    );
    let mine = entries
        .iter()
        .find(|entry| entry["manager"] == "a-user")
        .unwrap();
    assert!(mine["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:domain"]["f:machine"].is_null());

    let again = space.apply(&desired).await;
    assert_eq!(
        again["metadata"]["resourceVersion"],
        vm["metadata"]["resourceVersion"]
    );

    desired["spec"]["template"]["spec"]["domain"]["cpu"]["cores"] = json!(2);
    space.apply(&desired).await;
    let restart = "a non-live-updatable field was changed in the template spec";
    space
        .until("VirtualMachine", "vm", "in want of a restart", |vm| {
            let (status, _, message) = condition(vm, "RestartRequired");
            (status == "True" && message == restart).then_some(())
        })
        .await;
    desired["spec"]["template"]["spec"]["domain"]["cpu"]["cores"] = json!(1);
    space.apply(&desired).await;
    space
        .until("VirtualMachine", "vm", "as it runs", |vm| {
            condition(vm, "RestartRequired").0.is_empty().then_some(())
        })
        .await;
}

#[tokio::test]
async fn the_guest_has_the_addresses_of_its_network_data() {
    let space = space("addresses").await;
    space
        .apply(&data_volume("vm", "standard", json!({"blank": {}})))
        .await;
    space
        .apply(&json!({
            "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
            "metadata": {"name": "lan"},
            "spec": {"config": "{\"cniVersion\":\"0.3.1\",\"name\":\"lan\",\"type\":\"bridge\"}"},
        }))
        .await;
    let network = "version: 2\nethernets:\n  lan:\n    match: {macaddress: \"02:00:00:00:00:02\"}\n    addresses: [192.0.2.7/24]\n";
    space
        .apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "init"},
            "stringData": {"userdata": "#cloud-config\n", "networkdata": network},
        }))
        .await;
    let pod = json!({"name": "default", "masquerade": {}, "macAddress": "02:00:00:00:00:01"});
    let lan = json!({"name": "lan", "bridge": {}, "macAddress": "02:00:00:00:00:02"});
    let secret = json!({"name": "init"});
    let vm = with(
        virtual_machine("vm", "Always"),
        json!({
            "domain": {"devices": {"interfaces": [pod, lan]}},
            "networks": [{"name": "default", "pod": {}}, {"name": "lan", "multus": {"networkName": "lan"}}],
            "volumes": [
                {"name": "root", "dataVolume": {"name": "vm"}},
                {"name": "init", "cloudInitNoCloud": {"secretRef": secret, "networkDataSecretRef": secret}},
            ],
        }),
    );
    space.apply(&vm).await;
    until_ready(&space, "vm").await;
    let vmi = space
        .until(
            "VirtualMachineInstance",
            "vm",
            "known by its addresses",
            |vmi| {
                vmi["status"]["interfaces"][1]["ipAddress"]
                    .is_string()
                    .then(|| vmi.clone())
            },
        )
        .await;
    let interfaces = &vmi["status"]["interfaces"];
    let pod = &space.list("Pod").await[0];
    assert_eq!(interfaces[0]["ipAddress"], pod["status"]["podIP"]);
    assert_eq!(interfaces[1]["ipAddress"], "192.0.2.7");
    assert_eq!(interfaces[1]["mac"], "02:00:00:00:00:02");
}

#[tokio::test]
async fn what_is_missing_is_reported_by_the_pod() {
    let space = space("missing").await;
    space
        .apply(&data_volume("secret", "standard", json!({"blank": {}})))
        .await;
    space
        .apply(&data_volume("network", "standard", json!({"blank": {}})))
        .await;
    let root = json!({"name": "root", "dataVolume": {"name": "secret"}});
    let init = json!({"name": "init", "cloudInitNoCloud": {"secretRef": {"name": "nope"}}});
    let vm = virtual_machine("secret", "Always");
    space
        .apply(&with(vm, json!({"volumes": [root, init]})))
        .await;
    let vm = virtual_machine("network", "Always");
    let networks = json!([{"name": "default", "multus": {"networkName": "nope"}}]);
    let devices = json!({"interfaces": [{"name": "default", "bridge": {}}]});
    let template = json!({"networks": networks, "domain": {"devices": devices}});
    space.apply(&with(vm, template)).await;
    for (name, reason, words) in [
        ("secret", "FailedMount", "secret \"nope\" not found"),
        ("network", "FailedCreatePodSandBox", "nope"),
    ] {
        until_printable(&space, name, "Starting").await;
        let reported = async || {
            let events = space.list("Event").await;
            let of_pod = events.iter().filter(|event| {
                let pod = event["regarding"]["name"].as_str().unwrap();
                event["reason"] == reason && pod.contains(name)
            });
            let mut notes = of_pod.filter_map(|event| event["note"].as_str());
            match notes.any(|note| note.contains(words)) {
                true => Ok(()),
                false => Err(events.len()),
            }
        };
        eventually(reason, DEADLINE, reported).await.unwrap();
    }
    space.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "nope"}, "stringData": {"userdata": "x"}})).await;
    until_printable(&space, "secret", "Running").await;
}

#[tokio::test]
async fn scenarios_come_from_a_namespace_too_and_heal() {
    let space = space("scenarios").await;
    let namespaces: Api<Namespace> = Api::all(space.client.clone());
    let annotate = async |text: Option<&str>| {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {SCENARIO: text}}}));
        let params = PatchParams::default();
        namespaces
            .patch(&space.name, &params, &patch)
            .await
            .unwrap();
    };
    annotate(Some("unschedulable=taint")).await;
    space
        .apply(&data_volume("vm", "standard", json!({"blank": {}})))
        .await;
    space.apply(&virtual_machine("vm", "Always")).await;
    let vm = until_printable(&space, "vm", "ErrorUnschedulable").await;
    assert!(
        condition(&vm, "PodScheduled")
            .2
            .starts_with("0/2 nodes are available: 2 node(s) had untolerated taint")
    );
    annotate(None).await;
    until_printable(&space, "vm", "Running").await;
}

#[tokio::test]
async fn a_deleted_vm_takes_its_instance_and_pod_along() {
    let space = space("deletion").await;
    running(&space, "vm").await;
    let seen = shows(
        &space,
        ("VirtualMachine", "vm"),
        printable,
        "Terminating",
        space.delete("VirtualMachine", "vm"),
    );
    seen.await;
    space.gone("VirtualMachine", "vm").await;
    for kind in ["VirtualMachineInstance", "Pod"] {
        assert!(space.names(kind).await.is_empty(), "{kind}");
    }
    assert_eq!(space.names("DataVolume").await, ["vm"]);

    space.apply(&virtual_machine("vm", "Always")).await;
    until_ready(&space, "vm").await;
    space
        .delete_with("VirtualMachine", "vm", PropagationPolicy::Orphan)
        .await;
    space.gone("VirtualMachine", "vm").await;
    let vmi = space.get("VirtualMachineInstance", "vm").await;
    assert_eq!(vmi["status"]["phase"], "Running");
}

#[tokio::test]
async fn a_namespace_with_a_running_vm_can_be_deleted() {
    let space = space("namespace").await;
    running(&space, "vm").await;
    let namespaces: Api<Namespace> = Api::all(space.client.clone());
    namespaces
        .delete(&space.name, &Default::default())
        .await
        .unwrap();
    let gone = async || match namespaces.get_opt(&space.name).await {
        Ok(None) => Ok(()),
        other => Err(other),
    };
    eventually("the namespace is gone", DEADLINE, gone)
        .await
        .unwrap();
}

#[tokio::test]
async fn many_vms_run_at_once_and_a_settled_cluster_is_quiet() {
    let space = space("many").await;
    let names: Vec<String> = (0..40).map(|number| format!("vm-{number}")).collect();
    join_all(names.iter().map(|name| running(&space, name))).await;
    let audit = space.lab.audit();
    let writes = |request: &Request| {
        request.user_agent == "wukong-lab-simulator"
            && request.is_write()
            && request.namespace == space.name
    };
    audit
        .wait_quiet(audit.mark(), Duration::from_secs(2), DEADLINE, writes)
        .await
        .unwrap();
    // A step of the simulation is far shorter than this: what is settled stays so.
    let quiet = audit.mark();
    let later = audit
        .wait_quiet(
            quiet,
            Duration::from_secs(5),
            Duration::from_secs(6),
            writes,
        )
        .await
        .unwrap();
    assert!(later.is_empty(), "{later}");
}
