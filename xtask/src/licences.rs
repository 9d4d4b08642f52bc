//! Licences, sources, bans and advisories of the dependencies, by cargo-deny (deny.toml).

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::command::cargo;
use crate::{generated, tools};

const VERSION: &str = "0.20.2";

/// Checks bans, licences and sources, and the advisories when their database is on this machine.
pub fn check() -> anyhow::Result<()> {
    let deny = tools::installed("cargo-deny", VERSION)?;
    // cargo-deny reads the packages of every platform, and a build has only those of its own.
    cargo(&["fetch", "--locked", "--quiet"])?;
    let deny = deny.to_string_lossy();
    let run = |arguments: &[&str]| {
        let status = Command::new(&*deny)
            .args([
                "--offline",
                "--locked",
                "--workspace",
                "check",
                "--hide-inclusion-graph",
            ])
            .args(arguments)
            .current_dir(generated::root())
            .status();
        status.with_context(|| format!("cannot run {deny}"))
    };
    anyhow::ensure!(
        run(&["bans", "licenses", "sources"])?.success(),
        "a dependency breaks a rule of deny.toml"
    );
    if database().is_some_and(|database| database.exists()) {
        anyhow::ensure!(
            run(&["advisories"])?.success(),
            "a dependency has an advisory"
        );
    } else {
        println!(
            "advisories: not checked, there is no advisory database on this machine (`cargo deny fetch` gets it)"
        );
    }
    Ok(())
}

/// Where cargo-deny keeps the advisory database.
fn database() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cargo")))?;
    Some(home.join("advisory-dbs"))
}
