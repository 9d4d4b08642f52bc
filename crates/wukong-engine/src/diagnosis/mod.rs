//! Diagnosis: from facts to the one cause for which a VM does not run.
//!
//! ```text
//! rules      facts of the cluster ──────────────────────────> checks
//! conditions facts of the VM's objects ─> state, with words ─┐
//! collect    pods and events ─> evidence ────────────────────┤
//!                                                            v
//!                                     signature ─> cause ─> explain ─> conditions, with chains
//! ```
//!
//! [`preflight`] checks a cluster, or a VM that is not applied yet, by the table of [`rules`] alone. For a VM that waits,
//! the diagnosis also reads evidence: texts of other programs, each with its object, matched against the table of
//! [`signatures`]. It matches nothing for a settled VM.

mod cause;
mod chain;
mod check;
mod collect;
pub(crate) mod condition;
pub mod evidence;
mod explain;
mod fallback;
mod labels;
pub(crate) mod life;
pub mod matching;
pub mod migration;
mod operator;
mod policies;
pub mod rules;
pub mod scheduler;
pub mod signature;
pub mod signatures;
mod volume_nodes;

pub(crate) use chain::to as to_evidence;
pub use check::{Check, CheckStatus, environment_verdict, preflight};
pub(crate) use check::{checks, deciding, emulation, environment_ready, of_manifest};
pub(crate) use collect::{about, has_worker};
pub(crate) use explain::{explain, knows, told};
pub use operator::silent;
pub use policies::policies;
