//! Signatures of guest errors.

mod cpu;
mod devices;
mod disks;
mod general;
mod launcher;
mod machine;
mod memory;
mod network;
mod running;
mod sources;

use crate::diagnosis::signature::Signature;

/// The rows by family; of two that match, the first is meant.
pub(super) const FAMILIES: &[&[Signature]] = &[
    machine::ROWS,
    cpu::ROWS,
    memory::ROWS,
    devices::ROWS,
    disks::ROWS,
    sources::ROWS,
    network::ROWS,
    launcher::ROWS,
    running::ROWS,
    general::ROWS,
];
