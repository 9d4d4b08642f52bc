//! Where the operator's requests go.

use std::collections::BTreeSet;

use serde_json::json;
use wukong_lab::cluster::operator::{NAMESPACE, USER};

use crate::cluster;
use crate::support::{root, wukong};

/// Judges all that the tests of this binary have made it do so far.
#[tokio::test]
async fn every_request_stays_in_the_namespace_of_a_wukong() {
    let space = cluster().await.space("home").await;
    let spec = json!({"disks": [root()], "networks": [{"name": "lan", "type": "bridge"}]});
    space.apply(&wukong("web", spec)).await;
    space.running("web").await;

    let log = space.lab.audit().all().unwrap();
    let homes: BTreeSet<&str> = log
        .iter()
        .filter(|request| request.resource == "wukongs" && request.code == 201)
        .map(|request| request.namespace.as_str())
        .collect();
    let requests = log
        .clone()
        .filter(|request| request.user_agent.starts_with("wukong-operator/"))
        .of_user(USER);
    let written = requests.clone().writes().in_namespace(&space.name);
    assert!(!written.is_empty());
    let strays: Vec<_> = requests
        .iter()
        .filter(|request| match request.namespace.as_str() {
            "" => request.is_write(),
            NAMESPACE => !request.is_lease() && !request.is_event(),
            namespace => !homes.contains(namespace),
        })
        .map(ToString::to_string)
        .collect();
    assert!(strays.is_empty(), "{}", strays.join("\n"));
}
