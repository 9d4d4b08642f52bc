//! Guests, and the pods in which they run.

use serde_json::json;

use super::cluster;
use crate::support::plugin::doctor;
use crate::support::{condition, failing, wukong};
use crate::verdict::blocker;

#[tokio::test]
async fn a_secret_that_is_missing_is_told_by_the_pod() {
    let space = cluster().await.space("secrets").await;
    space
        .apply(&wukong("web", json!({"userDataSecret": "mine"})))
        .await;
    let missing = "secret \"mine\" not found";
    blocker("DependenciesResolved", "SecretNotFound", "*", missing)
        .is_named(&space, "web")
        .await;
}

#[tokio::test]
async fn a_late_agent_blocks_nothing() {
    let space = cluster().await.space("agents").await;
    space
        .apply(&failing(wukong("web", json!({})), "agent-never"))
        .await;
    space.running("web").await;
    let silent = space
        .wukong("web", "without an agent", |wukong| {
            condition(wukong, "GuestReady").1 == "AgentNotReady"
        })
        .await;
    assert!(silent["status"]["blocker"].is_null(), "{silent:#}");
    let said = doctor(&space, &["web"]).await;
    assert!(said["blocker"].is_null(), "{said:#}");
}
