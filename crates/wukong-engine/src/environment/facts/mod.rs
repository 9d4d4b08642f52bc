//! Facts about the cluster: what is known of KubeVirt, the nodes, storage, networks and limits.

mod event;
mod json;
mod kubevirt;
mod limits;
mod multus;
mod network;
mod node;
mod pod;
mod storage;

pub use event::EventFact;
pub use kubevirt::KubeVirtFact;
pub use limits::{LimitFact, LimitRangeFact, QuotaFact, Share};
pub use multus::DaemonSetFact;
pub use network::{BridgeFact, EnactmentFact, NodeNetworkFact, NodePolicyFact};
pub use node::{NodeFact, Resources, TaintFact};
pub use pod::{ContainerFact, PodFact, Terminated};
pub use storage::{CdiFact, ClaimPropertySet, CsiNodeFact, StorageProfileFact};
