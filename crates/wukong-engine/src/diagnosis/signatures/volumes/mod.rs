//! Signatures of volumes errors.

mod attach;
mod claim;
mod clouds;
mod drivers;
mod general;
mod mount;
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
    drivers::ROWS,
    attach::ROWS,
    clouds::ROWS,
    claim::ROWS,
    provision::ROWS,
    mount::ROWS,
    general::ROWS,
];
