//! What the plugin requests of a cluster, and the memory that it needs, do not grow with the VMs of others.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod objects;
mod server;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use serde_json::{Value, json};

use objects::{Cluster, GROWING, NAMESPACE, spec};
use server::{Answered, Server};

/// Most objects in a page of events.
const PAGE: usize = 500;

fn cluster(wukongs: usize) -> Cluster {
    Cluster {
        wukongs,
        foreign_pods: 0,
        provisioner: "fast.example",
    }
}

/// A server, and a directory with a kubeconfig for it and a manifest of `web-7` with its address.
struct Setup {
    server: Server,
    dir: tempfile::TempDir,
}

impl Setup {
    fn of(cluster: Cluster) -> Self {
        let server = Server::start(cluster);
        let dir = tempfile::tempdir().unwrap();
        let config = format!(
            "{{apiVersion: v1, kind: Config, current-context: here, \
             clusters: [{{name: here, cluster: {{server: 'http://{}'}}}}], \
             contexts: [{{name: here, context: {{cluster: here, namespace: {NAMESPACE}}}}}]}}",
            server.address
        );
        std::fs::write(dir.path().join("config"), config).unwrap();
        let setup = Self { server, dir };
        setup.write("web-7", spec(7));
        setup
    }

    fn write(&self, name: &str, spec: Value) -> PathBuf {
        let manifest = json!({
            "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong",
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec,
        });
        let path = self.dir.path().join(format!("{name}.json"));
        std::fs::write(&path, manifest.to_string()).unwrap();
        path
    }

    /// The plugin, run by `program` if there is one.
    fn command(&self, program: &[&str], args: &[&str]) -> Command {
        let plugin = cargo_bin("kubectl-wukong");
        let mut words = program.iter().map(Path::new).chain([plugin.as_path()]);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .args(args)
            .env("KUBECONFIG", self.dir.path().join("config"))
            .current_dir(self.dir.path());
        command
    }

    /// Runs the plugin. Returns its output and the requests that it sent.
    fn run(&self, args: &[&str]) -> (Output, Vec<Answered>) {
        let output = self.command(&[], args).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
        (output, self.server.answered())
    }
}

fn grows(answered: &Answered) -> bool {
    GROWING.iter().any(|(_, plural)| *plural == answered.plural)
}

fn is_list(answered: &Answered) -> bool {
    !answered.plural.is_empty() && answered.name.is_empty()
}

/// The lists of kinds that grow with VMs, by plural.
fn growing_lists(answered: &[Answered]) -> BTreeSet<&str> {
    let lists = answered.iter().filter(|one| grows(one) && is_list(one));
    lists.map(|one| one.plural.as_str()).collect()
}

fn distinct(answered: &[Answered]) -> BTreeSet<&str> {
    answered.iter().map(|one| one.request.as_str()).collect()
}

const COMMANDS: [&[&str]; 7] = [
    &["doctor", "web-7"],
    &["status", "web-7"],
    &["preflight"],
    &["preflight", "-f", "web-7.json"],
    &["plan", "-f", "web-7.json"],
    &["list"],
    &["list", "-A", "-o", "json"],
];

#[test]
fn requests_do_not_grow_with_the_vms_of_others() {
    let few = Setup::of(cluster(20));
    let many = Setup::of(cluster(1300));
    for args in COMMANDS {
        let ((_, of_few), (_, of_many)) = (few.run(args), many.run(args));
        assert_eq!(distinct(&of_few), distinct(&of_many), "{args:?}");
        assert!(!of_few.is_empty(), "{args:?}");
        // More of the same requests are only more pages of events.
        for one in &of_many {
            let same = |other: &&Answered| other.request == one.request;
            let pages = if one.plural == "events" {
                1 + 1300 / PAGE
            } else {
                1
            };
            assert_eq!(
                of_many.iter().filter(same).count(),
                pages,
                "{args:?}: {one:?}"
            );
        }
    }
}

