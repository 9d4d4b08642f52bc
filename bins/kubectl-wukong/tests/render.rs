//! `kubectl wukong render`, as a person calls it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;

use assert_cmd::Command;
use serde_json::Value;

fn examples() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/examples")
}

/// The plugin on a machine that has no cluster: a kubeconfig that names one that cannot be reached.
fn plugin(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("kubectl-wukong").unwrap();
    command
        .args(args)
        .env("KUBECONFIG", "/nowhere/kubeconfig")
        .current_dir(examples());
    command
}

fn run(args: &[&str], stdin: &str) -> (i32, String, String) {
    let output = plugin(args).write_stdin(stdin).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn refused(manifest: &str) -> String {
    let (code, out, err) = run(&["render", "-f", "-"], manifest);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    err
}

#[test]
fn every_example_renders_as_it_did() {
    for example in fs::read_dir(examples()).unwrap() {
        let example = example.unwrap();
        // Policies and snapshots are in folders of their own.
        if example.path().is_dir() {
            continue;
        }
        let name = example.file_name().into_string().unwrap();
        let (code, out, err) = run(&["render", "-f", &name, "-n", "demo"], "");
        assert_eq!((code, err.as_str()), (0, ""), "{name}");
        insta::assert_snapshot!(format!("example-{}", name.trim_end_matches(".yaml")), out);
        assert_eq!(
            run(&["render", "-f", &name, "-n", "demo"], "").1,
            out,
            "{name} again"
        );
    }
}

#[test]
fn yaml_and_json_hold_the_same_objects() {
    let (_, yaml, _) = run(&["render", "-f", "ubuntu.yaml"], "");
    let (_, json, _) = run(&["render", "-f", "ubuntu.yaml", "-o", "json"], "");
    let documents: Vec<Value> = serde_saphyr::from_multiple(&yaml).unwrap();
    let list: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(list["items"], Value::Array(documents));
}

#[test]
fn the_table_lists_the_objects() {
    let (_, table, _) = run(&["render", "-f", "ubuntu.yaml", "-o", "table"], "");
    insta::assert_snapshot!("table", table);
}

#[test]
fn several_manifests_come_from_one_stream_and_other_objects_are_passed_over() {
    let stream = "\
apiVersion: v1
kind: Secret
metadata: {name: keys}
---
apiVersion: vm.novasphere.dev/v1alpha1
kind: Wukong
metadata: {name: a, namespace: x}
spec: {cpu: 1, memory: 1Gi, osImage: fedora}
---
---
apiVersion: v1
kind: List
items:
- apiVersion: vm.novasphere.dev/v1alpha1
  kind: Wukong
  metadata: {name: b}
  spec: {cpu: 1, memory: 1Gi, osImage: fedora}
";
    let (code, table, _) = run(&["render", "-f", "-", "-o", "table"], stream);
    assert_eq!(code, 0);
    insta::assert_snapshot!("several", table);
}

#[test]
fn the_uid_decides_about_addresses() {
    let render = |args: &[&str]| run(&[&["render", "-f", "ubuntu.yaml"], args].concat(), "").1;
    assert_ne!(render(&[]), render(&["--uid", "c0ffee"]));
    assert_eq!(
        render(&["--uid", "c0ffee"]),
        render(&["--uid=c0ffee", "-n", "default"])
    );
    assert!(render(&["--uid", "c0ffee"]).contains("uid: c0ffee"));
}

#[test]
fn a_cluster_without_multus_or_cdi_gets_less() {
    let table = |args: &[&str]| {
        let (code, out, err) = run(
            &[&["render", "-f", "ubuntu.yaml", "-o", "table"], args].concat(),
            "",
        );
        assert_eq!(code, 0);
        format!("{out}{err}")
    };
    insta::assert_snapshot!("without-multus", table(&["--multus=false"]));
    insta::assert_snapshot!("without-cdi", table(&["--cdi=false"]));
}

#[test]
fn unknown_fields_are_refused_with_the_nearest_known_name() {
    insta::assert_snapshot!(
        "unknown-fields",
        refused(
            "\
apiVersion: vm.novasphere.dev/v1alpha1
kind: Wukong
metadata: {name: web, lables: {a: b}}
spec:
  cpus: 2
  memory: 2Gi
  os_image: fedora
  cloudInitUser: {name: me, sshKeys: []}
  networks:
  - {name: lan, type: brigde, ipConfig: {mode: dhcp, adress: 10.0.0.1/24}}
  disks:
  - {name: root, size: 1Gi, storageClass: fast}
statuss: {}
"
        )
    );
}

#[test]
fn wrong_types_are_refused_with_their_path() {
    insta::assert_snapshot!(
        "wrong-types",
        refused(
            "\
apiVersion: vm.novasphere.dev/v1
kind: Wukong
metadata: {name: web}
spec:
  cpu: '2'
  memory: [4Gi]
  osImage: 24
  firmware: uefi
  terminationGracePeriodSeconds: 100000
  cloudInitUser: {name: me, password: 12345}
  disks: {name: root}
  networks:
  - {name: lan, type: bridge, vlanId: 5000}
  highAvailability: {antiAffinity: 'yes', nodeSelector: {a: 1}}
"
        )
    );
}

#[test]
fn a_manifest_that_the_operator_refuses_is_refused() {
    insta::assert_snapshot!(
        "refused",
        refused(
            "\
apiVersion: vm.novasphere.dev/v1alpha1
kind: Wukong
metadata: {name: web}
spec:
  cpu: 0
  memory: '4'
  disks:
  - {name: root, size: 1K, image: 'http://169.254.169.254/x'}
  - {name: root, size: 1Gi}
"
        )
    );
}

#[test]
fn a_password_of_the_wrong_type_is_not_repeated() {
    let manifest = "\
apiVersion: vm.novasphere.dev/v1alpha1
kind: Wukong
metadata: {name: web}
spec: {cpu: 1, memory: 1Gi, cloudInitUser: {name: me, password: 271828}}
";
    assert!(!refused(manifest).contains("271828"));
}

#[test]
fn an_empty_field_is_an_absent_one() {
    let manifest = "\
apiVersion: vm.novasphere.dev/v1alpha1
kind: Wukong
metadata: {name: web}
spec:
  cpu: 1
  memory: 1Gi
  osImage: fedora
  disks:
  networks:
";
    assert_eq!(run(&["render", "-f", "-"], manifest).0, 0);
}

#[test]
fn a_stored_wukong_renders() {
    let manifest = "\
apiVersion: vm.novasphere.dev/v1alpha1
kind: Wukong
metadata: {name: web, namespace: x, uid: c0ffee, generation: 1, managedFields: []}
spec: {cpu: 1, memory: 1Gi, osImage: fedora}
status: {phase: Running, conditions: []}
";
    let (code, out, _) = run(&["render", "-f", "-"], manifest);
    assert_eq!(code, 0);
    assert!(out.contains("uid: c0ffee"));
}

#[test]
fn a_wrong_call_names_the_mistake() {
    let manifest = "\
apiVersion: vm.novasphere.dev/v1alpha1
kind: Wukong
metadata: {name: web, namespace: x}
spec: {cpu: 1, memory: 1Gi, osImage: fedora}
";
    for (args, stdin, words) in [
        (&["render"][..], "", "--filename <FILE>"),
        (
            &["render", "-f", "nowhere.yaml"],
            "",
            "cannot read nowhere.yaml",
        ),
        (&["render", "-f", "-"], "a: [", "standard input is not YAML"),
        (
            &["render", "-f", "-"],
            "kind: Pod",
            "no Wukong (apiVersion: ",
        ),
        (
            &["render", "-f", "-", "-n", "y"],
            manifest,
            "x differs from --namespace y",
        ),
        (
            &[
                "render",
                "-f",
                "ubuntu.yaml",
                "-f",
                "minimal.yaml",
                "--uid=1",
            ],
            "",
            "--uid applies to one Wukong",
        ),
        (&["rendr"], "", "render"),
    ] {
        let (code, out, err) = run(args, stdin);
        assert_eq!((code, out.as_str()), (1, ""), "{args:?}");
        assert!(err.contains(words), "{args:?}: {err}");
    }
}

#[test]
fn no_colours_without_a_terminal() {
    let (_, out, _) = run(&["render", "-f", "ubuntu.yaml"], "");
    let (_, _, err) = run(&["render", "-f", "nowhere"], "");
    assert!(!out.contains('\u{1b}') && !err.contains('\u{1b}'));
}

#[test]
fn every_shell_has_completions() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (code, out, _) = run(&["completion", shell], "");
        assert!(code == 0 && out.contains("render"), "{shell}");
    }
}

