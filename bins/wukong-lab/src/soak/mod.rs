//! A cluster in which much changes and much fails, round after round.
//!
//! In each round users create, edit, stop and delete Wukongs while one `Disturbance` lasts. When it is over, all
//! Wukongs have to reach their spec. What the operator's process holds is measured at the end of each round: it must not grow.

mod clock;
mod disturbance;
mod fleet;
mod report;
mod sample;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fastrand::Rng;

use crate::{Lab, OperatorOptions, Options, Progress, SimulatorOptions};
use clock::Clock;
use disturbance::{Disturbance, Lengths, Place};
use fleet::Fleet;
pub use report::{Report, Round};
use sample::Sample;

/// Milliseconds that a step of the simulation takes.
const PACE: &str = "30";
/// A short Lease: a killed leader is followed soon.
const LEASE: &str = "--lease-seconds=3";

/// How long and how much.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which rounds there are.
    pub extent: Extent,
    /// Wukongs at the beginning.
    pub wukongs: usize,
    /// Seed of the changes and the order of the disturbances.
    pub seed: u64,
    /// The `wukong-lab` binary.
    pub shim: PathBuf,
}

/// Which rounds there are.
#[derive(Debug, Clone, Copy)]
pub enum Extent {
    /// Rounds with long disturbances, one after the other; none begins after this time.
    For(Duration),
    /// One round with each disturbance, which is short.
    OneOfEach,
}

impl Extent {
    fn lengths(self) -> Lengths {
        match self {
            Self::For(_) => Lengths::LONG,
            Self::OneOfEach => Lengths::SHORT,
        }
    }

    /// Changes of users in one round.
    fn changes(self) -> usize {
        match self {
            Self::For(_) => 12,
            Self::OneOfEach => 6,
        }
    }

    /// Whether there is another round after `rounds` in `elapsed`.
    fn goes_on(self, rounds: usize, elapsed: Duration) -> bool {
        match self {
            Self::For(duration) => elapsed < duration,
            Self::OneOfEach => rounds < Disturbance::ALL.len(),
        }
    }
}

/// Runs the rounds.
///
/// # Errors
/// If the Wukongs of a round do not reach their spec, or the operator ends by itself.
pub async fn soak(settings: &Settings, progress: &Progress) -> Result<Report> {
    let mut random = Rng::with_seed(settings.seed);
    let options = Options::new("soak")
        .shim(&settings.shim)
        .progress(progress.clone());
    let lab = Lab::start(options).await?;
    let _simulator = lab.start_simulator(SimulatorOptions::default().arg("--pace").arg(PACE))?;
    lab.simulator_ready().await?;
    let clock = Clock::create()?;
    let start = async || {
        let options = OperatorOptions::default().arg(LEASE);
        let options = clock
            .env()
            .into_iter()
            .fold(options, |options, (name, value)| options.env(name, value));
        let operator = lab.start_operator(options).await?;
        operator.ready().await?;
        anyhow::Ok(operator)
    };
    let mut operator = start().await?;
    let mut fleet = Fleet::create(&lab, settings.wukongs, &mut random).await?;
    let task = progress.task("The first Wukongs reach their spec");
    let took = fleet.converge().await?;
    task.done(format!(
        "{} Wukongs run after {:.0} s",
        settings.wukongs,
        took.as_secs_f64()
    ));

    let mut report = Report::new(settings.seed, settings.wukongs);
    let begin = Instant::now();
    let mut waiting: Vec<Disturbance> = Vec::new();
    let mut life = 0;
    while settings
        .extent
        .goes_on(report.rounds.len(), begin.elapsed())
    {
        if waiting.is_empty() {
            waiting = Disturbance::ALL.to_vec();
            random.shuffle(&mut waiting);
        }
        let Some(disturbance) = waiting.pop() else {
            bail!("there are disturbances");
        };
        let number = report.rounds.len() + 1;
        let task = progress.task(format!("Round {number}: {}", disturbance.about()));
        let place = Place {
            lab: &lab,
            operator: operator.process(),
            clock: &clock,
            lengths: settings.extent.lengths(),
        };
        let (changed, disturbed) = tokio::join!(
            fleet.churn(settings.extent.changes(), &mut random),
            disturbance.happen(&place)
        );
        changed.with_context(|| disturbance.about())?;
        disturbed.with_context(|| disturbance.about())?;
        if disturbance == Disturbance::OperatorCrash {
            operator.kill().await?;
            operator = start().await?;
            life += 1;
        }
        let took = fleet
            .converge()
            .await
            .with_context(|| format!("round {number}, {}", disturbance.about()))?;
        operator.process().check()?;
        lab.check()?;
        let sample = Sample::of(&operator).await?;
        task.done(format!(
            "round {number}, {}: converged after {:.1} s",
            disturbance.about(),
            took.as_secs_f64()
        ));
        report.rounds.push(Round {
            number,
            disturbance: disturbance.about(),
            changes: settings.extent.changes(),
            life,
            wukongs: fleet.len(),
            converged: took,
            sample,
        });
    }
    operator.stop().await?;
    report.took = begin.elapsed();
    Ok(report)
}
