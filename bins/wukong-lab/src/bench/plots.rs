//! Plots of cost over size.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::report::Report;
use super::row::Unit;
use crate::chart::{Chart, Series};

/// A plot: its file, its title, its unit, and the figures that it shows.
struct Plot {
    file: &'static str,
    title: &'static str,
    unit: Unit,
    figures: &'static [(&'static str, &'static str)],
}

const PLOTS: [Plot; 5] = [
    Plot {
        file: "memory.svg",
        title: "Resident memory of the operator",
        unit: Unit::Bytes,
        figures: &[
            ("A6", "memory when idle"),
            ("A6", "memory after the creations"),
            ("A6", "memory after a restart"),
        ],
    },
    Plot {
        file: "cpu.svg",
        title: "CPU time of the operator for one lifecycle",
        unit: Unit::Seconds,
        figures: &[
            ("A5", "CPU time for one lifecycle"),
            (
                "A5",
                "CPU time for one lifecycle in a burst in one namespace",
            ),
        ],
    },
    Plot {
        file: "latency.svg",
        title: "Latency, in bare requests",
        unit: Unit::Ratio,
        figures: &[
            ("A3", "last claim -> VM stored, unloaded, p50"),
            ("A3", "last claim -> VM stored, half load, p99"),
            ("A4", "VM runs -> status, p99"),
        ],
    },
    Plot {
        file: "plugin-time.svg",
        title: "Time of the plugin",
        unit: Unit::Seconds,
        figures: &[
            ("A11", "doctor NAME"),
            ("A11", "list -A"),
            ("A11", "plan -f FILE"),
            ("A11", "preflight -f FILE"),
        ],
    },
    Plot {
        file: "plugin-memory.svg",
        title: "Peak memory of the plugin",
        unit: Unit::Bytes,
        figures: &[
            ("A11", "doctor NAME: peak memory"),
            ("A11", "list -A: peak memory"),
            ("A11", "plan -f FILE: peak memory"),
            ("A11", "preflight -f FILE: peak memory"),
        ],
    },
];

/// Writes the plots of all runs into a directory. Returns the files.
pub fn write(report: &Report, dir: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(dir)?;
    let mut files = Vec::new();
    for plot in &PLOTS {
        let series: Vec<Series> = plot
            .figures
            .iter()
            .map(|(goal, figure)| (*figure, values(report, goal, figure)))
            .filter(|(_, values)| !values.is_empty())
            .collect();
        if !series.is_empty() {
            let file = dir.join(plot.file);
            let chart = Chart {
                title: plot.title,
                counted: "Wukongs",
                show: &|value| plot.unit.show(value),
            };
            fs::write(&file, chart.svg(&series)?)?;
            files.push(file);
        }
    }
    Ok(files)
}

/// Number of Wukongs and measured value of each run.
fn values(report: &Report, goal: &str, figure: &str) -> Vec<(f64, f64)> {
    let mut values: Vec<(f64, f64)> = report
        .runs
        .iter()
        .filter_map(|run| Some((run.size.wukongs as f64, run.value(goal, figure)?)))
        .collect();
    values.sort_by(|one, other| one.0.total_cmp(&other.0));
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::report::{Run, Size};
    use crate::bench::row::Row;

    #[test]
    fn a_figure_of_two_sizes_is_plotted() {
        let run = |wukongs, bytes| Run {
            size: Size {
                wukongs,
                nodes: 3,
                foreign: 0,
            },
            cores: 2,
            load: [0.0, 0.0],
            rows: vec![Row::plain(
                "A6",
                "memory after a restart",
                bytes,
                Unit::Bytes,
            )],
            phases: Vec::new(),
        };
        let report = Report {
            runs: vec![run(1000, 4e7), run(100, 2e7)],
        };
        let dir = tempfile::tempdir().unwrap();
        let files = write(&report, dir.path()).unwrap();
        assert_eq!(files, [dir.path().join("memory.svg")]);
        let svg = fs::read_to_string(&files[0]).unwrap();
        assert!(
            svg.contains("memory after a restart") && svg.contains("polyline"),
            "{svg}"
        );
    }
}
