//! Two things are wrong: the first in causal order is named, and nothing else is blamed.

use futures::future::join_all;
use serde_json::{Value, json};

use super::{cluster, node, on_node};
use crate::support::{failing, root, wukong};
use crate::verdict::{Blocker, blocker};

#[tokio::test]
async fn of_two_faults_the_first_in_causal_order_is_named() {
    let space = &cluster().await.space("order").await;
    let disks = || json!({"disks": [root()]});
    let environment = |reason, part| blocker("EnvironmentReady", reason, "*", part);
    node(space, "order-kvm", "no-kvm").await;
    node(space, "order-both", "handler-crash,no-kvm").await;
    node(space, "order-tun", "no-tun,no-bridge").await;
    node(space, "order-taint", "").await;
    let taint = json!({"key": "dedicated", "value": "gpu", "effect": "NoSchedule"});
    space
        .merge("Node", "order-taint", json!({"spec": {"taints": [taint]}}))
        .await;
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"},
        "spec": {"hard": {"requests.memory": "200M"}}});
    let full = cluster().await.space("order-full").await;
    full.apply(&quota).await;
    let lan = json!([{"name": "lan", "type": "bridge", "bridgeName": "br-lan"}]);
    let theirs = json!([{"name": "lan", "type": "bridge", "nadName": "theirs"}]);

    let in_space: Vec<(&str, Value, Blocker)> = vec![
        (
            "kvm-and-import",
            failing(
                on_node("kvm-and-import", "order-kvm", disks()),
                "import-dns",
            ),
            environment("NoVirtualizationDevices", "/dev/kvm"),
        ),
        (
            "handler-and-kvm",
            on_node("handler-and-kvm", "order-both", json!({})),
            environment("VirtHandlerNotReady", "too many open files"),
        ),
        (
            "tun-and-bridge",
            on_node("tun-and-bridge", "order-tun", json!({"networks": lan})),
            environment("NoVirtualizationDevices", "/dev/net/tun"),
        ),
        (
            "taint-and-secret",
            on_node(
                "taint-and-secret",
                "order-taint",
                json!({"userDataSecret": "mine"}),
            ),
            environment("PlacementTooNarrow", "taint dedicated=gpu"),
        ),
        (
            "definition-and-import",
            failing(
                wukong(
                    "definition-and-import",
                    json!({"disks": [root()], "networks": theirs}),
                ),
                "import-dns",
            ),
            blocker("DependenciesResolved", "NADNotFound", "*", "theirs"),
        ),
    ];
    let in_full: Vec<(&str, Value, Blocker)> = vec![
        (
            "selector-and-quota",
            on_node("selector-and-quota", "elsewhere", json!({})),
            environment("PlacementTooNarrow", "elsewhere"),
        ),
        (
            "import-and-quota",
            failing(wukong("import-and-quota", disks()), "import-tls"),
            blocker("VolumesBound", "ImportFailed", "*", "x509"),
        ),
    ];
    let all = in_space
        .into_iter()
        .map(|row| (space, row))
        .chain(in_full.into_iter().map(|row| (&full, row)));
    join_all(all.map(|(space, (name, object, blocker))| async move {
        space.apply(&object).await;
        blocker.is_named(space, name).await;
    }))
    .await;
}
