//! Guests that are silent.

use serde_json::json;

use super::cluster;
use crate::support::{condition, failing, wukong};
use crate::verdict::doctor;

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
