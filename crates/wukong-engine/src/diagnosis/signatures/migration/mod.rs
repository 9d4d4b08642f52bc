//! Signatures of migration errors.

mod general;
mod refused;
mod target;
mod transfer;

use crate::diagnosis::signature::Signature;

/// The rows by family; of two that match, the first is meant.
pub(super) const FAMILIES: &[&[Signature]] =
    &[refused::ROWS, target::ROWS, transfer::ROWS, general::ROWS];
