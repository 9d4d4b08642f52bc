//! Signatures of network errors: ipam.

use wukong_api::ConditionType::EnvironmentReady;
use wukong_api::Reason;

use crate::diagnosis::evidence::Source;
use crate::diagnosis::signature::Permanence::Person;
use crate::diagnosis::signature::Signature;

pub(super) const ROWS: &[Signature] = &[
    Signature {
        id: "network-ipam-exhausted",
        sources: &[Source::Event],
        reasons: &["FailedCreatePodSandBox"],
        needle: "no IP addresses available in range set",
        pattern: r"no IP addresses available in range set: (?<range>[^\s]+)",
        condition: EnvironmentReady,
        reason: Reason::MultusUnhealthy,
        detail: "",
        message: "the address range {range} of a network is used up",
        hint: "enlarge the ipam range of the NetworkAttachmentDefinition, or drop ipam: a VM gets its addresses from cloud-init or DHCP; stale reservations of host-local are in /var/lib/cni/networks on {node}",
        platforms: &[],
        permanence: Person,
        source: "CNI plugins 1.7",
        doc: "The IPAM plugin host-local hands out addresses of a range per node, and none is free.",
    },
    Signature {
        id: "network-ipam-whereabouts",
        sources: &[Source::Event],
        reasons: &["FailedCreatePodSandBox"],
        needle: "allocate IP",
        pattern: "[Cc]ould not allocate IP",
        condition: EnvironmentReady,
        reason: Reason::MultusUnhealthy,
        detail: "",
        message: "the address pool of a network is used up",
        hint: "enlarge the range of the ipam section of the NetworkAttachmentDefinition, or delete stale reservations: kubectl get ippools.whereabouts.cni.cncf.io -A",
        platforms: &[],
        permanence: Person,
        source: "whereabouts 0.9",
        doc: "The IPAM plugin whereabouts finds no free address in its pool.",
    },
    Signature {
        id: "network-ipam-dhcp",
        sources: &[Source::Event],
        reasons: &["FailedCreatePodSandBox"],
        needle: "dhcp.sock",
        pattern: "",
        condition: EnvironmentReady,
        reason: Reason::MultusUnhealthy,
        detail: "",
        message: "the DHCP daemon of CNI does not run on {node}",
        hint: "run the dhcp daemon of the CNI plugins on each node, or drop ipam: a VM asks for its lease itself",
        platforms: &[],
        permanence: Person,
        source: "CNI plugins 1.7",
        doc: "The IPAM plugin dhcp needs a daemon on the node.",
    },
];