#[test]
fn of_kinds_that_grow_with_vms_only_a_few_are_listed() {
    let setup = Setup::of(cluster(1300));
    let listed = |args: &[&str]| {
        let (_, answered) = setup.run(args);
        growing_lists(&answered)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    // Of these, pods and migrations are selected by label.
    let doctor = [
        "events",
        "pods",
        "virtualmachineinstancemigrations",
        "virtualmachinesnapshots",
        "wukongs",
    ];
    assert_eq!(listed(&["doctor", "web-7"]), doctor);
    assert_eq!(listed(&["plan", "-f", "web-7.json"]), ["wukongs"]);
    assert_eq!(listed(&["preflight"]), ["pods"]);
    assert_eq!(listed(&["status", "web-7"]), [""; 0]);

    let (_, answered) = setup.run(&["doctor", "web-7"]);
    let selected = |plural: &str| {
        let lists = answered
            .iter()
            .filter(|one| is_list(one) && one.plural == plural);
        lists.map(|one| one.objects).sum::<usize>()
    };
    // Its launcher and the pods of KubeVirt; its migration.
    assert_eq!(selected("pods"), 5);
    assert_eq!(selected("virtualmachineinstancemigrations"), 1);
    // Of its objects, each is requested once, and no others.
    let gets = answered.iter().filter(|one| !one.name.is_empty());
    let mut gets: Vec<String> = gets
        .map(|one| format!("{}/{}", one.plural, one.name))
        .collect();
    gets.sort();
    let network = wukong_api::names::network_attachment_definition("web-7", "lan");
    assert_eq!(
        gets,
        [
            "datavolumes/web-7.root",
            "namespaces/shop",
            &format!("network-attachment-definitions/{network}"),
            "persistentvolumeclaims/web-7.root",
            "persistentvolumes/pv-7",
            "virtualmachineinstances/web-7",
            "virtualmachines/web-7",
            "wukongs/web-7",
        ]
    );
}

#[test]
fn other_wukongs_are_read_only_for_their_addresses() {
    let setup = Setup::of(cluster(1300));
    let mut free = spec(7);
    free["networks"] = json!([]);
    setup.write("free", free);
    setup.write("rival", spec(1200));
    for (manifest, lists) in [("free.json", &[][..]), ("rival.json", &["wukongs"])] {
        for command in ["plan", "preflight"] {
            let (output, answered) = setup.run(&[command, "-f", manifest]);
            let mut listed = growing_lists(&answered);
            listed.remove("pods");
            assert_eq!(Vec::from_iter(listed), lists, "{command} {manifest}");
            let text = String::from_utf8(output.stdout).unwrap();
            let conflict =
                text.contains("address 10.1.4.201 on bridge br-lan belongs to Wukong web-1200");
            assert_eq!(conflict, manifest == "rival.json", "{command}: {text}");
        }
    }
}

/// The API server cannot select the pods of provisioners: their names come from metadata, and only they are read.
#[test]
fn of_pods_of_others_only_the_metadata_is_read_to_find_a_provisioner() {
    let setup = Setup::of(Cluster {
        foreign_pods: 700,
        provisioner: "rancher.io/local-path",
        ..cluster(20)
    });
    let (_, answered) = setup.run(&["preflight"]);
    let others = |one: &&Answered| one.plural == "pods" && one.objects > 10;
    let others: Vec<&Answered> = answered.iter().filter(others).collect();
    assert_eq!(others.len(), 1, "{answered:?}");
    assert!(others.iter().all(|one| one.metadata_only), "{others:?}");
}

#[test]
fn a_list_has_every_wukong_once() {
    let setup = Setup::of(cluster(1300));
    let (output, _) = setup.run(&["list", "-A"]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(table.lines().count(), 1301);
    let (output, _) = setup.run(&["list", "-o", "json"]);
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let items = list["items"].as_array().unwrap();
    let names: BTreeSet<&str> = items
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap())
        .collect();
    assert_eq!((items.len(), names.len()), (1300, 1300));
}

/// The kernel refuses memory beyond a limit, and a program that gets none ends. All Wukongs together are larger than the limit.
#[cfg(target_os = "linux")]
#[test]
fn every_command_works_in_little_memory() {
    const LIMIT: &str = "ulimit -d 16384 && exec \"$0\" \"$@\"";
    let setup = Setup::of(cluster(2000));
    let (output, _) = setup.run(&["list", "-o", "json"]);
    assert!(
        output.stdout.len() > 16384 * 1024,
        "{}",
        output.stdout.len()
    );
    for args in COMMANDS {
        let (free, _) = setup.run(args);
        let limited = setup.command(&["sh", "-c", LIMIT], args).output().unwrap();
        let error = String::from_utf8_lossy(&limited.stderr);
        assert_eq!(
            limited.status.code(),
            free.status.code(),
            "{args:?}: {error}"
        );
        assert_eq!(limited.stdout, free.stdout, "{args:?}");
    }
}
