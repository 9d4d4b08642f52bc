//! The phases of a measurement.

mod bulk;
mod idle;
mod latency;
mod metrics;
mod settled;
mod throughput;

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use kube::Client;

use super::bare::{self, Bare};
use super::costs::Memory;
use super::fleet::{self, Fleet};
use super::lifecycles::percentile;
use super::neighbours::{self, Neighbours};
use super::report::Run;
use super::row::{Row, Unit};
use super::settings::Settings;
use super::{installation, plugin};
use crate::{Lab, Operator, OperatorOptions, Progress};
use metrics::Metrics;

const MIB: f64 = 1024.0 * 1024.0;
/// Memory of the operator: 12 MiB when idle, 64 MiB at 10,000 Wukongs.
const IDLE_BYTES: f64 = 12.0 * MIB;
const BYTES_FOR_ONE: f64 = 52.0 * MIB / 10_000.0;
const POLL: Duration = Duration::from_millis(100);
/// A phase in which nothing changes for so long does not end.
const STALLED: Duration = Duration::from_secs(180);
/// Longer than every delay of a status or an event.
const SETTLES: Duration = Duration::from_secs(6);
const SETTLED_DEADLINE: Duration = Duration::from_secs(300);
const MEDIAN: f64 = 0.5;
const MOST: f64 = 0.99;

/// A cluster with its neighbours, and what was measured in it so far.
pub struct Bench<'a> {
    settings: &'a Settings,
    progress: &'a Progress,
    admin: Client,
    fleet: Fleet,
    neighbours: Neighbours,
    rows: Vec<Row>,
    phases: Vec<(String, f64)>,
    load: f64,
    /// Wukongs that cannot run.
    failing: usize,
    /// Requests of the bare client so far.
    bares: usize,
    lab: Lab,
}

/// The latencies of an unloaded cluster, with which others are compared.
struct Unloaded {
    bare_apply: Vec<Duration>,
    to_vm: Vec<Duration>,
}

impl<'a> Bench<'a> {
    /// Fills a cluster with everything but Wukongs.
    pub async fn set_up(lab: Lab, settings: &'a Settings, progress: &'a Progress) -> Result<Self> {
        let started = Instant::now();
        let load = load();
        let task = progress.task("Installing the simulated neighbours");
        let size = settings.size;
        let client = lab.simulator_client(neighbours::AGENT).await?;
        let nodes = installation::install(&client, size.nodes).await?;
        installation::foreign(&client, size.foreign).await?;
        task.done(format!(
            "{} nodes and {} foreign objects are there",
            size.nodes,
            2 * size.foreign
        ));
        Ok(Self {
            settings,
            progress,
            admin: lab.client_named(bare::AGENT).await?,
            fleet: Fleet::new(lab.client_named(fleet::AGENT).await?),
            neighbours: Neighbours::start(client, nodes),
            rows: Vec::new(),
            phases: vec![("set-up".to_owned(), started.elapsed().as_secs_f64())],
            load,
            failing: 0,
            bares: 0,
            lab,
        })
    }

    /// Runs all phases.
    pub async fn run(mut self) -> Result<Run> {
        let measured = self.all_phases().await;
        self.rows.sort_by_key(|row| {
            let number = row.goal.trim_start_matches('A');
            number.parse::<u32>().unwrap_or(u32::MAX)
        });
        let run = Run {
            size: self.settings.size,
            cores: std::thread::available_parallelism()?.get(),
            load: [self.load, load()],
            rows: self.rows,
            phases: self.phases,
        };
        if measured.is_err() {
            let (logs, table) = (self.lab.keep_logs()?, run.table(None));
            self.progress.say(format!(
                "Measured so far; the logs are in {}:\n{table}",
                logs.display()
            ));
        }
        measured.map(|()| run)
    }

