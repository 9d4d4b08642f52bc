//! Signatures of scheduling errors.

mod nodes;
mod placement;
mod resources;

use crate::diagnosis::signature::Signature;

/// The rows by family; of two that match, the first is meant.
pub(super) const FAMILIES: &[&[Signature]] = &[resources::ROWS, nodes::ROWS, placement::ROWS];
