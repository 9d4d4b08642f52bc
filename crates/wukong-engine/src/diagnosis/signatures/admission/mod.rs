//! Signatures of admission errors.

mod cdi;
mod kubevirt;
mod kubevirt_cpu_memory;
mod pod;
mod policy;
mod quota;
mod server;
mod webhook;

use crate::diagnosis::signature::Signature;

/// The rows by family; of two that match, the first is meant.
pub(super) const FAMILIES: &[&[Signature]] = &[
    webhook::ROWS,
    policy::ROWS,
    quota::ROWS,
    server::ROWS,
    kubevirt_cpu_memory::ROWS,
    kubevirt::ROWS,
    cdi::ROWS,
    pod::ROWS,
];
