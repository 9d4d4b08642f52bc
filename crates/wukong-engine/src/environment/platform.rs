//! The kind of cluster.

use strum::IntoEnumIterator;

use super::Environment;
pub use crate::facts::Platform;

impl Platform {
    /// The kind of the cluster; `None` while no node is known. Nodes of a platform decide over unrecognized ones.
    pub fn of(environment: &Environment) -> Option<Self> {
        Self::iter().find(|platform| environment.nodes.has(&platform.to_string()))
    }
}
