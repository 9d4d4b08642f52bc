//! The programs that guests need, and the Debian packages that have them.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

pub const QEMU: &str = "qemu-system-x86_64";

/// Program, package, and whether only building the image needs it.
const PROGRAMS: [(&str, &str, bool); 13] = [
    (QEMU, "qemu-system-x86", false),
    ("qemu-img", "qemu-utils", false),
    ("genisoimage", "genisoimage", false),
    ("ssh", "openssh-client", false),
    ("mmdebstrap", "mmdebstrap", true),
    ("dpkg-deb", "dpkg", true),
    ("grub-mkimage", "grub-common", true),
    ("mke2fs", "e2fsprogs", true),
    ("sfdisk", "fdisk", true),
    ("mformat", "mtools", true),
    ("cpio", "cpio", true),
    ("bash", "bash", true),
    ("realpath", "coreutils", true),
];
/// Files that are no programs.
const KEYRING: (&str, &str) = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "debian-archive-keyring",
);
/// Where UEFI firmware is, as code and variables, without and with secure boot.
const FIRMWARE: [(&str, &str, &str); 1] = [(
    "/usr/share/OVMF/OVMF_CODE_4M.fd",
    "/usr/share/OVMF/OVMF_VARS_4M.fd",
    "ovmf",
)];
const SECURE_FIRMWARE: (&str, &str) = (
    "/usr/share/OVMF/OVMF_CODE_4M.ms.fd",
    "/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
);

/// An error that names the packages that are missing to boot guests, and with `building` to build their image.
pub fn require(building: bool) -> Result<()> {
    let programs = PROGRAMS
        .iter()
        .filter(|(program, _, builds)| (building || !builds) && !is_on_path(program))
        .map(|(_, package, _)| *package);
    let files = FIRMWARE
        .iter()
        .map(|(code, _, package)| (*code, *package))
        .chain(building.then_some(KEYRING))
        .filter(|(file, _)| !Path::new(file).exists())
        .map(|(_, package)| package);
    let missing: Vec<&str> = programs.chain(files).collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "to boot guests, this machine lacks some packages (the names are Debian's):\n  \
         apt-get install --no-install-recommends {}",
        missing.join(" ")
    )
}

/// UEFI firmware: its code, and what its variables are at the start.
pub fn firmware(secure: bool) -> (PathBuf, PathBuf) {
    let (code, variables) = match (secure, FIRMWARE) {
        (true, _) => SECURE_FIRMWARE,
        (false, [(code, variables, _)]) => (code, variables),
    };
    (code.into(), variables.into())
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Administrators' programs are not on everybody's path.
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|dir| dir.join(program).is_file())
}
