//! `kubectl wukong plan`, against a dump.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use assert_cmd::Command;
use serde_json::Value;

const STORED: &str = include_str!("data/stored.yaml");

/// Exit code, standard output and error of a plan for `spec` of shop/web.
fn plan(stored: &str, spec: &str, args: &[&str]) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let dump = dir.path().join("dump.yaml");
    std::fs::write(&dump, stored).unwrap();
    let manifest = format!(
        "{{apiVersion: vm.novasphere.dev/v1alpha1, kind: Wukong, metadata: {{name: web, namespace: shop}}, spec: {{{spec}}}}}"
    );
    let output = Command::cargo_bin("kubectl-wukong")
        .unwrap()
        .args(["plan", "-f", "-", "--from"])
        .arg(&dump)
        .args(args)
        .env("KUBECONFIG", "/nowhere/kubeconfig")
        .write_stdin(manifest)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

const SAME: &str = "cpu: 2, memory: 4096Mi, osImage: 'ubuntu:24.04', cloudInitUser: {name: me, password: hunter2-old}, \
    disks: [{name: root, size: 20Gi}, {name: old, size: 1Gi}]";
const OTHER: &str = "cpu: 4, memory: 2Gi, osImage: 'ubuntu:24.04', cloudInitUser: {name: me, password: hunter2-new}, \
    networks: [{name: lan, type: bridge}], disks: [{name: root, size: 30Gi}]";

#[test]
fn nothing_changes() {
    let (code, out, err) = plan(STORED, SAME, &[]);
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (0, "shop/web: no changes\n\nNo changes.\n", "")
    );
}

#[test]
fn changes_with_their_classes() {
    let (code, out, err) = plan(STORED, OTHER, &[]);
    assert_eq!((code, err.as_str()), (2, ""));
    insta::assert_snapshot!("changes", out);
    assert!(!out.contains("hunter2"), "a secret is shown");
}

#[test]
fn a_staged_rollout_needs_a_restart() {
    let staged = STORED.replace(
        "configuration: {}",
        "configuration: {vmRolloutStrategy: Stage}",
    );
    let (code, out, _) = plan(&staged, OTHER, &[]);
    assert_eq!(code, 2);
    insta::assert_snapshot!("changes-staged", out);
}

#[test]
fn a_vm_that_cannot_migrate_needs_a_restart_for_more_memory() {
    let bigger = SAME.replace("4096Mi", "8Gi");
    let (_, out, _) = plan(STORED, &bigger, &["-o", "json"]);
    assert!(out.contains("\"class\": \"hot-plug\""), "{out}");
    // KubeVirt's default starts no migration by itself.
    assert!(out.contains("lacks LiveMigrate"), "{out}");

    let fixed = STORED.to_owned()
        + "- apiVersion: kubevirt.io/v1
  kind: VirtualMachineInstance
  metadata: {name: web, namespace: shop}
  status: {phase: Running, conditions: [{type: LiveMigratable, status: 'False', reason: DisksNotLiveMigratable}]}
";
    let (_, out, _) = plan(&fixed, &bigger, &["-o", "json"]);
    assert!(out.contains("\"class\": \"needs restart\""), "{out}");
    assert!(out.contains("this VM cannot migrate"), "{out}");
}

#[test]
fn a_refused_change_fails() {
    let (code, out, _) = plan(STORED, &SAME.replace("20Gi", "10Gi"), &[]);
    assert_eq!(code, 1);
    insta::assert_snapshot!("refused", out);
}

#[test]
fn a_power_state_in_the_manifest_wins_over_the_one_that_was_set() {
    let (code, out, _) = plan(
        STORED,
        &format!("{SAME}, powerState: Running"),
        &["-o", "json"],
    );
    let plans: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 2);
    assert_eq!(plans[0]["changes"][0]["path"], "spec.powerState");
    assert_eq!(plans[0]["changes"][0]["class"], "in place");
}

#[test]
fn a_new_wukong_lists_its_objects() {
    let (code, out, err) = plan("", OTHER, &[]);
    assert_eq!(code, 2);
    insta::assert_snapshot!("new", format!("{out}{err}"));
}

#[test]
fn an_address_that_another_wukong_has_is_named() {
    let other = "{apiVersion: vm.novasphere.dev/v1alpha1, kind: Wukong, metadata: {name: db, namespace: data, uid: d}, \
        spec: {cpu: 1, memory: 1Gi, networks: [{name: lan, type: bridge, macAddress: '02:00:00:00:00:01'}]}}";
    let fixed = "cpu: 2, memory: 4Gi, networks: [{name: lan, type: bridge, macAddress: '02:00:00:00:00:01'}]";
    let (code, out, err) = plan(other, fixed, &[]);
    assert_eq!(code, 2, "{err}");
    let expected = "MACConflict: network lan: MAC 02:00:00:00:00:01 on bridge br-lan belongs to Wukong data/db";
    assert!(out.contains(expected), "{out}");
    let (_, out, _) = plan(other, &fixed.replace("00:01", "00:02"), &[]);
    assert!(!out.contains("Conflict"), "{out}");
}

#[test]
fn an_invalid_manifest_is_no_change() {
    let (code, out, err) = plan(STORED, "cpu: 2, memroy: 4Gi", &[]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(
        err.contains("spec.memroy: unknown field; did you mean memory?"),
        "{err}"
    );
}
