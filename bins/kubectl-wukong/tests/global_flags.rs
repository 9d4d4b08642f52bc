//! The flags that select cluster and namespace, before and after the command.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use assert_cmd::Command;

const CONFIG: &str = "
apiVersion: v1
kind: Config
current-context: here
clusters: [{name: here, cluster: {server: 'http://127.0.0.1:1'}}]
contexts: [{name: here, context: {cluster: here, namespace: shop}}]
";

/// Exit code, standard output and error of a call without a cluster.
fn plugin(args: &[&str]) -> (i32, String, String) {
    let output = Command::cargo_bin("kubectl-wukong")
        .unwrap()
        .args(args)
        .env("KUBECONFIG", "/nowhere/kubeconfig")
        .current_dir(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../deploy/examples"
        ))
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn the_namespace_counts_before_and_after_the_command() {
    let after = plugin(&["render", "-f", "ubuntu.yaml", "-o", "table", "-n", "demo"]);
    assert_eq!(after.0, 0, "{}", after.2);
    assert!(after.1.contains("demo"), "{}", after.1);
    for flag in [
        ["-n", "demo"].as_slice(),
        &["--namespace", "demo"],
        &["--namespace=demo"],
        &["-ndemo"],
    ] {
        let line = [flag, &["render", "-f", "ubuntu.yaml", "-o", "table"]].concat();
        assert_eq!(plugin(&line), after, "{flag:?}");
    }
}

#[test]
fn the_last_one_wins() {
    let (_, table, _) = plugin(&[
        "-n",
        "one",
        "render",
        "-f",
        "ubuntu.yaml",
        "-o",
        "table",
        "-n",
        "two",
    ]);
    assert!(table.contains("two") && !table.contains("one"), "{table}");
}

#[test]
fn context_and_kubeconfig_count_before_and_after_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config");
    std::fs::write(&config, CONFIG).unwrap();
    let config = config.to_str().unwrap();
    for line in [
        ["--kubeconfig", config, "--context", "nope", "status", "web"],
        ["status", "web", "--kubeconfig", config, "--context", "nope"],
        ["--kubeconfig", config, "status", "--context", "nope", "web"],
    ] {
        let (code, _, error) = plugin(&line);
        assert_eq!(code, 1);
        assert!(error.contains("nope"), "{line:?}: {error}");
    }
    let (code, _, error) = plugin(&["--kubeconfig", config, "status", "web"]);
    assert_eq!(code, 1);
    assert!(error.contains("cannot be reached"), "{error}");
}
