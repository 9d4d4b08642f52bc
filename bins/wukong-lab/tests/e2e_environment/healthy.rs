//! A cluster without faults.

use serde_json::{Value, json};

use crate::support::plugin::{doctor, run};
use crate::support::{condition, root, wukong};

#[tokio::test]
async fn preflight_passes_in_a_healthy_cluster() {
    // Nodes with faults come and go in the other one.
    let cluster = crate::everywhere::alone().await;
    let space = cluster.space("preflight").await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("web.json");
    let nic = json!({"name": "lan", "type": "bridge", "bridgeName": "br-lan"});
    let mut web = wukong("web", json!({"disks": [root()], "networks": [nic]}));
    std::fs::write(&file, web.to_string()).unwrap();
    let file = file.to_str().unwrap();
    for args in [
        &["preflight", "-o", "json"][..],
        &["preflight", "-o", "json", "-f", file],
    ] {
        let (code, out, err) = run(&space, args).await;
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        let reports: Value = serde_json::from_str(&out).unwrap();
        let checks = reports[0]["checks"].as_array().unwrap();
        assert!(checks.len() > 15, "{out}");
        let amiss: Vec<&Value> = checks
            .iter()
            .filter(|check| check["status"] != "Pass")
            .collect();
        assert!(amiss.is_empty(), "{amiss:#?}");
    }
    web["metadata"]["namespace"] = json!(space.name);
    space.apply(&web).await;
    space
        .wukong("web", "reported by its agent", |wukong| {
            condition(wukong, "GuestReady").0 == "True"
        })
        .await;
    let report = doctor(&space, &["web"]).await;
    assert!(
        report["blocker"].is_null() && report["others"] == json!([]),
        "{report:#}"
    );
}
