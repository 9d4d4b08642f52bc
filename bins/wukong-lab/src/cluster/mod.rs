//! A control plane on this machine: its programs, their processes, and the clusters that they form.

pub mod access;
pub(crate) mod admission;
pub mod audit;
pub mod binaries;
mod certs;
pub(crate) mod control_plane;
pub(crate) mod dirs;
pub(crate) mod go;
pub mod manifests;
pub mod operator;
pub mod process;
pub mod programs;
pub mod progress;
pub(crate) mod stored;
pub(crate) mod supervise;
pub mod tools;
pub mod upstream;
pub mod wait;
