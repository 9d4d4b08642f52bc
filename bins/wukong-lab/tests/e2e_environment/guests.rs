//! Guests, and the pods in which they run.

use futures::future::join_all;
use serde_json::json;

use super::cluster;
use crate::support::plugin::doctor;
use crate::support::{condition, failing, wukong};
use crate::verdict::blocker;

#[tokio::test]
async fn a_missing_secret_is_reported_by_the_pod() {
    let space = cluster().await.space("secrets").await;
    space
        .apply(&wukong("web", json!({"userDataSecret": "mine"})))
        .await;
    let missing = "Secret mine";
    blocker("DependenciesResolved", "SecretNotFound", "*", missing)
        .is_named(&space, "web")
        .await;
}

#[tokio::test]
async fn a_guest_that_does_not_start_has_one_cause_everywhere() {
    let space = &cluster().await.space("starts").await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"}, "stringData": {"other": ""}});
    space.apply(&secret).await;
    let theirs = json!({"userDataSecret": "mine"});
    let pod = |part| blocker("Running", "PodNotStarted", "*", part);
    let rows = [
        (
            "failed-mount",
            json!({}),
            pod("The pod of the VM cannot start"),
        ),
        (
            "failed-attach",
            json!({}),
            pod("The pod of the VM cannot start"),
        ),
        (
            "pod-sandbox",
            json!({}),
            blocker(
                "EnvironmentReady",
                "MultusUnhealthy",
                "*",
                "The pod of the VM cannot start",
            ),
        ),
        (
            "launcher-image-pull",
            json!({}),
            blocker(
                "VolumesBound",
                "ImagePullFailed",
                "*",
                "cannot resolve quay.io",
            ),
        ),
        (
            "no-user-data",
            theirs,
            blocker(
                "ProvisioningReady",
                "InvalidUserData",
                "Secret/mine",
                "no cloud-init data-source found",
            ),
        ),
        (
            "guest-crash",
            json!({}),
            blocker("Running", "CrashLoop", "*", "failed"),
        ),
    ];
    join_all(rows.map(|(scenario, spec, blocker)| async move {
        space
            .apply(&failing(wukong(scenario, spec), scenario))
            .await;
        blocker.is_named(space, scenario).await;
        space.scenario(scenario, None).await;
        space.running(scenario).await;
    }))
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
    let report = doctor(&space, &["web"]).await;
    assert!(report["blocker"].is_null(), "{report:#}");
    space.scenario("web", None).await;
    space
        .wukong("web", "reported by its agent", |wukong| {
            condition(wukong, "GuestReady").0 == "True"
        })
        .await;
}
