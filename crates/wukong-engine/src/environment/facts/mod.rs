//! Facts about the cluster: what is known of KubeVirt, the nodes, storage, networks and limits.

mod crd;
mod event;
mod kubevirt;
mod limits;
mod multus;
mod network;
mod node;
mod pod;
mod storage;

pub use crd::{CRD, CrdFact};
pub use event::EventFact;
pub use kubevirt::KubeVirtFact;
pub use limits::{LimitFact, LimitRangeFact, QuotaFact, Share};
pub use multus::DaemonSetFact;
pub use network::{BridgeFact, EnactmentFact, NodeNetworkFact, NodePolicyFact};
pub use node::{NodeFact, Resources, TaintFact};
pub use pod::{ContainerFact, PodFact, Terminated};
pub use storage::{CdiFact, ClaimPropertySet, CsiNodeFact, StorageProfileFact};

use crate::facts::Fact;

/// Whether two facts are the same once `align` has made alike in the first what no decision depends on.
fn same_but<F: Fact>(one: &F, other: &F, align: impl FnOnce(&mut F)) -> bool {
    let mut one = one.clone();
    align(&mut one);
    one == *other
}
