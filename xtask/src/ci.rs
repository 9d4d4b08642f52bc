//! `ci`: everything that has to hold before a change lands.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::bail;

use crate::command::{cargo, run};
use crate::{commits, cycles, dependencies, generated, licences, packages, words};

/// Run every check: format, lints, documentation, generated files, dependency rules, licences, tests.
#[derive(clap::Args)]
pub struct Args {
    /// Leave out the tests (they are the longest step).
    #[arg(long)]
    no_tests: bool,
}

type Step = (&'static str, fn() -> anyhow::Result<()>);

const CHECKS: [Step; 10] = [
    ("format", || cargo(&["fmt", "--all", "--check"])),
    ("lints", || {
        cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ])
    }),
    ("documentation", || {
        run(Command::new("cargo")
            .args(["doc", "--workspace", "--no-deps", "--locked"])
            .env("RUSTDOCFLAGS", "-D warnings"))
    }),
    ("generated files", generated_files),
    ("dependency rules", dependencies::check),
    ("import cycles", cycles::check),
    ("packages", packages::check),
    ("licences and advisories", licences::check),
    ("words", words::check),
    ("commit subjects", commits::check),
];

const TESTS: Step = ("tests", tests);

pub fn run_all(args: &Args) -> anyhow::Result<()> {
    let steps: Vec<&Step> = CHECKS
        .iter()
        .chain((!args.no_tests).then_some(&TESTS))
        .collect();
    let begin = Instant::now();
    let mut failed = Vec::new();
    for (number, (name, step)) in steps.iter().enumerate() {
        println!("\n== {} of {}: {name}", number + 1, steps.len());
        let start = Instant::now();
        let result = step();
        let seconds = start.elapsed().as_secs();
        match result {
            Ok(()) => println!("== {name}: passed ({seconds} s)"),
            Err(error) => {
                println!("== {name}: FAILED ({seconds} s): {error:#}");
                failed.push(*name);
            }
        }
    }
    let minutes = begin.elapsed().as_secs_f64() / 60.0;
    if !failed.is_empty() {
        bail!(
            "after {minutes:.1} minutes, {} of {} checks failed: {}",
            failed.len(),
            steps.len(),
            failed.join(", ")
        );
    }
    println!(
        "\nAll {} checks passed in {minutes:.1} minutes.",
        steps.len()
    );
    Ok(())
}

/// Programs that end-to-end tests run, and the variables by which they are told where these are.
const PROGRAMS: [(&str, &str); 3] = [
    ("WUKONG_OPERATOR_BIN", "wukong-operator"),
    ("WUKONG_PLUGIN_BIN", "kubectl-wukong"),
    ("WUKONG_EXAMPLE_BIN", "example-controller"),
];

/// Every test, the end-to-end ones in the lab included. They run the programs that are built here with everything else,
/// rather than have them built once more with fewer features of their dependencies.
fn tests() -> anyhow::Result<()> {
    cargo(&["build", "--workspace", "--bins", "--locked"])?;
    let target: PathBuf = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| generated::root().join("target"), Into::into);
    let built = |name| target.join(format!("debug/{name}{}", std::env::consts::EXE_SUFFIX));
    run(Command::new("cargo")
        .args(["test", "--workspace", "--locked", "--no-fail-fast"])
        .envs(PROGRAMS.map(|(variable, name)| (variable, built(name)))))
}

fn generated_files() -> anyhow::Result<()> {
    cargo(&["xtask", "gen-crds", "--check"])?;
    cargo(&["xtask", "gen-docs", "--check"])?;
    cargo(&["xtask", "upstream-schemas", "--check"])
}
