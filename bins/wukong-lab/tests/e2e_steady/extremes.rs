//! The largest Wukongs, and many edits at once.

use std::time::Instant;

use futures::{StreamExt, stream};
use serde_json::json;

use crate::cluster;
use crate::support::{phase, root, wukong};

#[tokio::test]
async fn names_as_long_as_they_may_be_work_and_longer_ones_are_refused() {
    let space = cluster().await.space("long").await;
    let longest = "n".repeat(63);
    let mut disk = root();
    disk["name"] = json!(longest);
    let network = json!({"name": longest, "type": "bridge", "bridgeName": "fifteen-letters"});
    let spec =
        json!({"disks": [disk], "networks": [network], "cloudInitUser": {"name": "n".repeat(32)}});
    space.apply(&wukong(&longest, spec)).await;
    space.running(&longest).await;
    for name in [&"n".repeat(64), &"n".repeat(253), "n.n"] {
        let refusal = space.try_apply(&wukong(name, json!({}))).await.unwrap_err();
        let refusal = refusal.to_string();
        assert!(refusal.contains("must be a DNS label"), "{name}: {refusal}");
    }
}

/// A key is reconciled up to eight times within a second. One reconcile covers all changes since the one before.
#[tokio::test]
async fn a_hundred_edits_are_carried_out_together_and_hold_nobody_up() {
    let space = &cluster().await.space("busy").await;
    let calm = cluster().await.space("calm").await;
    space
        .apply(&wukong("web", json!({"powerState": "Stopped"})))
        .await;
    let stopped = |wukong: &_| phase(wukong) == "Stopped";
    space.wukong("web", "stopped", stopped).await;

    let (mark, begin) = (space.mark(), Instant::now());
    calm.apply(&wukong("web", json!({}))).await;
    let grace = |seconds: u32| json!({"terminationGracePeriodSeconds": seconds});
    let edits = stream::iter(1..=100).map(|seconds| space.edit("web", grace(seconds)));
    edits.buffered(8).for_each(async |_| {}).await;
    space.edit("web", grace(1000)).await;
    space
        .until("VirtualMachine", "web", "as it was edited last", |vm| {
            let seconds = &vm["spec"]["template"]["spec"]["terminationGracePeriodSeconds"];
            (*seconds == 1000).then_some(())
        })
        .await;
    let seconds = usize::try_from(begin.elapsed().as_secs()).unwrap() + 2;
    let writes = space
        .requested_since(mark)
        .writes()
        .resource("virtualmachines");
    assert!(writes.len() <= 8 * seconds, "{seconds} s:\n{writes}");
    calm.running("web").await;
}
