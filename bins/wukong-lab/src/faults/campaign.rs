//! Many runs side by side, and their report.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use comfy_table::{Table, presets};
use fastrand::Rng;
use futures::{StreamExt, TryStreamExt, stream};

use super::arena::{self, Arena};
use super::fault::Fault;
use super::objects::differences;
use super::run::{self, Golden, Outcome};
use super::scenario::{self, Scenario};
use super::selection;
use crate::Progress;

/// Lines about one failure.
const LINES_MAX: usize = 12;

/// Which runs take place.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Names of the scenarios; empty for all.
    pub scenarios: Vec<String>,
    /// Which faults.
    pub choice: Choice,
    /// Only faults at requests that contain this text.
    pub at: Option<String>,
    /// Seed of everything that is chosen at random.
    pub seed: u64,
    /// Runs at once.
    pub jobs: usize,
    /// The `wukong-lab` binary, for programs other than itself.
    pub shim: Option<PathBuf>,
}

/// Which faults are injected.
#[derive(Debug, Clone)]
pub enum Choice {
    /// One at each request, with the kinds in turn.
    Part,
    /// So many of these in each scenario.
    Sample(usize),
    /// Each kind at each request.
    All,
    /// So many pairs of faults in each scenario.
    Pairs(usize),
    /// These faults together.
    Only(Vec<Fault>),
}

/// The results of all runs.
#[derive(Debug)]
pub struct Report {
    rows: Vec<Row>,
    failures: Vec<Failure>,
    seed: u64,
    took: Duration,
}

#[derive(Debug)]
struct Row {
    scenario: &'static str,
    about: &'static str,
    requests: usize,
    runs: usize,
    failed: usize,
    missed: usize,
}

#[derive(Debug)]
struct Failure {
    scenario: &'static str,
    faults: Vec<Fault>,
    problems: Vec<String>,
}

impl Report {
    /// Whether nothing failed.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// Number of runs with faults.
    pub fn runs(&self) -> usize {
        self.rows.iter().map(|row| row.runs).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            writeln!(f, "FAILED: {}", replay(failure.scenario, &failure.faults))?;
            for problem in failure.problems.iter().take(LINES_MAX) {
                writeln!(f, "    {}", problem.replace('\n', "\n    "))?;
            }
        }
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header([
            "scenario",
            "what happens",
            "requests",
            "runs",
            "failed",
            "not reached",
        ]);
        for row in &self.rows {
            table.add_row([
                row.scenario.to_owned(),
                row.about.to_owned(),
                row.requests.to_string(),
                row.runs.to_string(),
                row.failed.to_string(),
                row.missed.to_string(),
            ]);
        }
        writeln!(f, "{table}")?;
        let missed: usize = self.rows.iter().map(|row| row.missed).sum();
        write!(
            f,
            "{} runs with faults in {} s (seed {}): {} failed; in {missed} the request did not come up.",
            self.runs(),
            self.took.as_secs(),
            self.seed,
            self.failures.len()
        )
    }
}

/// The command that repeats a run.
fn replay(scenario: &str, faults: &[Fault]) -> String {
    let faults = faults.iter().map(|fault| format!(" --fault '{fault}'"));
    format!(
        "cargo lab faults --scenario {scenario}{}",
        faults.collect::<String>()
    )
}

