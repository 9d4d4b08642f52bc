//! One manifest becomes a running VM.

use serde_json::{Value, json};
use wukong_lab::cluster::manifests::{self, repository};

use crate::cluster;
use crate::support::{Space, condition, root, strings, wukong};

/// The keys that the example names.
async fn ssh_keys(space: &Space<'_>) {
    let keys = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "my-ssh-keys"},
        "stringData": {"key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK me@example.com"}});
    space.apply(&keys).await;
}

fn network<'a>(wukong: &'a Value, name: &str) -> &'a Value {
    let networks = wukong["status"]["networks"].as_array().unwrap();
    networks
        .iter()
        .find(|network| network["name"] == name)
        .unwrap()
}

fn kubectl(space: &Space<'_>, args: &[&str]) -> String {
    let output = std::process::Command::new(space.lab.kubectl())
        .arg("--kubeconfig")
        .arg(space.lab.kubeconfig())
        .args(["--namespace", &space.name])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_example_becomes_a_running_vm_with_addresses() {
    let space = cluster().await.space("example").await;
    ssh_keys(&space).await;
    let example = repository("deploy/examples/ubuntu.yaml");
    manifests::apply(&space.client, &example, &space.name)
        .await
        .unwrap();

    space.running("ubuntu").await;
    let wukong = space
        .wukong("ubuntu", "answered by its guest", |wukong| {
            condition(wukong, "GuestReady").0 == "True"
        })
        .await;
    let pod = network(&wukong, "pod-network")["ipAddress"]
        .as_str()
        .unwrap();
    assert!(pod.starts_with("10.244."), "{pod}");
    let lan = network(&wukong, "lan");
    assert_eq!(lan["ipAddress"], "192.168.100.10");
    assert_eq!(lan["intended"], json!(["192.168.100.10/24"]));
    let definitions = space.names("NetworkAttachmentDefinition").await;
    assert_eq!(definitions, [lan["nadName"].as_str().unwrap()]);

    let volumes = wukong["status"]["volumes"].as_array().unwrap();
    for (volume, claim) in volumes.iter().zip(["ubuntu.root", "ubuntu.data"]) {
        assert_eq!(volume["pvcName"], claim);
        assert_eq!(volume["bound"], true, "{volume}");
    }
    assert_eq!(volumes.len(), 2);
    assert_eq!(wukong["status"]["vmName"], "ubuntu");
    assert!(wukong["status"]["blocker"].is_null(), "{wukong}");

    let node = wukong["status"]["nodeName"].as_str().unwrap();
    let table = kubectl(&space, &["get", "wk", "ubuntu"]);
    let mut lines = table.lines();
    let header: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(
        header,
        [
            "NAME", "PHASE", "CPU", "MEMORY", "IP", "NODE", "REASON", "AGE"
        ]
    );
    let row: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(row[..6], ["ubuntu", "Running", "2", "4Gi", pod, node]);
    let wide = kubectl(&space, &["get", "wk", "ubuntu", "-o", "wide"]);
    assert!(wide.contains("ubuntu:24.04"), "{wide}");
}

#[tokio::test]
async fn the_vm_is_created_as_soon_as_its_claims_exist() {
    let space = cluster().await.space("order").await;
    // The import takes long: the VM does not wait for it.
    let data = json!({"name": "data", "size": "1Gi"});
    let mut object = wukong("web", json!({"disks": [root(), data]}));
    object["metadata"]["annotations"] =
        json!({"simulator.wukong.dev/scenario": "slow-import=1000"});
    space.apply(&object).await;
    let vm = space
        .until("VirtualMachine", "web", "there", |vm| {
            (!vm.is_null()).then(|| vm.clone())
        })
        .await;
    assert_eq!(vm["spec"]["runStrategy"], "Always");
    let root = space.get("DataVolume", "web.root").await;
    assert_ne!(root["status"]["phase"], "Succeeded");

    let requests = space.lab.audit().all().unwrap().in_namespace(&space.name);
    let applied = requests
        .iter()
        .find(|request| request.resource == "virtualmachines" && request.verb == "patch")
        .unwrap();
    for claim in ["web.root", "web.data"] {
        let found = space.get("PersistentVolumeClaim", claim).await;
        assert!(!found.is_null(), "{claim}");
        let made = requests
            .iter()
            .find(|request| {
                request.resource == "persistentvolumeclaims"
                    && request.verb == "create"
                    && request.name == claim
                    && request.complete
            })
            .unwrap();
        assert!(made.received < applied.received, "{made}\n{applied}");
    }
    // So nothing false was ever said of claims that are missing.
    let blocked = strings(&vm["status"]["printableStatus"]);
    assert!(!blocked.contains(&"ErrorPvcNotFound"));
    space.scenario("web", None).await;
    space.running("web").await;
}
