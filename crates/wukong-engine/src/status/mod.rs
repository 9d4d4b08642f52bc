//! The status: its conditions, how it is assembled from them, and the events about its changes.

mod assembly;
pub(crate) mod conditions;
mod events;
pub(crate) mod outcome;
pub(crate) mod pending;
mod report;

pub(crate) use assembly::{Findings, describe, entry, has_run};
pub(crate) use report::Report;
