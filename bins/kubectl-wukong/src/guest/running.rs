//! Whether a guest runs.

use std::time::Duration;

use anyhow::bail;
use wukong_api::Wukong;
use wukong_api::status::Phase;

use crate::action::{self, Goal, Reached};
use crate::cluster::Cluster;
use crate::kubevirt;
use crate::text;

/// Requires that the guest of a Wukong runs.
///
/// # Errors
/// It does not run; the message has the reason and a command.
pub async fn require(cluster: &Cluster, wukong: &Wukong, name: &str) -> anyhow::Result<()> {
    if runs(cluster, name).await? {
        return Ok(());
    }
    refuse_stopped(cluster, wukong, name)?;
    let status = wukong.status.as_ref();
    match status.and_then(|status| status.blocker.as_ref()) {
        Some(blocker) => bail!(
            "{name} does not run: {}: {} (see: kubectl wukong doctor {name} -n {})",
            text::plain(&blocker.reason),
            text::plain(&blocker.message),
            cluster.namespace
        ),
        None => bail!(
            "{name} does not run yet (see: kubectl wukong status {name} -n {})",
            cluster.namespace
        ),
    }
}

/// Waits until the guest of a Wukong runs. The inner `Err` is the sentence for a timeout.
///
/// # Errors
/// The VM is stopped, or the API server refuses.
pub async fn wait(
    cluster: &Cluster,
    wukong: &Wukong,
    name: &str,
    timeout: Duration,
) -> anyhow::Result<Result<(), String>> {
    if runs(cluster, name).await? {
        return Ok(Ok(()));
    }
    refuse_stopped(cluster, wukong, name)?;
    Ok(
        match action::reach(cluster, name, Goal::Runs, timeout).await? {
            Reached::Yes(_) => Ok(()),
            Reached::TimedOut(sentence) => Err(sentence),
        },
    )
}

async fn runs(cluster: &Cluster, name: &str) -> anyhow::Result<bool> {
    let instance = kubevirt::instance(cluster, name).await?;
    Ok(instance.is_some_and(|instance| instance.phase == "Running"))
}

fn refuse_stopped(cluster: &Cluster, wukong: &Wukong, name: &str) -> anyhow::Result<()> {
    if is_stopped(wukong) {
        bail!(
            "{name} is stopped; start it: kubectl wukong start {name} -n {}",
            cluster.namespace
        );
    }
    Ok(())
}

/// Returns whether the VM is stopped according to a status of the current generation.
fn is_stopped(wukong: &Wukong) -> bool {
    wukong.status.as_ref().is_some_and(|status| {
        status.phase == Some(Phase::Stopped)
            && status.observed_generation >= wukong.metadata.generation
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vm_that_was_just_started_is_not_stopped() {
        let stored = |generation: u8| -> Wukong {
            serde_saphyr::from_str(&format!(
                "{{apiVersion: vm.novasphere.dev/v1alpha1, kind: Wukong, \
                 metadata: {{name: web, generation: {generation}}}, spec: {{cpu: 1, memory: 1Gi}}, \
                 status: {{observedGeneration: 2, phase: Stopped}}}}"
            ))
            .unwrap()
        };
        assert!(is_stopped(&stored(2)));
        assert!(!is_stopped(&stored(3)));
    }
}
