//! `cases`: every case of the diagnosis, and how many are right.

use std::process::Command;

use anyhow::{Context, bail};

/// Judge every case of the diagnosis: signatures, reported failures and recordings of a real cluster.
#[derive(clap::Args)]
pub struct Args {
    /// Write what the status says into the cases of the signatures.
    #[arg(long)]
    update: bool,
}

/// The tests that print `<area>: <n> of <m> right`.
const TESTS: [(&str, &str); 2] = [("wukong-engine", "cases"), ("kubectl-wukong", "recordings")];

pub fn run(args: &Args) -> anyhow::Result<()> {
    let mut failed = Vec::new();
    for (package, test) in TESTS {
        let mut cargo = Command::new("cargo");
        cargo.args([
            "test",
            "--locked",
            "-p",
            package,
            "--test",
            test,
            "--",
            "--nocapture",
        ]);
        if args.update {
            cargo.env("UPDATE_CASES", "1");
        }
        let output = cargo.output().context("cargo did not start")?;
        let printed = String::from_utf8_lossy(&output.stdout);
        for line in printed.lines().filter(|line| line.ends_with(" right")) {
            println!("{line}");
        }
        if !output.status.success() {
            print!("{printed}{}", String::from_utf8_lossy(&output.stderr));
            failed.push(package);
        }
    }
    if !failed.is_empty() {
        bail!("cases of {} are wrong", failed.join(" and "));
    }
    Ok(())
}
