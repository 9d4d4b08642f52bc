#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod calendar;
pub mod restore;
pub mod schedule;
pub mod snapshot;
pub mod vm_snapshot;
