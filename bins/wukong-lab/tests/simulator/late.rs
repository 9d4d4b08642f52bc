//! Kinds that come and go under the simulator.

use kube::api::{Patch, PatchParams};
use wukong_lab::Upstream;

use super::*;

#[tokio::test]
async fn kubevirt_and_cdi_may_come_and_go() {
    let kinds = [Upstream::KubeVirt, Upstream::Cdi];
    let cluster = Cluster::start("simulator-late-tests", &kinds).await;
    let space = cluster.space("late").await;
    for kind in kinds {
        cluster.lab.install(kind).await.unwrap();
    }
    running(&space, "vm").await;
    cluster.lab.remove(Upstream::KubeVirt).await.unwrap();
    cluster.lab.install(Upstream::KubeVirt).await.unwrap();
    space.apply(&virtual_machine("vm", "Always")).await;
    until_ready(&space, "vm").await;
}

#[tokio::test]
async fn webhooks_that_do_not_answer_are_reported_by_the_api_server() {
    let cluster = Cluster::start("simulator-webhook-tests", &[]).await;
    let space = cluster.space("webhook").await;
    let kubevirt = Space::existing(&cluster, "kubevirt").await;
    let down = |scenario: Option<&str>| json!({"metadata": {"annotations": {SCENARIO: scenario}}});
    kubevirt
        .merge("KubeVirt", "kubevirt", down(Some("webhook-down")))
        .await;
    let params = PatchParams::apply("a-user");
    let object = virtual_machine("vm", "Halted");
    let refused = space
        .api("VirtualMachine")
        .patch("vm", &params, &Patch::Apply(&object))
        .await
        .unwrap_err()
        .to_string();
    let words = "failed calling webhook \"virtualmachines-mutator.kubevirt.io\"";
    assert!(refused.contains(words), "{refused}");
    kubevirt.merge("KubeVirt", "kubevirt", down(None)).await;
    space.apply(&object).await;
}
