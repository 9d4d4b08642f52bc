//! Fields without effect, because another field of the manifest decides.
//!
//! Manifests with such fields exist and work, so they are accepted, and the fields are named.

use super::initial;
use super::problem::Problem;
use crate::spec::{Network, NetworkType, RunStrategy, Wukong, WukongSpec};

impl Wukong {
    /// Returns the fields without effect, each with its path and the field that decides instead.
    pub fn ignored_fields(&self) -> Vec<Problem> {
        let networks = self.spec.networks.iter().enumerate();
        networks
            .flat_map(|(index, network)| of_network(&format!("spec.networks[{index}]"), network))
            .chain(of_snapshot(&self.spec))
            .chain(of_start(&self.spec))
            .collect()
    }
}

fn of_network(path: &str, network: &Network) -> Vec<Problem> {
    let theirs = network.nad_name.is_some();
    let sriov = network.type_.is_some_and(NetworkType::is_passed_through);
    let makes_bridge = network.node_network.is_some();
    let bridge = network.bridge_name.is_some();
    let by_definition = "has no effect beside nadName: the NetworkAttachmentDefinition decides it";
    let fields = [
        ("vlanId", theirs && network.vlan_id.is_some(), by_definition),
        (
            "bridgeName",
            theirs && bridge && !makes_bridge && !sriov,
            by_definition,
        ),
        (
            "bridgeName",
            bridge && sriov,
            "has no effect on type: sriov, which has no bridge",
        ),
        (
            "resourceName",
            theirs && network.resource_name.is_some(),
            by_definition,
        ),
        (
            "mtu",
            theirs && network.mtu.is_some(),
            "reaches the guest only beside nadName: the NetworkAttachmentDefinition decides that of the network",
        ),
    ];
    fields
        .into_iter()
        .filter(|(_, ignored, _)| *ignored)
        .map(|(field, _, why)| Problem {
            path: format!("{path}.{field}"),
            message: why.to_owned(),
        })
        .collect()
}

/// Images of disks that `restoreFromSnapshot` fills.
fn of_snapshot(spec: &WukongSpec) -> Vec<Problem> {
    if spec.restore_from_snapshot.is_none() {
        return Vec::new();
    }
    let disks = spec.disks.iter().enumerate();
    let images = disks
        .filter(|(_, disk)| initial::is_filled(disk) && disk.image.is_some())
        .map(|(index, _)| format!("spec.disks[{index}].image"));
    let os_image = spec.os_image.iter().map(|_| "spec.osImage".to_owned());
    let ignored = |path| Problem {
        path,
        message: "has no effect beside restoreFromSnapshot, which fills the disk".into(),
    };
    os_image.chain(images).map(ignored).collect()
}

fn of_start(spec: &WukongSpec) -> Option<Problem> {
    let start = spec.start_strategy.as_ref()?;
    let strategy = start
        .run_strategy
        .filter(|strategy| matches!(strategy, RunStrategy::RerunOnFailure | RunStrategy::Once))?;
    (start.auto_start == Some(false)).then(|| Problem {
        path: "spec.startStrategy.autoStart".into(),
        message: format!("has no effect beside runStrategy: {}, which starts the VM: use runStrategy: Manual or powerState: Stopped", strategy.as_ref()),
    })
}
