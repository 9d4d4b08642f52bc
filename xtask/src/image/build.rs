//! A static binary of the operator that depends on its sources only, not on where or when it is built.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Endianness, elf};
use strum::Display;

use crate::{generated, tools};

const AUDITABLE: &str = "0.7.7";

/// A kind of machine, as images name it.
#[derive(Clone, Copy, Debug, Display, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
#[strum(serialize_all = "lowercase")]
pub enum Arch {
    Amd64,
    Arm64,
}

impl Arch {
    /// Of this machine.
    pub fn here() -> anyhow::Result<Self> {
        match env::consts::ARCH {
            "x86_64" => Ok(Self::Amd64),
            "aarch64" => Ok(Self::Arm64),
            other => bail!("there is no image for {other}: choose with --arch"),
        }
    }

    /// Rust's names, the better one first: a static binary of musl is smaller, and it looks up names without glibc's
    /// plug-ins, which a static binary lacks.
    fn targets(self) -> [&'static str; 2] {
        match self {
            Self::Amd64 => ["x86_64-unknown-linux-musl", "x86_64-unknown-linux-gnu"],
            Self::Arm64 => ["aarch64-unknown-linux-musl", "aarch64-unknown-linux-gnu"],
        }
    }
}

/// The best target with an installed standard library.
pub fn target(arch: Arch) -> anyhow::Result<&'static str> {
    for target in arch.targets() {
        let output = Command::new("rustc")
            .args(["--print", "target-libdir", "--target", target])
            .current_dir(generated::root())
            .stderr(Stdio::inherit())
            .output()
            .context("cannot run rustc")?;
        let libraries = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() && Path::new(&libraries).is_dir() {
            return Ok(target);
        }
    }
    let [best, _] = arch.targets();
    let compiler = match arch {
        Arch::Amd64 => "gcc-x86-64-linux-gnu",
        Arch::Arm64 => "gcc-aarch64-linux-gnu",
    };
    bail!(
        "Rust's standard library for {arch} is not installed: `rustup target add {best}`, or with Debian's Rust \
         libstd-rust-dev:{arch}. On a machine of another kind it takes a C compiler and linker for it, too (Debian: {compiler})"
    )
}

/// `cargo auditable`, which notes in a binary what it is made of.
pub fn auditable() -> anyhow::Result<PathBuf> {
    tools::installed("cargo-auditable", AUDITABLE)
}

/// Builds the operator of the sources in `root` with `auditable`.
pub fn operator(
    auditable: &Path,
    root: &Path,
    build: &Path,
    target: &str,
) -> anyhow::Result<PathBuf> {
    println!("building wukong-operator for {target} (minutes)");
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cargo")))
        .context("there is no home directory")?;
    let remap = |path: &Path, name: &str| format!("{}={name}", path.display());
    // Of several that fit, the last is taken.
    let moved = [
        remap(root, "/wukong"),
        remap(&cargo_home, "/cargo"),
        remap(build, "/build"),
    ];
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    // Half a MiB of relocations takes a few KiB. Debian's linker for arm64 does not know the option.
    if target.starts_with("x86_64-") {
        flags.push("-Clink-arg=-Wl,-z,pack-relative-relocs".to_owned());
    }
    flags.extend(
        moved
            .iter()
            .map(|moved| format!("--remap-path-prefix={moved}")),
    );
    let c_flags: Vec<String> = moved
        .iter()
        .map(|moved| format!("-ffile-prefix-map={moved}"))
        .collect();
    let mut cargo = Command::new(auditable);
    cargo
        .args(["auditable", "build", "--release", "--locked"])
        .args(["--package", "wukong-operator", "--bin", "wukong-operator"])
        .args(["--target", target, "--target-dir"])
        .arg(build)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env(
            format!("CFLAGS_{}", target.replace('-', "_")),
            c_flags.join(" "),
        )
        .env_remove("RUSTFLAGS")
        .current_dir(root);
    for (name, value) in cross_compiler(target) {
        if env::var_os(&name).is_none() {
            cargo.env(name, value);
        }
    }
    let status = cargo.status().context("cannot run cargo auditable")?;
    ensure!(status.success(), "the operator does not build for {target}");
    Ok(build.join(target).join("release/wukong-operator"))
}

/// Whether a program starts without another file: it requires no loader for shared libraries.
pub fn is_static(program: &[u8]) -> anyhow::Result<bool> {
    let program = ElfFile64::<Endianness>::parse(program).context("not a program for Linux")?;
    let mut headers = program.elf_program_headers().iter();
    Ok(!headers.any(|header| header.p_type(program.endian()) == elf::PT_INTERP))
}

/// Where the C compiler of another kind of machine is, as Debian names it, in the variables of cargo and of cc.
fn cross_compiler(target: &str) -> Vec<(String, String)> {
    let machine = target.split('-').next().unwrap_or_default();
    if machine == env::consts::ARCH {
        return Vec::new();
    }
    let compiler = format!("{machine}-linux-gnu-gcc");
    let name = target.replace('-', "_");
    vec![
        (format!("CC_{name}"), compiler.clone()),
        (
            format!("CARGO_TARGET_{}_LINKER", name.to_uppercase()),
            compiler,
        ),
    ]
}

/// Copies what git has of the sources, with the changes that are not committed.
pub fn copy_sources(to: &Path) -> anyhow::Result<()> {
    let root = generated::root();
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(&root)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run git")?;
    ensure!(output.status.success(), "git does not list the sources");
    for path in String::from_utf8(output.stdout)?.split_terminator('\0') {
        let (from, to) = (root.join(path), to.join(path));
        // Removed, and not yet committed.
        if !from.exists() {
            continue;
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(&from, &to).with_context(|| format!("cannot copy {path}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_needs_an_interpreter_is_not_static() {
        let mut program = fs::read(env::current_exe().unwrap()).unwrap();
        assert!(
            !is_static(&program).unwrap(),
            "tests are linked to the system's libraries"
        );
        // The number of program headers, in the 64-bit ELF header.
        program[56..58].fill(0);
        assert!(is_static(&program).unwrap());
        assert!(is_static(b"#!/bin/sh").is_err());
    }
}
