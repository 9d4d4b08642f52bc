//! The rounds as a table, the growth over them, and a plot.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use comfy_table::{Table, presets};

use super::sample::Sample;
use crate::chart::Chart;

const MIB: f64 = 1024.0 * 1024.0;
/// Rounds of one process before which its growth says nothing: caches fill, and a heap finds its size.
const WARM: usize = 3;

/// All rounds.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    wukongs: usize,
    /// The rounds in their order.
    pub rounds: Vec<Round>,
    pub(super) took: Duration,
}

/// One round.
#[derive(Debug, Clone)]
pub struct Round {
    /// From 1.
    pub number: usize,
    /// What went wrong.
    pub disturbance: &'static str,
    /// Changes of users.
    pub changes: usize,
    /// Number of the operator's process.
    pub life: usize,
    /// Wukongs at the end.
    pub wukongs: usize,
    /// Time from the end of the disturbance until all Wukongs had reached their spec.
    pub converged: Duration,
    /// What the operator held then.
    pub sample: Sample,
}

impl Report {
    pub(super) fn new(seed: u64, wukongs: usize) -> Self {
        Self {
            seed,
            wukongs,
            rounds: Vec::new(),
            took: Duration::ZERO,
        }
    }

    /// For each disturbance, in the order of their names: the times until all Wukongs had converged, the shortest first.
    fn by_disturbance(&self) -> BTreeMap<&'static str, Vec<Duration>> {
        let mut times: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for round in &self.rounds {
            let of = times.entry(round.disturbance).or_default();
            of.push(round.converged);
        }
        times.values_mut().for_each(|times| times.sort());
        times
    }

    /// The warm rounds of the process that lived longest.
    fn longest_life(&self) -> Vec<&Round> {
        let lives = self.rounds.iter().map(|round| round.life);
        let of = |life| -> Vec<&Round> {
            let rounds = self.rounds.iter().filter(|round| round.life == life);
            rounds.skip(WARM).collect()
        };
        lives.map(of).max_by_key(Vec::len).unwrap_or_default()
    }

    /// Growth for each round, of a figure of the process that lived longest; `None` if it lived too short.
    pub fn growth(&self, of: impl Fn(&Sample) -> f64) -> Option<f64> {
        let rounds = self.longest_life();
        let points = rounds
            .iter()
            .map(|round| (round.number as f64, of(&round.sample)));
        slope(&points.collect::<Vec<_>>())
    }

    /// Writes the plot of memory and descriptors over the rounds into a directory.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn plot(&self, dir: &Path) -> Result<PathBuf> {
        fs::create_dir_all(dir)?;
        let over = |of: fn(&Round) -> f64| -> Vec<(f64, f64)> {
            let rounds = self.rounds.iter();
            rounds
                .map(|round| (round.number as f64, of(round)))
                .collect()
        };
        let series = [
            (
                "memory in MiB",
                over(|round| round.sample.memory as f64 / MIB),
            ),
            (
                "file descriptors",
                over(|round| round.sample.descriptors as f64),
            ),
            (
                "seconds until converged",
                over(|round| round.converged.as_secs_f64()),
            ),
        ];
        let chart = Chart {
            title: "The operator over the rounds of a soak",
            counted: "round",
            show: &|value| format!("{value:.0}"),
        };
        let file = dir.join("soak.svg");
        fs::write(&file, chart.svg(&series)?)?;
        Ok(file)
    }
}

/// The slope of the least-squares line; `None` for fewer than three points.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    if points.len() < 3 {
        return None;
    }
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let over: f64 = points
        .iter()
        .map(|point| (point.0 - x) * (point.1 - y))
        .sum();
    let under: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    Some(over / under)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header([
            "round",
            "what happens",
            "changes",
            "Wukongs",
            "converged after",
            "memory",
            "descriptors",
            "threads",
        ]);
        for round in &self.rounds {
            table.add_row([
                round.number.to_string(),
                round.disturbance.to_owned(),
                round.changes.to_string(),
                round.wukongs.to_string(),
                format!("{:.1} s", round.converged.as_secs_f64()),
                format!("{:.1} MiB", round.sample.memory as f64 / MIB),
                round.sample.descriptors.to_string(),
                round.sample.threads.to_string(),
            ]);
        }
        writeln!(f, "{table}")?;
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header([
            "what happens",
            "rounds",
            "converged after, median",
            "slowest",
        ]);
        let seconds = |time: Option<&Duration>| {
            let time = time.copied().unwrap_or_default();
            format!("{:.1} s", time.as_secs_f64())
        };
        for (disturbance, times) in self.by_disturbance() {
            table.add_row([
                disturbance.to_owned(),
                times.len().to_string(),
                seconds(times.get(times.len() / 2)),
                seconds(times.last()),
            ]);
        }
        writeln!(f, "{table}")?;
        let longest = self
            .rounds
            .iter()
            .map(|round| round.converged)
            .max()
            .unwrap_or_default();
        writeln!(
            f,
            "{} rounds in {} s, {} Wukongs at first (seed {}): all converged, the slowest after {:.1} s.",
            self.rounds.len(),
            self.took.as_secs(),
            self.wukongs,
            self.seed,
            longest.as_secs_f64()
        )?;
        let growth = [
            (
                "memory",
                self.growth(|sample| sample.memory as f64 / 1024.0),
                "KiB",
            ),
            (
                "descriptors",
                self.growth(|sample| sample.descriptors as f64),
                "",
            ),
            ("threads", self.growth(|sample| sample.threads as f64), ""),
        ];
        for (what, growth, unit) in growth {
            match growth {
                Some(growth) => writeln!(
                    f,
                    "{what}: {growth:+.2} {unit} for each round of the longest life"
                )?,
                None => writeln!(f, "{what}: no process lived long enough to say")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(memory: impl Fn(usize) -> u64) -> Report {
        let mut report = Report::new(1, 10);
        for number in 1..=12 {
            report.rounds.push(Round {
                number,
                disturbance: "only changes",
                changes: 5,
                life: usize::from(number > 10),
                wukongs: 10,
                converged: Duration::from_secs(1),
                sample: Sample {
                    memory: memory(number),
                    descriptors: 20,
                    threads: 3,
                    queued: 0.0,
                },
            });
        }
        report
    }

    #[test]
    fn growth_is_that_of_the_longest_life_when_it_is_warm() {
        let level = report(|number| if number < 4 { 0 } else { 1000 });
        assert_eq!(level.growth(|sample| sample.memory as f64), Some(0.0));
        let growing = report(|number| 100 * number as u64);
        let growth = growing.growth(|sample| sample.memory as f64).unwrap();
        assert!((growth - 100.0).abs() < 1e-6, "{growth}");
    }

    #[test]
    fn each_disturbance_has_its_median_and_its_slowest_round() {
        let mut report = report(|_| 1000);
        for (round, seconds) in report.rounds.iter_mut().zip([9, 1, 4]) {
            round.disturbance = "operator killed";
            round.converged = Duration::from_secs(seconds);
        }
        let shown = report.to_string();
        let row = shown.lines().find(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            cells == ["", "operator killed", "3", "4.0 s", "9.0 s", ""]
        });
        assert!(row.is_some(), "{shown}");
    }

    #[test]
    fn the_rounds_are_plotted() {
        let dir = tempfile::tempdir().unwrap();
        let svg = fs::read_to_string(report(|_| 1000).plot(dir.path()).unwrap()).unwrap();
        assert!(
            svg.contains("file descriptors") && svg.contains("polyline"),
            "{svg}"
        );
    }
}
