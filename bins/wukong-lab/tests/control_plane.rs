//! The lab's own promises: a real API server with the upstream schemas, and processes that never outlive the lab.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::core::params::ValidationDirective;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use wukong_lab::cluster::wait::eventually;
use wukong_lab::{ADMIN, Lab, Operator, OperatorOptions, Options, Upstream};

const SHIM: &str = env!("CARGO_BIN_EXE_wukong-lab");
const SOON: Duration = Duration::from_secs(60);

async fn lab() -> &'static Lab {
    static LAB: OnceCell<Lab> = OnceCell::const_new();
    LAB.get_or_try_init(|| Lab::start(Options::new("control-plane-tests").shim(SHIM)))
        .await
        .unwrap()
}

fn virtual_machine(template_spec: Value) -> Value {
    json!({
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": "vm"},
        "spec": {"runStrategy": "Halted", "template": {"spec": template_spec}},
    })
}

async fn apply_strictly(lab: &Lab, namespace: &str, vm: &Value) -> kube::Result<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(
        "kubevirt.io",
        "v1",
        "VirtualMachine",
    ));
    let api: Api<DynamicObject> =
        Api::namespaced_with(lab.client().await.unwrap(), namespace, &kind);
    let params = PatchParams {
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply("control-plane-tests")
    };
    api.patch("vm", &params, &Patch::Apply(vm)).await
}

fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie has ended; its parent has not read its exit status yet.
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test]
async fn upstream_kinds_are_served_with_their_status_subresources() {
    let client = lab().await.client().await.unwrap();
    let crds: Api<CustomResourceDefinition> = Api::all(client);
    let names: Vec<String> = crds
        .list(&Default::default())
        .await
        .unwrap()
        .iter()
        .map(ResourceExt::name_any)
        .collect();
    for expected in [
        "virtualmachines.kubevirt.io",
        "virtualmachineinstances.kubevirt.io",
        "datavolumes.cdi.kubevirt.io",
        "network-attachment-definitions.k8s.cni.cncf.io",
        "nodenetworkconfigurationpolicies.nmstate.io",
        "volumesnapshots.snapshot.storage.k8s.io",
    ] {
        assert!(
            names.iter().any(|name| name == expected),
            "{expected} is missing in {names:?}"
        );
    }
    let has_status = async |name: &str| {
        let crd = crds.get(name).await.unwrap();
        crd.spec.versions[0]
            .subresources
            .as_ref()
            .is_some_and(|subresources| subresources.status.is_some())
    };
    assert!(has_status("virtualmachines.kubevirt.io").await);
    // As upstream: an update of an instance updates all of it.
    assert!(!has_status("virtualmachineinstances.kubevirt.io").await);
}

#[tokio::test]
async fn an_unknown_field_in_a_virtual_machine_is_refused() {
    let lab = lab().await;
    let namespace = lab.namespace("strict").await.unwrap();
    let good = virtual_machine(json!({"domain": {"cpu": {"sockets": 2}, "devices": {}}}));
    apply_strictly(lab, &namespace, &good).await.unwrap();
    let bad = virtual_machine(json!({"domain": {"cpu": {"socket": 2}, "devices": {}}}));
    let refusal = apply_strictly(lab, &namespace, &bad)
        .await
        .unwrap_err()
        .to_string();
    assert!(refusal.contains("socket"), "{refusal}");
}

#[tokio::test]
async fn the_audit_log_tells_who_did_what() {
    let lab = lab().await;
    let namespace = lab.namespace("audit").await.unwrap();
    let client = lab.client_named("audit-test/1").await.unwrap();
    let mark = lab.audit().mark();
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "one"}})).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    maps.get("one").await.unwrap();
    maps.get_opt("two").await.unwrap();

    let quiet = Duration::from_millis(300);
    let mine = lab
        .audit()
        .wait_quiet(mark, quiet, SOON, |request| {
            request.user_agent == "audit-test/1"
        })
        .await
        .unwrap();
    assert_eq!(mine.clone().writes().len(), 1, "{mine}");
    assert_eq!(mine.clone().gets().len(), 2, "{mine}");
    let missing = mine.iter().find(|request| request.name == "two").unwrap();
    assert_eq!(
        (
            missing.code,
            missing.user.as_str(),
            missing.resource.as_str()
        ),
        (404, ADMIN, "configmaps")
    );
    let elsewhere = lab
        .audit()
        .since(mark)
        .unwrap()
        .of_agent("audit-test")
        .filter(|request| request.namespace != namespace);
    assert!(elsewhere.is_empty(), "{elsewhere}");
}

#[tokio::test]
async fn a_project_can_appear_and_vanish() {
    let lab = Lab::start(
        Options::new("appearing-tests")
            .shim(SHIM)
            .without(Upstream::Multus),
    )
    .await
    .unwrap();
    let crds: Api<CustomResourceDefinition> = Api::all(lab.client().await.unwrap());
    let name = "network-attachment-definitions.k8s.cni.cncf.io";
    assert!(crds.get_opt(name).await.unwrap().is_none());
    lab.install(Upstream::Multus).await.unwrap();
    assert!(crds.get_opt(name).await.unwrap().is_some());
    lab.remove(Upstream::Multus).await.unwrap();
    assert!(crds.get_opt(name).await.unwrap().is_none());
}

