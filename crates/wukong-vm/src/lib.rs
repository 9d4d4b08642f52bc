#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod disks;
mod group;
mod nics;
mod plan;
mod secret;
mod user_data;
pub mod virtual_machine;

pub use disks::VolumeSource;
pub use plan::{Inputs, virtual_machine};
pub use secret::cloud_init_secret;
pub use user_data::user_data;
