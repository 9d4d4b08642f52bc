//! Real guests: with `--boot`, they replace the simulator's simulation of guests.
//!
//! The simulator still writes the objects: it decides on phases and conditions. But it reports the observed state of the
//! real guests and imports (`wukong_sim::reality`). Each VirtualMachineInstance becomes one QEMU process with the planned
//! processors, memory, firmware, disks and NICs (`machine`, `nic`, `qemu`), each claim a disk image (`disks`, `import`),
//! the cloud-init volume a NoCloud seed (`seed`), and each network of a NetworkAttachmentDefinition a switch (`switch`).

pub mod accel;
mod agent;
mod copy;
mod disks;
mod guest;
mod handle;
pub mod image;
mod import;
mod machine;
mod machines;
mod nic;
mod plug;
mod qemu;
mod qmp;
mod seed;
mod server;
mod switch;
pub mod tools;

pub use handle::{Guest, Output};
pub use machines::Machines;

use std::path::PathBuf;

use accel::Accel;

/// The host of the images that the lab serves itself: imports use it like any other host.
pub const IMAGE_HOST: &str = "images.wukong-lab.test";

/// A registry image. The lab uses an image of its own in its place: `osImage: debian:12` leads there.
pub const SHORT_NAME: &str = "debian:12";

/// What the lab makes guests with, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Sockets, consoles, seeds and disks; its path is short, because sockets' paths must be.
    pub dir: PathBuf,
    /// The images that the lab serves.
    pub images: PathBuf,
    /// How instructions are executed.
    pub accel: Accel,
    /// The `wukong-lab` binary, behind which processes run.
    pub shim: PathBuf,
}
