//! `ci`: everything that has to hold before a change lands.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::bail;

use crate::command::{cargo, run};
use crate::{commits, cycles, dependencies, generated, licences, packages, page, words};

/// Run every check: format, lints, documentation, generated files, rules of the sources, licences, tests.
#[derive(clap::Args)]
pub struct Args {
    /// Leave out the tests (they are the longest step).
    #[arg(long)]
    no_tests: bool,
    /// Run only what takes little time after a change: no documentation, packages, licences, and no tests in the lab or
    /// of the model.
    #[arg(long, conflicts_with = "no_tests")]
    quick: bool,
}

/// A check. Quick ones are part of `ci --quick`.
struct Step {
    name: &'static str,
    quick: bool,
    run: fn() -> anyhow::Result<()>,
}

impl Step {
    const fn quick(name: &'static str, run: fn() -> anyhow::Result<()>) -> Self {
        Self {
            name,
            quick: true,
            run,
        }
    }

    const fn slow(name: &'static str, run: fn() -> anyhow::Result<()>) -> Self {
        Self {
            name,
            quick: false,
            run,
        }
    }
}

const CHECKS: [Step; 11] = [
    Step::quick("format", || cargo(&["fmt", "--all", "--check"])),
    Step::quick("words", words::check),
    Step::quick("commit subjects", commits::check),
    Step::quick("import cycles", cycles::check),
    Step::quick("generated files", generated_files),
    Step::quick("lints", || {
        let arguments = ["clippy", "--workspace", "--all-targets", "--locked"];
        cargo(&[&arguments[..], &["--", "-D", "warnings"]].concat())
    }),
    Step::slow("documentation", || {
        run(Command::new("cargo")
            .args(["doc", "--workspace", "--no-deps", "--locked"])
            .env("RUSTDOCFLAGS", "-D warnings"))
    }),
    Step::slow("dependency rules", dependencies::check),
    Step::slow("packages", packages::check),
    Step::slow("page of the plugin", page::check),
    Step::slow("licences and advisories", licences::check),
];

const TESTS: Step = Step::slow("tests", tests);
const QUICK_TESTS: Step = Step::quick("short tests", quick_tests);

pub fn run_all(args: &Args) -> anyhow::Result<()> {
    let mut steps: Vec<&Step> = CHECKS.iter().collect();
    if args.quick {
        steps.retain(|step| step.quick);
        steps.push(&QUICK_TESTS);
    } else if !args.no_tests {
        steps.push(&TESTS);
    }
    let begin = Instant::now();
    let mut failed = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let name = step.name;
        println!("\n== {} of {}: {name}", number + 1, steps.len());
        let start = Instant::now();
        let result = (step.run)();
        let seconds = start.elapsed().as_secs();
        match result {
            Ok(()) => println!("== {name}: passed ({seconds} s)"),
            Err(error) => {
                println!("== {name}: FAILED ({seconds} s): {error:#}");
                failed.push(name);
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

/// Crates with long integration tests: they start a control plane, or search the states of the model.
const LONG_TESTS: [&str; 2] = ["wukong-lab", "wukong-model"];

/// Every test except the integration tests of [`LONG_TESTS`], with fewer generated inputs. The selection of packages is
/// that of the lints and of [`tests`], so that cargo builds no dependency once more with other features.
fn quick_tests() -> anyhow::Result<()> {
    const TEST: [&str; 5] = [
        "test",
        "--workspace",
        "--locked",
        "--no-fail-fast",
        "--quiet",
    ];
    let targets = dependencies::integration_tests()?;
    let (long, quick): (Vec<_>, Vec<_>) = targets
        .iter()
        .partition(|target| LONG_TESTS.contains(&target.package.as_str()));
    let mut names = Vec::new();
    for target in quick {
        if let Some(other) = long.iter().find(|other| other.name == target.name) {
            bail!(
                "{} and {} have tests named {}: rename one",
                target.package,
                other.package,
                target.name
            );
        }
        names.extend(["--test", target.name.as_str()]);
    }
    run(Command::new("cargo")
        .args(TEST)
        .args(["--lib", "--bins"])
        .args(names)
        .env("PROPTEST_CASES", "16"))?;
    // Cargo runs the examples of the documentation only by themselves.
    cargo(&[&TEST[..], &["--doc"]].concat())
}

/// Programs that end-to-end tests run, and the variables that pass their paths.
const PROGRAMS: [(&str, &str); 3] = [
    ("WUKONG_OPERATOR_BIN", "wukong-operator"),
    ("WUKONG_PLUGIN_BIN", "kubectl-wukong"),
    ("WUKONG_EXAMPLE_BIN", "example-controller"),
];

/// Every test, the end-to-end ones in the lab included. They run the programs that are built here with everything else,
/// rather than have them built once more with fewer features of their dependencies. Property tests draw the same inputs in
/// every run of CI, so that a change is judged by what it changes; `cargo test` draws new ones.
fn tests() -> anyhow::Result<()> {
    // With the tests, so that dependencies have the same features and are built once.
    cargo(&["build", "--workspace", "--bins", "--tests", "--locked"])?;
    let target: PathBuf = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| generated::root().join("target"), Into::into);
    let built = |name| target.join(format!("debug/{name}{}", std::env::consts::EXE_SUFFIX));
    run(Command::new("cargo")
        .args(["test", "--workspace", "--locked", "--no-fail-fast"])
        .env("PROPTEST_RNG_SEED", "20261130")
        .envs(PROGRAMS.map(|(variable, name)| (variable, built(name)))))
}

fn generated_files() -> anyhow::Result<()> {
    cargo(&["xtask", "gen-crds", "--check"])?;
    cargo(&["xtask", "gen-docs", "--check"])?;
    cargo(&["xtask", "upstream-schemas", "--check"])
}
