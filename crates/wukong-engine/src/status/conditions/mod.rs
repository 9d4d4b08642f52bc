//! The conditions, one file each, in causal order.

mod attachment;
pub(crate) mod created;
pub(crate) mod deleting;
pub(crate) mod dependencies;
pub(crate) mod environment;
pub(crate) mod guest;
pub(crate) mod import;
pub(crate) mod networks;
pub(crate) mod node_network;
pub(crate) mod operation;
pub(crate) mod outdated;
pub(crate) mod running;
pub(crate) mod snapshottable;
pub(crate) mod spec;
pub(crate) mod volumes;
