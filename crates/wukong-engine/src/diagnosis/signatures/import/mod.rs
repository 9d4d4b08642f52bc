//! Signatures of import errors.

mod bucket;
mod clone;
mod format;
mod network;
mod object;
mod pod;
mod registry;
mod server;
mod space;
mod storage;
mod tls;

use crate::diagnosis::signature::Signature;

/// The rows by family; of two that match, the first is meant.
pub(super) const FAMILIES: &[&[Signature]] = &[
    space::ROWS,
    clone::ROWS,
    network::ROWS,
    tls::ROWS,
    registry::ROWS,
    server::ROWS,
    bucket::ROWS,
    storage::ROWS,
    format::ROWS,
    pod::ROWS,
    object::ROWS,
];
