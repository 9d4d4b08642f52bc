//! No secret leaves the Secrets and what its user wrote: a whole cluster is searched for them, after a life in which an
//! operator that logs everything creates, changes, fails and deletes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "support/mod.rs"]
mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::{Cluster, Space, merge, root, wukong};
use wukong_lab::{Operator, OperatorOptions};

/// Secrets that no other program may see.
const PASSWORD: &str = "canary1password1of1the1user";
const NEXT_PASSWORD: &str = "canary2password2of2the2user";
const REFUSED_PASSWORD: &str = "canary3password3of3the3user";
const HASH: &str = "$6$canary4salt$canary4hash4of4the4user";
const USER_DATA: &str = "canary5user5data5of5a5secret";
const SSH_KEY: &str = "canary6key6of6a6secret";
const IMAGE_USER: &str = "canary7user7of7an7image";
const CANARIES: [&str; 7] = [
    PASSWORD,
    NEXT_PASSWORD,
    REFUSED_PASSWORD,
    HASH,
    USER_DATA,
    SSH_KEY,
    IMAGE_USER,
];
/// The canaries that are in Wukongs.
const WRITTEN: [&str; 4] = [PASSWORD, NEXT_PASSWORD, REFUSED_PASSWORD, HASH];

/// The canaries in some bytes, as they are or in base64, wherever in it they begin.
fn found(bytes: &[u8]) -> Vec<&'static str> {
    let contains = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    let encoded = |canary: &str| {
        (0..3).any(|before| {
            let text = STANDARD.encode([&vec![b' '; before], canary.as_bytes()].concat());
            // Without the characters that also depend on what stands beside it.
            contains(&text.as_bytes()[4..text.len() - 4])
        })
    };
    let is_there = |canary: &&str| contains(canary.as_bytes()) || encoded(canary);
    CANARIES.into_iter().filter(is_there).collect()
}

#[test]
fn a_canary_is_found_in_every_disguise() {
    for canary in CANARIES {
        assert_eq!(found(format!("x{canary}y").as_bytes()), [canary]);
        for before in 0..4 {
            let text = STANDARD.encode(format!("{}{canary}yz", "x".repeat(before)));
            assert_eq!(found(text.as_bytes()), [canary], "{before}");
        }
        assert_eq!(found(&canary.as_bytes()[1..]), [""; 0]);
    }
}

async fn secret(space: &Space<'_>, name: &str, content: Value) {
    space
        .apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": content}))
        .await;
}

/// Everything that the operator does with secrets, good and bad.
async fn life(space: &Space<'_>) {
    let user = |password: Value| {
        let mut user = json!({"name": "me"});
        merge(&mut user, password);
        json!({"cloudInitUser": user, "disks": [root()], "sshKeySecret": "keys"})
    };
    secret(
        space,
        "keys",
        json!({"key": format!("ssh-ed25519 {SSH_KEY}")}),
    )
    .await;
    secret(
        space,
        "data",
        json!({"userdata": format!("#cloud-config\n# {USER_DATA}\n")}),
    )
    .await;
    secret(
        space,
        "image",
        json!({"accessKeyId": IMAGE_USER, "secretKey": IMAGE_USER}),
    )
    .await;
    // Not the operator's: the Secret that it would make for the Wukong `refused`.
    secret(space, "refused.cloud-init", json!({"userdata": "mine"})).await;

    space
        .apply(&wukong("plain", user(json!({"password": PASSWORD}))))
        .await;
    space
        .apply(&wukong("hashed", user(json!({"passwordHash": HASH}))))
        .await;
    let disk = json!({"name": "root", "size": "1Gi", "source": {"http": {"url": "http://images.example.com/x.img", "secretRef": "image"}}});
    space
        .apply(&wukong(
            "own-data",
            json!({"userDataSecret": "data", "sshKeySecret": "keys", "disks": [disk]}),
        ))
        .await;
    space
        .apply(&wukong(
            "refused",
            user(json!({"password": REFUSED_PASSWORD})),
        ))
        .await;
    space
        .apply(&support::failing(
            wukong("failing", user(json!({"password": PASSWORD}))),
            "import-dns",
        ))
        .await;
    for name in ["plain", "hashed", "own-data"] {
        space.running(name).await;
    }
    space.blocked("refused", "NameConflict").await;
    space
        .wukong("failing", "failing to import", |wukong| {
            support::blocker(wukong) == "ImportFailed"
        })
        .await;
    space
        .edit(
            "plain",
            json!({"cloudInitUser": {"password": NEXT_PASSWORD}}),
        )
        .await;
    space
        .wukong("plain", "waiting for its first boot", |wukong| {
            support::condition(wukong, "ConfigurationApplied").1 == "FirstBootOnly"
        })
        .await;
    space.edit("hashed", json!({"powerState": "Stopped"})).await;
    space
        .wukong("hashed", "stopped", |wukong| {
            wukong["status"]["phase"] == "Stopped"
        })
        .await;
    space.delete("Wukong", "failing").await;
    space.gone("Wukong", "failing").await;
}

