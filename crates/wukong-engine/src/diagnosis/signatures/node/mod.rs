//! Signatures of node errors.

mod component;
mod pod;
mod pull;
mod runtime;
mod start;

use crate::diagnosis::signature::Signature;

/// The rows by family; of two that match, the first is meant.
pub(super) const FAMILIES: &[&[Signature]] = &[
    pull::ROWS,
    pod::ROWS,
    start::ROWS,
    runtime::ROWS,
    component::ROWS,
];
