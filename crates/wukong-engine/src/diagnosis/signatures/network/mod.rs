//! Signatures of network errors.

mod agents;
mod cluster;
mod ipam;
mod multus;
mod plugins;

use crate::diagnosis::signature::Signature;

/// The rows by family; of two that match, the first is meant.
pub(super) const FAMILIES: &[&[Signature]] = &[
    multus::ROWS,
    ipam::ROWS,
    agents::ROWS,
    plugins::ROWS,
    cluster::ROWS,
];
