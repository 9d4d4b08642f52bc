//! Cargo's own tools, built once below the target folder.

use std::path::PathBuf;

use crate::command::cargo;
use crate::generated;

/// The program of a crate, such as `cargo-deny`.
pub fn installed(name: &str, version: &str) -> anyhow::Result<PathBuf> {
    let tools = generated::root().join("target/tools");
    let binary = tools.join(format!("bin/{name}{}", std::env::consts::EXE_SUFFIX));
    if !binary.exists() {
        println!("building {name} {version} (once, some minutes)");
        let root = tools.to_string_lossy().into_owned();
        cargo(&[
            "install",
            "--quiet",
            // It runs for a second, and builds in half of the time.
            "--debug",
            "--locked",
            "--root",
            &root,
            &format!("{name}@{version}"),
        ])?;
    }
    Ok(binary)
}