    async fn all_phases(&mut self) -> Result<()> {
        let timed = !self.settings.counts_only;
        let operator = self.idle().await?;
        let (specimen, prepared) = self.specimen(&operator).await?;
        let bare = Bare::new(self.admin.clone(), &prepared).await?;
        let mut left = self.settings.size.wukongs.saturating_sub(1);
        let mut share = |count: usize| {
            let count = if timed { count.min(left) } else { 0 };
            left -= count;
            count
        };
        let single = share((self.settings.size.wukongs / 10).clamp(10, 30));
        let paced = share((self.settings.size.wukongs / 10).clamp(1, 100));
        let burst = share((self.settings.size.wukongs / 2).min(5000));
        let bulk = left;
        ensure!(
            bulk > 0,
            "{} Wukongs are too few for all phases",
            self.settings.size.wukongs
        );

        let unloaded = match single {
            0 => None,
            count => Some(self.one_by_one(&operator, &bare, count).await?),
        };
        let rate = self.bulk(&operator, bulk).await?;
        if let Some(unloaded) = &unloaded {
            self.burst(&operator, &bare, unloaded, burst).await?;
            self.paced(&operator, &bare, unloaded, rate / 2.0, paced)
                .await?;
        }
        self.steady(&operator).await?;
        let operator = self.restart(operator, &bare, unloaded.as_ref()).await?;
        if let Some(path) = self.settings.plugin.clone() {
            let started = Instant::now();
            let task = self.progress.task("Running the plugin");
            let rows = plugin::measure(&self.lab, &path, &specimen).await?;
            self.rows.extend(rows);
            task.done("the plugin ran");
            self.ended("plugin", started);
        }
        if timed {
            self.failing(&operator).await?;
            self.throughput(operator, &prepared).await?;
        }
        Ok(())
    }

    async fn start(&self, identity: &str) -> Result<Operator> {
        let options = OperatorOptions::default()
            .binary(&self.settings.operator)
            .arg("--identity")
            .arg(identity);
        self.lab.start_operator(options).await
    }

    async fn standby(&self, identity: &str) -> Result<Operator> {
        let operator = self.start(identity).await?;
        operator.ready().await?;
        // It reads the Lease once before it waits for it.
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(operator)
    }

    async fn bare_apply(&mut self, bare: &Bare) -> Result<()> {
        self.bares += 1;
        bare.apply(self.bares).await
    }

    /// The Wukongs that shall run.
    fn expected(&self) -> usize {
        self.fleet.count() - self.failing
    }

    /// Waits until every Wukong is reported to run.
    async fn all_run(&mut self, operator: &Operator, what: &str) -> Result<()> {
        let expected = self.expected() as f64;
        self.until(operator, what, |metrics| {
            metrics.value("wukong_vms{phase=\"Running\"}") >= Some(expected)
                && metrics.value("wukong_queue_depth") == Some(0.0)
        })
        .await
    }

    /// Waits until the metrics of the operator show something. Errors when they stay the same for long.
    async fn until(
        &mut self,
        operator: &Operator,
        what: &str,
        shows: impl Fn(&Metrics) -> bool,
    ) -> Result<()> {
        let mut changed = (Instant::now(), 0.0);
        loop {
            operator.process().check()?;
            self.lab.check()?;
            self.neighbours.check()?;
            // It serves its port a moment after its start.
            if let Ok(text) = operator.get("/metrics").await {
                let metrics = Metrics(text);
                if shows(&metrics) {
                    return Ok(());
                }
                if metrics.reconciles() != changed.1 {
                    changed = (Instant::now(), metrics.reconciles());
                }
                if changed.0.elapsed() > STALLED {
                    bail!(
                        "nothing happens any more while waiting for {what}:\n{}",
                        metrics.0
                    );
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn memory(&mut self, figure: &str, memory: Memory) {
        let bound = IDLE_BYTES + BYTES_FOR_ONE * self.settings.size.wukongs as f64;
        self.rows.push(Row::at_most(
            "A6",
            figure,
            bound,
            memory.resident as f64,
            Unit::Bytes,
        ));
    }

    /// A row for the ratio of two latencies.
    fn compare(
        &mut self,
        goal: &str,
        figure: &str,
        bound: f64,
        ours: &[Duration],
        bare: &[Duration],
        part: f64,
    ) {
        let detail = format!(
            "{} to {}",
            seconds(percentile(ours, part)),
            seconds(percentile(bare, part))
        );
        let row = Row::at_most(goal, figure, bound, ratio(ours, bare, part), Unit::Ratio);
        self.rows.push(row.detail(detail));
    }

    fn ended(&mut self, phase: &str, started: Instant) {
        self.phases
            .push((phase.to_owned(), started.elapsed().as_secs_f64()));
    }
}

/// The load average of the last minute.
fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text
        .split_whitespace()
        .next()
        .and_then(|first| first.parse().ok());
    first.unwrap_or_default()
}

fn ratio(ours: &[Duration], bare: &[Duration], part: f64) -> f64 {
    percentile(ours, part).as_secs_f64() / percentile(bare, part).as_secs_f64()
}

fn seconds(time: Duration) -> String {
    Unit::Seconds.show(time.as_secs_f64())
}