#[tokio::test]
async fn owned_objects_are_collected_with_their_owner() {
    let lab = lab().await;
    let namespace = lab.namespace("collected").await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(lab.client().await.unwrap(), &namespace);
    let owner: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "owner"}})).unwrap();
    let owner = maps.create(&PostParams::default(), &owner).await.unwrap();
    let owned: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "owned", "ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.uid().unwrap()},
        ]}}))
        .unwrap();
    maps.create(&PostParams::default(), &owned).await.unwrap();
    maps.delete("owner", &Default::default()).await.unwrap();
    eventually("the owned object is gone", SOON, async || {
        match maps.get_opt("owned").await {
            Ok(None) => Ok(()),
            other => Err(other),
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn processes_and_files_go_with_the_lab() {
    let lab = Lab::start(Options::new("dropped-tests").shim(SHIM))
        .await
        .unwrap();
    let pids = lab.pids();
    let dir = lab.dir().to_owned();
    assert!(pids.len() >= 2 && pids.iter().all(|pid| is_running(*pid)));
    drop(lab);
    let left: Vec<&u32> = pids.iter().filter(|pid| is_running(**pid)).collect();
    assert!(left.is_empty(), "still running: {left:?}");
    assert!(!dir.exists());
}

/// A stand-in for an operator, which shows how the lab treats its processes.
fn script(text: &str) -> OperatorOptions {
    OperatorOptions::default()
        .binary("/bin/sh")
        .arg("-c")
        .arg(text)
}

async fn says(operator: &Operator, expected: &str) {
    eventually(&format!("it says {expected}"), SOON, async || {
        let logs = operator.logs();
        if logs.contains(expected) {
            Ok(())
        } else {
            Err(logs)
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_operator_is_stopped_gently_and_killed_at_once() {
    let lab = lab().await;
    let polite = "trap 'exit 7' TERM; echo with $KUBECONFIG; while :; do sleep 0.05; done";
    let operator = lab.start_operator(script(polite)).await.unwrap();
    says(&operator, lab.operator_kubeconfig().to_str().unwrap()).await;
    assert_eq!(operator.stop().await.unwrap().code(), Some(7));

    let operator = lab.start_operator(script(polite)).await.unwrap();
    says(&operator, "with").await;
    assert_eq!(operator.kill().await.unwrap().code(), Some(128 + 9));

    let deaf = "trap '' TERM; echo deaf; while :; do sleep 0.05; done";
    let operator = lab
        .start_operator(script(deaf).grace(Duration::from_secs(1)))
        .await
        .unwrap();
    says(&operator, "deaf").await;
    assert_eq!(operator.stop().await.unwrap().code(), Some(128 + 9));
}

#[tokio::test]
async fn a_frozen_operator_does_nothing_until_it_is_thawed() {
    let lab = lab().await;
    let counting = "n=0; while :; do n=$((n+1)); echo line $n; sleep 0.02; done";
    let operator = lab.start_operator(script(counting)).await.unwrap();
    says(&operator, "line 3").await;
    operator.process().freeze();
    let state = || {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", operator.process().pid())).unwrap();
        stat.rsplit(") ").next().unwrap().chars().next().unwrap()
    };
    eventually("it is stopped", SOON, async || {
        if state() == 'T' { Ok(()) } else { Err(state()) }
    })
    .await
    .unwrap();
    let lines = operator.logs().lines().count();
    operator.process().thaw();
    says(&operator, &format!("line {}", lines + 3)).await;
}

/// A lab in a process of its own, as `up --foreground` starts it, killed without a chance to clean up.
#[tokio::test]
async fn processes_end_when_the_lab_is_killed() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut owner = Command::new(SHIM)
        .args(["up", "--foreground", "--no-operator", "--no-simulator"])
        .env("TMPDIR", private_tmp())
        .stdin(Stdio::null())
        .stdout(log.reopen().unwrap())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    eventually("the lab says that it is up", SOON, async || {
        let printed = std::fs::read_to_string(log.path()).unwrap();
        if printed.contains("kubeconfig") {
            Ok(())
        } else {
            Err(printed)
        }
    })
    .await
    .unwrap();
    let mentions = private_tmp();
    assert!(
        processes_mentioning(&mentions) >= 3,
        "etcd and kube-apiserver run in {mentions:?}"
    );
    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually(
        "no process of the killed lab is left",
        SOON,
        async || match processes_mentioning(&mentions) {
            0 => Ok(()),
            left => Err(left),
        },
    )
    .await
    .unwrap();
}

/// Where the killed lab lives, so that it does not meet a developer's own one.
fn private_tmp() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("killed-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn processes_mentioning(path: &Path) -> usize {
    let path = path.to_str().unwrap().as_bytes();
    let mentions = |entry: &std::fs::DirEntry| {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        command.windows(path.len()).any(|window| window == path)
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(mentions)
        .count()
}

#[tokio::test]
async fn namespaces_do_not_meet() {
    let lab = lab().await;
    let (first, second) = (
        lab.namespace("same").await.unwrap(),
        lab.namespace("same").await.unwrap(),
    );
    assert_ne!(first, second);
    let namespaces: Api<Namespace> = Api::all(lab.client().await.unwrap());
    assert!(namespaces.get(&first).await.is_ok() && namespaces.get(&second).await.is_ok());
}
