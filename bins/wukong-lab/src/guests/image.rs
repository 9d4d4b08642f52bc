//! The images that guests boot from: built from Debian packages on first use, and kept.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};
use tokio::process::Command;
use uuid::Uuid;

use super::tools;
use crate::cluster::go;
use crate::cluster::progress::Progress;

/// Debian with cloud-init, an SSH server and the guest agent.
pub const DEBIAN: &str = "debian-12.qcow2";
/// A kernel that says its first words, does what its seed asks for, and ends.
pub const PROBE: &str = "probe.qcow2";

/// What the build is made of: a directory of its own, so that the lab works anywhere.
const FILES: [(&str, &str); 8] = [
    ("build.sh", include_str!("../../guest-image/build.sh")),
    (
        "customize.sh",
        include_str!("../../guest-image/customize.sh"),
    ),
    ("cloud.cfg", include_str!("../../guest-image/cloud.cfg")),
    (
        "initramfs.conf",
        include_str!("../../guest-image/initramfs.conf"),
    ),
    ("grub.cfg", include_str!("../../guest-image/grub.cfg")),
    (
        "grub-bios.cfg",
        include_str!("../../guest-image/grub-bios.cfg"),
    ),
    (
        "grub-efi.cfg",
        include_str!("../../guest-image/grub-efi.cfg"),
    ),
    (
        "probe-init.sh",
        include_str!("../../guest-image/probe-init.sh"),
    ),
];
/// What the build writes before each of its steps.
const STEP: &str = "== ";

/// What this machine lacks to boot guests, as an error.
pub fn require() -> Result<()> {
    let built = place()?;
    if built.exists() {
        return tools::require(false);
    }
    tools::require(true)?;
    if !rustix::process::geteuid().is_root() {
        bail!(
            "building the guests' image needs root, once: `sudo -E cargo lab demo --boot`, or take {} from another machine",
            built.display()
        );
    }
    Ok(())
}

/// The directory with the images, which are built if this machine has none yet: some minutes, once.
///
/// # Errors
/// When packages are missing; the message names them. When the build fails.
pub async fn provide(progress: &Progress) -> Result<PathBuf> {
    require()?;
    let built = place()?;
    if built.exists() {
        return Ok(built);
    }
    let cache = cache()?;
    fs::create_dir_all(&cache)?;
    let _lock = go::lock(&cache.join("lock"), progress).await?;
    if built.exists() {
        return Ok(built);
    }
    let work = tempfile::Builder::new()
        .prefix(".build-")
        .tempdir_in(&cache)?;
    let (sources, out) = (work.path().join("sources"), work.path().join("out"));
    fs::create_dir(&sources)?;
    fs::create_dir(&out)?;
    for (name, text) in FILES {
        fs::write(sources.join(name), text)?;
    }
    let task =
        progress.task("Building the guests' image from Debian packages (about 3 minutes, once)");
    let mut build = Command::new("bash");
    build
        .arg(sources.join("build.sh"))
        .arg(&out)
        .current_dir(work.path())
        .kill_on_drop(true);
    let report = |line: &str, _| task.detail(line.strip_prefix(STEP).unwrap_or(line).trim());
    go::run(&mut build, report).await?;
    fs::rename(&out, &built)?;
    task.done("the guests' image is built");
    Ok(built)
}

fn cache() -> Result<PathBuf> {
    Ok(go::cache_dir()?.join("guests"))
}

fn place() -> Result<PathBuf> {
    Ok(cache()?.join(version()))
}

/// Another build makes another image.
fn version() -> String {
    let all: Vec<u8> = FILES
        .iter()
        .flat_map(|(name, text)| [name.as_bytes(), text.as_bytes()].concat())
        .collect();
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &all).to_string()
}
