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
const OVMF: (&str, &str) = ("/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf");

/// An error that names the packages that are missing to boot guests, and with `building` to build their image.
pub fn require(building: bool) -> Result<()> {
    let programs = PROGRAMS
        .iter()
        .filter(|(program, _, builds)| (building || !builds) && !is_on_path(program))
        .map(|(_, package, _)| *package);
    let files = std::iter::once(OVMF)
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
    // With secure boot, Microsoft's keys are in the variables: they are what distributions' loaders are signed for.
    let (code, variables) = if secure {
        (
            "/usr/share/OVMF/OVMF_CODE_4M.ms.fd",
            "/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
        )
    } else {
        (OVMF.0, "/usr/share/OVMF/OVMF_VARS_4M.fd")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_server_installs_what_guests_need() {
        let script =
            std::fs::read_to_string(crate::cluster::manifests::repository(".ci/run")).unwrap();
        let of_every_system = ["dpkg", "bash", "coreutils"];
        let programs = PROGRAMS.map(|(program, package, _)| (program, package));
        for (needed, package) in programs.iter().chain(&[OVMF, KEYRING]) {
            let line = format!("need {needed} {package}\n");
            assert!(
                of_every_system.contains(package) || script.contains(&line),
                "{line}"
            );
        }
    }
}
