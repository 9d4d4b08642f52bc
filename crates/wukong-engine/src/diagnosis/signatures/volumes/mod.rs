//! Signatures of volumes errors.

mod attach;
mod ceph;
mod claim;
mod clouds;
mod drivers;
mod general;
mod longhorn;
mod mount;
mod nfs;
mod provision;
mod resize;
mod scheduling;
mod snapshot;

use crate::diagnosis::signature::Signature;

/// The rows by family; of two that match, the first is meant.
pub(super) const FAMILIES: &[&[Signature]] = &[
    scheduling::ROWS,
    snapshot::ROWS,
    resize::ROWS,
    longhorn::ROWS,
    ceph::ROWS,
    drivers::ROWS,
    attach::ROWS,
    clouds::ROWS,
    claim::ROWS,
    provision::ROWS,
    nfs::ROWS,
    mount::ROWS,
    general::ROWS,
];
