//! Who reaches the operator's pod and what it reaches, by the NetworkPolicy that is installed. Cyclonus judges, which
//! knows the rules of NetworkPolicies; that traffic stops is the part of the cluster's network plugin.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use wukong_lab::Progress;
use wukong_lab::cluster::operator::NAMESPACE;
use wukong_lab::cluster::tools::CYCLONUS;

use crate::rendered::{Objects, by_helm, only};

/// Source, destination, protocol and port.
type Connection = (&'static str, &'static str, &'static str, u64);

const OPERATOR: &str = "operator";
const PROMETHEUS: &str = "prometheus in monitoring";
const PEERS: [&str; 8] = [
    PROMETHEUS,
    "prometheus elsewhere",
    "virt-launcher",
    "coredns",
    "neighbour",
    "the other operator",
    "the metadata address",
    "a host on the internet",
];

/// A pod or an address, as Cyclonus wants it.
fn peer(name: &str, objects: &Objects) -> Value {
    let operator = &only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"];
    let (ip, namespace, labels) = match name {
        PROMETHEUS => (
            "10.0.0.1",
            "monitoring",
            json!({"app.kubernetes.io/name": "prometheus"}),
        ),
        "prometheus elsewhere" => (
            "10.0.0.2",
            "web",
            json!({"app.kubernetes.io/name": "prometheus"}),
        ),
        "virt-launcher" => ("10.0.0.3", "web", json!({"kubevirt.io": "virt-launcher"})),
        "coredns" => ("10.0.0.4", "kube-system", json!({"k8s-app": "kube-dns"})),
        "neighbour" => ("10.0.0.5", NAMESPACE, json!({"app": "neighbour"})),
        OPERATOR => ("10.0.0.6", NAMESPACE, operator.clone()),
        "the other operator" => ("10.0.0.7", NAMESPACE, operator.clone()),
        "the metadata address" => return json!({"IP": "169.254.169.254"}),
        "a host on the internet" => return json!({"IP": "203.0.113.1"}),
        other => panic!("{other}"),
    };
    // Kubernetes labels every namespace with its name.
    let of_namespace = json!({"kubernetes.io/metadata.name": namespace});
    json!({"IP": ip, "Internal": {"Namespace": namespace, "NamespaceLabels": of_namespace, "PodLabels": labels}})
}

/// Everything that is tried, each way.
fn attempts(metrics: u64) -> Vec<Connection> {
    let ports = [
        ("TCP", 22),
        ("TCP", 53),
        ("UDP", 53),
        ("TCP", 80),
        ("TCP", 443),
        ("UDP", 443),
        ("TCP", 6443),
        ("UDP", 6443),
        ("TCP", metrics),
        ("UDP", metrics),
        ("TCP", 10250),
    ];
    let both = |peer| [(peer, OPERATOR), (OPERATOR, peer)];
    let ways = PEERS.into_iter().flat_map(both);
    ways.flat_map(|(from, to)| ports.map(|(protocol, port)| (from, to, protocol, port)))
        .collect()
}

/// Those attempts that policies let through.
async fn let_through(policies: &[&Value], objects: &Objects) -> BTreeSet<Connection> {
    let container = &only(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0];
    let [port] = &container["ports"].as_array().unwrap()[..] else {
        panic!("the operator has one port")
    };
    let metrics = port["containerPort"].as_u64().unwrap();
    let attempts = attempts(metrics);
    let traffic = attempts.iter().map(|(from, to, protocol, number)| {
        // Only the operator's ports have names here.
        let named = to.ends_with(OPERATOR) && *number == metrics;
        json!({
            "Source": peer(from, objects), "Destination": peer(to, objects),
            "Protocol": protocol, "ResolvedPort": number,
            "ResolvedPortName": if named { &port["name"] } else { &Value::Null },
        })
    });
    let dir = tempfile::tempdir().unwrap();
    let (asked, given) = (
        dir.path().join("traffic.json"),
        dir.path().join("policies.json"),
    );
    fs::write(&asked, traffic.collect::<Value>().to_string()).unwrap();
    let list = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicyList", "items": policies});
    fs::write(&given, list.to_string()).unwrap();
    let cyclonus = CYCLONUS.locate(&Progress::stderr()).await.unwrap();
    let output = Command::new(cyclonus)
        .args(["analyze", "--mode", "query-traffic"])
        .arg("--traffic-path")
        .arg(asked)
        .arg("--policy-path")
        .arg(given)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}");
    let text = String::from_utf8(output.stdout).unwrap();
    // | IS ALLOWED? |  TRUE  |
    let verdicts = text.lines().filter(|line| line.contains("IS ALLOWED?"));
    let verdicts: Vec<bool> = verdicts
        .map(|line| match line.split('|').nth(2).unwrap().trim() {
            "TRUE" => true,
            "FALSE" => false,
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(verdicts.len(), attempts.len());
    let judged = attempts.into_iter().zip(verdicts);
    judged
        .filter_map(|(attempt, allowed)| allowed.then_some(attempt))
        .collect()
}

#[tokio::test]
async fn only_monitoring_reaches_the_operator_and_it_reaches_only_the_ports_of_api_servers() {
    let objects = by_helm(&[]).await;
    let everything: BTreeSet<_> = attempts(8080).into_iter().collect();
    assert_eq!(let_through(&[], &objects).await, everything);

    let policy = only(&objects, "NetworkPolicy");
    let mut expected = BTreeSet::from([(PROMETHEUS, OPERATOR, "TCP", 8080)]);
    // The other operator accepts no connection, either.
    for peer in PEERS
        .into_iter()
        .filter(|peer| *peer != "the other operator")
    {
        expected.extend([443, 6443].map(|port| (OPERATOR, peer, "TCP", port)));
    }
    assert_eq!(let_through(&[policy], &objects).await, expected);
}
