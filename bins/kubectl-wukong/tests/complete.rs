//! Completion as kubectl asks for it: `kubectl_complete-wukong` with the words of the line.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![cfg(unix)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin;

/// What `kubectl_complete-wukong` prints for the words, with the values apart from their help.
fn complete(kubeconfig: &Path, words: &[&str]) -> (Vec<String>, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("kubectl_complete-wukong");
    let plugin = cargo_bin("kubectl-wukong");
    let output = Command::new(script)
        .args(words)
        .env("PATH", plugin.parent().unwrap())
        .env("KUBECONFIG", kubeconfig)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{words:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let directive = lines.pop().unwrap();
    let value = |line: &String| line.split('\t').next().unwrap().to_owned();
    (lines.iter().map(value).collect(), directive)
}

fn offline(words: &[&str]) -> (Vec<String>, String) {
    complete(Path::new("/nowhere/kubeconfig"), words)
}

#[test]
fn commands_and_their_options() {
    let (commands, directive) = offline(&[""]);
    assert_eq!(directive, ":4");
    for command in ["status", "doctor", "port-forward"] {
        assert!(commands.contains(&command.to_owned()), "{commands:?}");
    }
    assert!(!commands.contains(&"__complete".to_owned()), "{commands:?}");
    assert_eq!(offline(&["sta"]).0, ["status", "start"]);
    assert_eq!(offline(&["-n", "shop", "unp"]).0, ["unpause"]);
    assert_eq!(offline(&["list", "--all"]).0, ["--all-namespaces"]);
    assert_eq!(offline(&["list", "--name"]).0, ["--namespace"]);
    assert_eq!(offline(&["list", "-o", ""]).0, ["table", "yaml", "json"]);
}

#[test]
fn files_of_options_that_take_one() {
    let (files, directive) = offline(&["render", "-f", "examples/min"]);
    assert_eq!(
        (files, directive),
        (vec!["examples/minimal.yaml".into()], ":4".into())
    );
    let (folders, directive) = offline(&["render", "-f", "exam"]);
    assert_eq!(
        (folders, directive),
        (vec!["examples/".into()], ":6".into())
    );
}

/// An API server that lists two Wukongs in whatever namespace, and the path of the request.
fn api_server() -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
        let request = lines.next().unwrap().unwrap();
        lines.find(|line| line.as_ref().unwrap().is_empty());
        let item = |name| {
            format!(
                "{{\"apiVersion\":\"meta.k8s.io/v1\",\"kind\":\"PartialObjectMetadata\",\"metadata\":{{\"name\":\"{name}\"}}}}"
            )
        };
        let body = format!(
            "{{\"apiVersion\":\"meta.k8s.io/v1\",\"kind\":\"PartialObjectMetadataList\",\"metadata\":{{}},\"items\":[{},{}]}}",
            item("db"),
            item("web")
        );
        write!(
            connection,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        request
    });
    (address, server)
}

#[test]
fn names_of_objects_in_the_namespace_of_the_line() {
    let resume = ["-n", "lab", "snapshot", "schedule", "resume", ""];
    let create = [
        "-n", "lab", "snapshot", "schedule", "create", "x", "--wukong", "",
    ];
    for (words, names, plural) in [
        (
            ["-n", "lab", "status", ""].as_slice(),
            ["db", "web"].as_slice(),
            "wukongs",
        ),
        (&["doctor", "-n", "lab", "w"], &["web"], "wukongs"),
        (&["--namespace=lab", "ssh", "d"], &["db"], "wukongs"),
        (
            &["-n", "lab", "snapshot", "create", "d"],
            &["db"],
            "wukongs",
        ),
        (&create, &["db", "web"], "wukongs"),
        (&resume, &["db", "web"], "wukongsnapshotschedules"),
    ] {
        let (address, server) = api_server();
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config");
        let text = format!(
            "{{apiVersion: v1, kind: Config, current-context: here, \
             clusters: [{{name: here, cluster: {{server: 'http://{address}'}}}}], \
             contexts: [{{name: here, context: {{cluster: here, namespace: shop}}}}]}}"
        );
        std::fs::write(&config, text).unwrap();
        assert_eq!(complete(&config, words).0, names, "{words:?}");
        let request = server.join().unwrap();
        let path = format!("/namespaces/lab/{plural}?");
        assert!(request.contains(&path), "{request}");
    }
}

#[test]
fn no_names_without_a_cluster() {
    assert_eq!(offline(&["status", ""]), (vec![], ":4".into()));
}