/// Executes a plan in a cluster of its own.
///
/// # Errors
/// If the cluster does not start, or a run without faults fails.
pub async fn campaign(plan: &Plan, progress: &Progress) -> Result<Report> {
    let begin = Instant::now();
    let panics = arena::count_panics();
    let scenarios = scenarios(plan)?;
    let arena = Arena::start("faults", plan.shim.clone(), progress).await?;

    let task = progress.task("Running the scenarios without faults");
    let goldens: Vec<Result<Golden>> = stream::iter(&scenarios)
        .map(|scenario| golden(&arena, *scenario))
        .buffered(plan.jobs)
        .collect()
        .await;
    let wrong = goldens.iter().filter_map(|golden| golden.as_ref().err());
    let wrong: Vec<String> = wrong.map(|error| format!("{error:#}")).collect();
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    let goldens: Vec<Golden> = goldens.into_iter().flatten().collect();
    task.done(format!("{} scenarios run without faults", scenarios.len()));

    let mut random = Rng::with_seed(plan.seed);
    let mut cases: Vec<(usize, Vec<Fault>)> = Vec::new();
    for (number, golden) in goldens.iter().enumerate() {
        // All processes begin with the same watches.
        let watches = number == 0;
        let singles = |faults: Vec<Fault>| faults.into_iter().map(|fault| vec![fault]).collect();
        let chosen: Vec<Vec<Fault>> = match &plan.choice {
            Choice::Part => singles(selection::part(&golden.trace, watches, &mut random)),
            Choice::Sample(count) => {
                let mut part = selection::part(&golden.trace, watches, &mut random);
                random.shuffle(&mut part);
                part.truncate(*count);
                singles(part)
            }
            Choice::All => singles(selection::all(&golden.trace, watches)),
            Choice::Pairs(count) => selection::pairs(&golden.trace, *count, &mut random),
            Choice::Only(faults) => vec![faults.clone()],
        };
        let wanted = |faults: &Vec<Fault>| {
            let at = plan.at.as_deref().unwrap_or_default();
            faults.iter().all(|fault| fault.at.request.contains(at))
        };
        let chosen = chosen.into_iter().filter(wanted);
        cases.extend(chosen.map(|faults| (number, faults)));
    }
    // Runs of one scenario do not all do the same at once.
    random.shuffle(&mut cases);

    let task = progress.task("Running the scenarios with faults");
    task.of(cases.len() as u64);
    let results: Vec<(usize, Vec<Fault>, Outcome)> = stream::iter(cases)
        .map(async |(number, faults)| {
            let (Some(scenario), Some(golden)) = (scenarios.get(number), goldens.get(number))
            else {
                bail!("a case names its scenario");
            };
            let outcome = run::faulty(&arena, *scenario, golden, faults.clone())
                .await
                .with_context(|| replay(scenario.name, &faults))?;
            if !outcome.problems.is_empty() {
                progress.say(format!("✗ {}", replay(scenario.name, &faults)));
            }
            task.advance();
            Ok((number, faults, outcome))
        })
        .buffer_unordered(plan.jobs)
        .try_collect()
        .await?;
    task.done("all runs are over");

    let mut report = report(&scenarios, &goldens, results);
    report.seed = plan.seed;
    report.took = begin.elapsed();
    let panics = panics.lock().unwrap_or_else(PoisonError::into_inner);
    if !panics.is_empty() {
        bail!("{report}\nthere were panics:\n{}", panics.join("\n"));
    }
    Ok(report)
}

fn scenarios(plan: &Plan) -> Result<Vec<Scenario>> {
    if plan.scenarios.is_empty() {
        return Ok(scenario::ALL.to_vec());
    }
    let named = |name: &String| {
        let names = scenario::ALL.map(|scenario| scenario.name).join(", ");
        scenario::named(name)
            .with_context(|| format!("no scenario is called {name}; there are {names}"))
    };
    plan.scenarios.iter().map(named).collect()
}

/// Two runs without faults, which have to end alike: otherwise no comparison with them would mean anything.
async fn golden(arena: &Arena, scenario: Scenario) -> Result<Golden> {
    let (one, other) = tokio::try_join!(run::golden(arena, scenario), run::golden(arena, scenario))
        .with_context(|| format!("the scenario {} without faults", scenario.name))?;
    let differences = differences(&one.objects, &other.objects);
    if !differences.is_empty() {
        bail!(
            "two runs of {} without faults differ:\n{}",
            scenario.name,
            differences.join("\n")
        );
    }
    let written = one.written.union(&other.written).cloned().collect();
    Ok(Golden { written, ..one })
}

fn report(
    scenarios: &[Scenario],
    goldens: &[Golden],
    results: Vec<(usize, Vec<Fault>, Outcome)>,
) -> Report {
    let mut failures = BTreeMap::new();
    let mut rows: Vec<Row> = scenarios
        .iter()
        .zip(goldens)
        .map(|(scenario, golden)| Row {
            scenario: scenario.name,
            about: scenario.about,
            requests: golden.trace.len(),
            runs: 0,
            failed: 0,
            missed: 0,
        })
        .collect();
    for (number, faults, outcome) in results {
        let Some(row) = rows.get_mut(number) else {
            continue;
        };
        row.runs += 1;
        row.missed += usize::from(!outcome.injected);
        if !outcome.problems.is_empty() {
            row.failed += 1;
            let failure = Failure {
                scenario: row.scenario,
                faults: faults.clone(),
                problems: outcome.problems,
            };
            failures.insert((number, faults), failure);
        }
    }
    Report {
        rows,
        failures: failures.into_values().collect(),
        seed: 0,
        took: Duration::ZERO,
    }
}
