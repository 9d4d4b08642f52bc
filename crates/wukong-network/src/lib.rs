#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod cni;
mod fit;
mod guest;
pub mod nad;
pub mod nmstate;

pub use cni::resource;
pub use guest::guest_network_data;
pub use nad::{NetworkAttachmentDefinition, nads};
pub use nmstate::{NodeNetworkConfigurationPolicy, node_policies};