fn with_policy(policy: &str, manifest: &str) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("policy.yaml");
    fs::write(&file, policy).unwrap();
    let args = ["render", "-f", "-", "-n", "demo", "--policy"];
    run(&[&args[..], &[file.to_str().unwrap()]].concat(), manifest)
}

const TWO_CPUS: &str = "
apiVersion: vm.novasphere.dev/v1alpha1
kind: WukongPolicy
metadata: {name: small}
spec: {limits: {cpu: 2}, imageHosts: [quay.io]}
";

fn with_cpus(cpus: u32) -> String {
    format!(
        "{{apiVersion: vm.novasphere.dev/v1alpha1, kind: Wukong, metadata: {{name: web}}, \
          spec: {{cpu: {cpus}, memory: 1Gi, osImage: 'docker://docker.io/x/y:1'}}}}"
    )
}

#[test]
fn a_violation_of_a_policy_is_refused_with_every_field() {
    let (code, out, err) = with_policy(TWO_CPUS, &with_cpus(4));
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(
        err,
        "error: demo/web: 2 problems\n  \
         spec.cpu: WukongPolicy small allows at most 2\n  \
         spec.osImage: WukongPolicy small allows only quay.io\n"
    );
    let everything = TWO_CPUS
        .replace("cpu: 2", "cpu: 4")
        .replace("quay.io", "'*'");
    assert_eq!(with_policy(&everything, &with_cpus(4)).0, 0);
}

