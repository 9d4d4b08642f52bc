//! Real guests: what the simulator has instead of its simulation of them when the lab is started with `--boot`.
//!
//! The objects stay the simulator's: it decides on phases and conditions, but what it says of a guest and of an import is what
//! was seen of them (`wukong_sim::reality`). Each VirtualMachineInstance becomes one QEMU process with the planned processors, memory,
//! firmware, disks and NICs (`machine`, `nic`, `qemu`), each claim a disk image (`disks`, `import`), the cloud-init volume
//! a NoCloud seed (`seed`), and each network that a NetworkAttachmentDefinition leads to a switch (`switch`).

pub mod accel;
mod agent;
mod disks;
mod guest;
mod handle;
pub mod image;
mod import;
mod machine;
mod machines;
mod nic;
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

/// The host of the images that the lab serves itself: imports ask for it as for any other.
pub const IMAGE_HOST: &str = "images.wukong-lab.test";

/// A registry image. The lab uses an image of its own in its place: `osImage: debian:12` leads there.
pub const SHORT_NAME: &str = "debian:12";

/// What guests are made with and where.
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
