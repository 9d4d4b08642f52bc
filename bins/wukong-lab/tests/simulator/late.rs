//! Kinds that come and go under the simulator.

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
