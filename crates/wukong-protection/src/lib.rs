#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod restore;
pub mod snapshot;
pub mod vm_snapshot;
