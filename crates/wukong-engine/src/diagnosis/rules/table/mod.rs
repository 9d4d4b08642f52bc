//! The table of rules, in causal order: of two that do not hold, the first is the cause.

mod crd;
mod kubevirt;
mod limits;
mod manifest;
mod network;
mod nodes;
mod storage;

use super::Rule;

/// Every rule.
pub static RULES: &[Rule] = &[
    crd::CRD,
    kubevirt::KUBEVIRT_INSTALLED,
    kubevirt::KUBEVIRT_AVAILABLE,
    nodes::PLACEMENT,
    nodes::VIRT_HANDLER,
    nodes::KVM_DEVICE,
    nodes::TUN_DEVICE,
    nodes::VHOST_NET_DEVICE,
    nodes::DEVICE_PLUGIN,
    nodes::MACHINE_TYPE,
    nodes::CPU_MODEL,
    kubevirt::FEATURE_GATE,
    kubevirt::NETWORK_BINDING,
    storage::CDI_INSTALLED,
    storage::CDI_AVAILABLE,
    network::MULTUS_INSTALLED,
    network::MULTUS_HEALTHY,
    network::NMSTATE_INSTALLED,
    kubevirt::EMULATION,
    storage::DEFAULT_CLASS,
    storage::STORAGE_CLASS,
    network::NODE_POLICY,
    network::NODE_ISOLATION,
    network::NODE_ENACTMENT,
    network::BRIDGES,
    network::NODE_NETWORK,
    network::MAC_ADDRESSES,
    network::STATIC_ADDRESSES,
    storage::PROVISIONER,
    storage::STORAGE_PROFILE,
    limits::STORAGE_QUOTA,
    manifest::PASSWORD,
    limits::POD_QUOTA,
    limits::POD_LIMIT,
    nodes::NODE_MEMORY,
    nodes::NODE_CPU,
    nodes::NIC_RESOURCE,
    storage::SHARED_DISKS,
    nodes::SECOND_NODE,
];