#[test]
fn a_policy_is_about_the_namespaces_that_it_selects_as_far_as_they_are_known() {
    let selecting = |selector: &str| {
        TWO_CPUS.replace(
            "{limits",
            &format!("{{namespaceSelector: {selector}, limits"),
        )
    };
    let namespace =
        "\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: demo, labels: {tier: gold}}\n";
    for (selector, labels, code) in [
        ("{matchLabels: {kubernetes.io/metadata.name: demo}}", "", 1),
        ("{matchLabels: {kubernetes.io/metadata.name: other}}", "", 0),
        // Rather one policy too many than one too few.
        ("{matchLabels: {tier: iron}}", "", 1),
        ("{matchLabels: {tier: iron}}", namespace, 0),
        ("{matchLabels: {tier: gold}}", namespace, 1),
        (
            "{matchExpressions: [{key: tier, operator: NotIn, values: [gold]}]}",
            namespace,
            0,
        ),
    ] {
        let policy = selecting(selector) + labels;
        assert_eq!(with_policy(&policy, &with_cpus(4)).0, code, "{policy}");
    }
}

#[test]
fn a_policy_that_the_api_server_would_refuse_is_refused() {
    for (right, wrong, words) in [
        ("imageHosts", "imageHost", "did you mean imageHosts?"),
        (
            "cpu: 2",
            "memory: 8 GB",
            "spec.limits.memory: does not match",
        ),
        (
            "[quay.io]",
            "null",
            "spec.imageHosts: must be a list, not nothing",
        ),
        (
            "kind: WukongPolicy",
            "kind: Wukong",
            "no WukongPolicy in the files",
        ),
    ] {
        let (code, _, err) = with_policy(&TWO_CPUS.replace(right, wrong), &with_cpus(1));
        assert_eq!(code, 1);
        assert!(err.contains(words), "{err}");
    }
}

#[test]
fn every_example_of_a_policy_is_one() {
    for example in fs::read_dir(examples().join("policies")).unwrap() {
        let path = example.unwrap().path();
        let policy = fs::read_to_string(&path).unwrap();
        let (code, _, err) = with_policy(&policy, &with_cpus(1));
        let allowed_or_refused = code == 0 || err.contains("WukongPolicy tenants allows");
        assert!(allowed_or_refused, "{}: {err}", path.display());
    }
}