/// The stored objects that contain a canary, besides Secrets and the specs of Wukongs.
async fn leaks_of_etcd(space: &Space<'_>) -> Vec<String> {
    let mut leaks = Vec::new();
    let (mut secrets, mut wukongs) = (Vec::new(), Vec::new());
    for (key, value) in space.lab.stored().await.unwrap() {
        let canaries = found(&value);
        let parts: Vec<&str> = key.split('/').collect();
        match parts[..] {
            ["", "registry", "secrets", ..] => secrets.extend(canaries),
            ["", "registry", "vm.novasphere.dev", "wukongs", ..] => {
                wukongs.extend(canaries);
                let object: Value = serde_json::from_slice(&value).unwrap();
                let status = found(object["status"].to_string().as_bytes());
                leaks.extend(
                    status
                        .iter()
                        .map(|canary| format!("{canary} in the status of {key}")),
                );
                let others = found(&value)
                    .into_iter()
                    .filter(|canary| !WRITTEN.contains(canary));
                leaks.extend(others.map(|canary| format!("{canary} in {key}")));
            }
            _ => leaks.extend(canaries.iter().map(|canary| format!("{canary} in {key}"))),
        }
    }
    // The search sees what is there: each canary in the Secrets where it belongs, but the one that was refused.
    for canary in CANARIES
        .iter()
        .filter(|canary| ![REFUSED_PASSWORD, PASSWORD].contains(canary))
    {
        assert!(secrets.contains(canary), "{canary} is in no Secret");
    }
    for canary in [NEXT_PASSWORD, REFUSED_PASSWORD, HASH] {
        assert!(wukongs.contains(&canary), "{canary} is in no Wukong");
    }
    leaks
}

async fn leaks_of_operator(space: &Space<'_>, operator: &Operator) -> Vec<String> {
    let logs = operator.logs();
    // It logs as much as it can, and of this namespace.
    assert!(
        logs.contains("TRACE") && logs.contains(&space.name),
        "{}",
        logs.len()
    );
    let audit = std::fs::read(space.lab.audit().path()).unwrap();
    let metrics = operator.get("/metrics").await.unwrap();
    assert!(metrics.contains("wukong_reconciles_total"));
    let places = [
        ("the log", logs.into_bytes()),
        ("the audit log", audit),
        ("metrics", metrics.into_bytes()),
    ];
    let mut leaks = Vec::new();
    for (place, bytes) in places {
        leaks.extend(
            found(&bytes)
                .iter()
                .map(|canary| format!("{canary} in {place}")),
        );
    }
    leaks
}

#[tokio::test]
async fn no_secret_is_anywhere_but_in_secrets_and_in_what_its_user_wrote() {
    let cluster = Cluster::start("secrets-tests", &[]).await;
    let options = OperatorOptions::default()
        .env("WUKONG_LOG_LEVEL", "trace")
        .env("WUKONG_LOG_FORMAT", "json");
    let operator = cluster.operator_with(options).await;
    operator.ready().await.unwrap();
    let space = cluster.space("secrets").await;
    life(&space).await;
    let mut leaks = leaks_of_etcd(&space).await;
    leaks.extend(leaks_of_operator(&space, &operator).await);
    assert_eq!(leaks, [""; 0]);
}
