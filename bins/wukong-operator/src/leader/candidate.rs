//! Lease and identity of a candidate.

use std::time::Duration;

/// Lease and identity of a candidate.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Identity of this replica in the Lease.
    pub identity: String,
    /// Validity of the Lease after a renewal.
    pub duration: Duration,
}
