#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod data_volume;
mod expansion;
mod plan;

pub use expansion::{Expansion, expansion};
pub use plan::{Context, Existing, Made, Planned, PlannedDisk, new_generation, plan};
