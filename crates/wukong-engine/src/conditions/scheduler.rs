//! The scheduler's words, in ours.

use wukong_api::Reason;

/// The cause in a message such as `0/3 nodes are available: 1 Insufficient memory, 2 node(s) had untolerated taint...`,
/// and what to do about it. The cause that keeps most nodes away is named; where there are several, the message tells
/// the others. (Texts: `pkg/scheduler/framework/plugins` of Kubernetes.)
pub(crate) fn cause(message: &str) -> (Reason, &'static str) {
    const CAUSES: [(&str, Reason, &str); 11] = [
        (
            "Insufficient devices.kubevirt.io/",
            Reason::InsufficientDevices,
            "give the nodes hardware virtualization (or nested virtualization), or set useEmulation in the KubeVirt resource",
        ),
        (
            "Insufficient memory",
            Reason::InsufficientMemory,
            "lower spec.memory, or add memory to the cluster",
        ),
        (
            "Insufficient cpu",
            Reason::InsufficientCPU,
            "lower spec.cpu, or add CPUs to the cluster",
        ),
        (
            "unbound immediate PersistentVolumeClaims",
            Reason::Unschedulable,
            "see why the claims of the disks are not bound",
        ),
        (
            "had volume node affinity conflict",
            Reason::VolumeNodeAffinity,
            "a disk lies on a node that the VM cannot use: free that node, or move the disk",
        ),
        (
            "had untolerated taint",
            Reason::UntoleratedTaint,
            "add a toleration to spec.highAvailability.tolerations, or remove the taint",
        ),
        (
            "didn't match Pod's node affinity/selector",
            Reason::NodeSelectorMismatch,
            "see that a node has the labels of spec.highAvailability.nodeSelector, runs virt-handler and is schedulable for VMs",
        ),
        (
            "didn't match pod anti-affinity rules",
            Reason::NodeSelectorMismatch,
            "every node runs a VM of this group already: add a node, or drop antiAffinity",
        ),
        (
            "didn't match pod topology spread constraints",
            Reason::NodeSelectorMismatch,
            "add nodes in another zone, or drop topologySpread",
        ),
        (
            "were unschedulable",
            Reason::Unschedulable,
            "uncordon a node",
        ),
        (
            "Insufficient ",
            Reason::InsufficientDevices,
            "the nodes lack a device that the VM asks for: see the message",
        ),
    ];
    let available = message.split(" preemption:").next().unwrap_or(message);
    let found = CAUSES.iter().filter_map(|(text, reason, hint)| {
        let at = available.find(text)?;
        Some((nodes_before(available.get(..at)?), (*reason, *hint)))
    });
    // The first of those that keep equally many nodes away.
    let worst = found.fold(
        None,
        |best: Option<(u32, (Reason, &str))>, next| match best {
            Some(best) if best.0 >= next.0 => Some(best),
            _ => Some(next),
        },
    );
    worst.map_or(
        (Reason::Unschedulable, "see the message of the scheduler"),
        |(_, cause)| cause,
    )
}

/// The number before a cause: in `1 node(s) had ...` and `2 Insufficient ...` the nodes that it keeps away.
fn nodes_before(text: &str) -> u32 {
    text.trim_end()
        .trim_end_matches("node(s)")
        .trim_end()
        .rsplit(' ')
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_cause_that_keeps_most_nodes_away() {
        for (message, reason) in [
            (
                "0/1 nodes are available: 1 Insufficient devices.kubevirt.io/kvm, 1 Insufficient devices.kubevirt.io/tun. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
                Reason::InsufficientDevices,
            ),
            (
                "0/3 nodes are available: 1 Insufficient memory, 2 node(s) had untolerated taint(s).",
                Reason::UntoleratedTaint,
            ),
            (
                "0/2 nodes are available: 2 Insufficient cpu.",
                Reason::InsufficientCPU,
            ),
            (
                "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
                Reason::NodeSelectorMismatch,
            ),
            (
                "0/1 nodes are available: 1 node(s) had volume node affinity conflict.",
                Reason::VolumeNodeAffinity,
            ),
            ("no nodes available to schedule pods", Reason::Unschedulable),
        ] {
            assert_eq!(cause(message).0, reason, "{message}");
        }
    }
}
