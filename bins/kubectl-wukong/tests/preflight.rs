//! `kubectl wukong preflight`, on a dump.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use assert_cmd::Command;
use serde_json::Value;

const CLUSTER: &str = include_str!("data/cluster.yaml");

fn preflight(cluster: &str, args: &[&str]) -> (i32, String) {
    let dir = tempfile::tempdir().unwrap();
    let dump = dir.path().join("dump.yaml");
    std::fs::write(&dump, cluster).unwrap();
    let output = Command::cargo_bin("kubectl-wukong")
        .unwrap()
        .args(["preflight", "--from"])
        .arg(&dump)
        .args(args)
        .env("KUBECONFIG", "/nowhere/kubeconfig")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

/// The checks that came out so.
fn with_status(checks: &str, status: &str) -> Vec<String> {
    let reports: Value = serde_json::from_str(checks).unwrap();
    let checks = reports[0]["checks"].as_array().unwrap();
    let of_status = checks.iter().filter(|check| check["status"] == status);
    of_status
        .map(|check| check["reason"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_cluster_that_can_run_vms() {
    let (code, out) = preflight(CLUSTER, &["-o", "json"]);
    assert_eq!((code, with_status(&out, "Fail")), (0, Vec::new()), "{out}");
    assert!(!with_status(&out, "Pass").is_empty());
}

#[test]
fn no_virtualization_is_one_sentence_with_what_to_do() {
    let broken = CLUSTER.replace(
        "devices.kubevirt.io/kvm: \"1000\"",
        "devices.kubevirt.io/kvm: \"0\"",
    );
    let (code, out) = preflight(&broken, &[]);
    assert_eq!(code, 1);
    for words in [
        "✗ kvm-device",
        "Node/node-1",
        "useEmulation",
        "This cluster cannot run VMs: NoVirtualizationDevices.",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
}

#[test]
fn a_crash_looping_virt_handler_is_named() {
    let broken = CLUSTER
        .replace(
            "kubevirt.io/schedulable: \"true\"",
            "kubevirt.io/schedulable: \"false\"",
        )
        .replace(
            "ready: true, restartCount: 0, state: {running: {}}",
            "ready: false, restartCount: 9, state: {waiting: {reason: CrashLoopBackOff}}",
        );
    let (code, out) = preflight(&broken, &["-o", "json"]);
    assert_eq!(
        (code, with_status(&out, "Fail")),
        (1, vec!["VirtHandlerNotReady".to_owned()]),
        "{out}"
    );
}

#[test]
fn emulation_without_tun_fails_for_tun() {
    let broken = CLUSTER
        .replace(
            "configuration: {}",
            "configuration: {developerConfiguration: {useEmulation: true}}",
        )
        .replace(
            "devices.kubevirt.io/kvm: \"1000\", devices.kubevirt.io/tun: \"1000\", ",
            "",
        );
    let (code, out) = preflight(&broken, &[]);
    assert_eq!(code, 1);
    assert!(
        out.contains("✗ tun-device") && !out.contains("✗ kvm-device"),
        "{out}"
    );
}

#[test]
fn a_vm_can_ask_for_more_than_the_cluster_has() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("vm.yaml");
    std::fs::write(
        &manifest,
        "{apiVersion: vm.novasphere.dev/v1alpha1, kind: Wukong, metadata: {name: big}, \
        spec: {cpu: 1, memory: 64Gi, osImage: fedora}}",
    )
    .unwrap();
    let (code, out) = preflight(CLUSTER, &["-o", "json", "-f", manifest.to_str().unwrap()]);
    assert_eq!(
        (code, with_status(&out, "Fail")),
        (1, vec!["InsufficientMemory".to_owned()]),
        "{out}"
    );
}

#[test]
fn policies_of_the_cluster_are_the_first_check_of_a_manifest() {
    let policy = "
- apiVersion: vm.novasphere.dev/v1alpha1
  kind: WukongPolicy
  metadata: {name: small}
  spec: {limits: {memory: 512Mi}, networks: {}}
";
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("vm.yaml");
    let vm = "{apiVersion: vm.novasphere.dev/v1alpha1, kind: Wukong, metadata: {name: web}, spec: {cpu: 1, memory: 1Gi, networks: [{name: lan, type: bridge}]}}";
    std::fs::write(&manifest, vm).unwrap();
    let args = ["-f", manifest.to_str().unwrap(), "-o", "json"];

    let (_, out) = preflight(CLUSTER, &args);
    assert!(!out.contains("\"policies\""), "{out}");

    let (code, out) = preflight(&format!("{CLUSTER}{policy}"), &args);
    assert_eq!(code, 1);
    let reports: Value = serde_json::from_str(&out).unwrap();
    let first = &reports[0]["checks"][0];
    assert_eq!(first["reason"], "PolicyViolation");
    assert_eq!(first["status"], "Fail");
    assert_eq!(
        first["evidence"],
        serde_json::json!([
            "spec.memory: WukongPolicy small allows at most 512Mi",
            "spec.networks[0].bridgeName: WukongPolicy small allows none",
        ])
    );

    let wide = policy
        .replace("512Mi", "1Gi")
        .replace("{}", "{bridges: [{name: '*'}]}");
    let (_, out) = preflight(&format!("{CLUSTER}{wide}"), &args);
    let reports: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(reports[0]["checks"][0]["status"], "Pass");
}
