//! The result of a measurement: a table, a file, and a comparison with an earlier file.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::{Deserialize, Serialize};

use super::row::{Row, Unit, Verdict};

/// The objects of a measured cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    pub wukongs: usize,
    pub nodes: usize,
    /// Claims and pods of others, of each as many.
    pub foreign: usize,
}

/// One measured cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    pub size: Size,
    pub cores: usize,
    /// Processes that waited for a core on average, at the start and at the end: more than a few spoil the times.
    pub load: [f64; 2],
    pub rows: Vec<Row>,
    /// The phases with the seconds that they took.
    pub phases: Vec<(String, f64)>,
}

/// All clusters that one command measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    pub runs: Vec<Run>,
}

impl Report {
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is no report of the bench", path.display()))
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))
    }

    /// The run of a size.
    pub fn of(&self, size: Size) -> Option<&Run> {
        self.runs.iter().find(|run| run.size == size)
    }
}

impl Run {
    /// Goal, figure, bound, measured value and verdict of every row, in the format of a Markdown table. With an earlier
    /// run, also its value and the change.
    pub fn table(&self, baseline: Option<&Self>) -> String {
        let mut table = Table::new();
        table
            .load_style(presets::ASCII_MARKDOWN)
            .set_content_arrangement(ContentArrangement::Disabled);
        let mut head = vec!["goal", "figure", "bound", "measured", "verdict"];
        if baseline.is_some() {
            head.extend(["before", "change"]);
        }
        table.set_header(head);
        for row in &self.rows {
            let figure = if row.detail.is_empty() {
                row.figure.clone()
            } else {
                format!("{} ({})", row.figure, row.detail)
            };
            let verdict = row.verdict().word().to_owned();
            let mut cells = vec![row.goal.clone(), figure, row.bound(), row.value(), verdict];
            if let Some(baseline) = baseline {
                cells.extend(compared(row, baseline));
            }
            table.add_row(cells);
        }
        for column in [2, 3] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.to_string()
    }

    /// How many figures have each verdict.
    pub fn summary(&self) -> String {
        let mut counts = BTreeMap::new();
        for row in &self.rows {
            *counts.entry(row.verdict().word()).or_insert(0) += 1;
        }
        let count = |verdict: Verdict| counts.get(verdict.word()).copied().unwrap_or(0);
        let Size {
            wukongs,
            nodes,
            foreign,
        } = self.size;
        let [before, after] = self.load;
        let seconds: f64 = self.phases.iter().map(|(_, seconds)| seconds).sum();
        format!(
            "{wukongs} Wukongs, {nodes} nodes, {foreign} foreign claims and pods: {} goals met, {} missed, {} not available. \
             {} cores, load {before:.1} to {after:.1}, {seconds:.0} s.",
            count(Verdict::Met),
            count(Verdict::Missed),
            count(Verdict::NotAvailable),
            self.cores,
        )
    }

    /// The measured value of a figure.
    pub fn value(&self, goal: &str, figure: &str) -> Option<f64> {
        self.row(goal, figure)?.measured
    }

    fn row(&self, goal: &str, figure: &str) -> Option<&Row> {
        self.rows
            .iter()
            .find(|row| row.goal == goal && row.figure == figure)
    }
}

fn compared(row: &Row, baseline: &Run) -> [String; 2] {
    let Some(before) = baseline.row(&row.goal, &row.figure) else {
        return [String::new(), String::new()];
    };
    let change = match (before.measured, row.measured) {
        (Some(before), Some(now)) if before == now => "=".to_owned(),
        (Some(before), Some(now)) if before != 0.0 && row.unit != Unit::Count => {
            format!("{:+.0} %", (now / before - 1.0) * 100.0)
        }
        (Some(before), Some(now)) => format!("{:+.1}", now - before),
        _ => String::new(),
    };
    [before.value(), change]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::row::Limit;

    fn run(bytes: f64) -> Run {
        let limit = Limit::AtMost(12.0 * f64::from(1 << 20));
        Run {
            size: Size {
                wukongs: 1,
                nodes: 1,
                foreign: 0,
            },
            cores: 2,
            load: [0.0, 0.0],
            rows: vec![
                Row::new("A6", "memory", limit, Some(bytes), Unit::Bytes),
                Row::new("A5", "instructions", Limit::AtMost(1.0), None, Unit::Count),
            ],
            phases: Vec::new(),
        }
    }

    #[test]
    fn a_miss_and_a_gap_show() {
        let run = run(f64::from(13 << 20));
        let table = run.table(None);
        assert!(
            table.contains("13 MiB") && table.contains("missed"),
            "{table}"
        );
        assert!(table.contains("not available"), "{table}");
        assert!(
            run.summary()
                .contains("0 goals met, 1 missed, 1 not available")
        );
    }

    #[test]
    fn a_baseline_shows_the_change() {
        let table = run(f64::from(10 << 20)).table(Some(&run(f64::from(20 << 20))));
        assert!(
            table.contains("20 MiB") && table.contains("-50 %"),
            "{table}"
        );
    }

    #[test]
    fn a_report_survives_its_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let report = Report {
            runs: vec![run(1.5)],
        };
        report.write(file.path()).unwrap();
        let read = Report::read(file.path()).unwrap();
        let size = Size {
            wukongs: 1,
            nodes: 1,
            foreign: 0,
        };
        assert_eq!(read.of(size).unwrap().value("A6", "memory"), Some(1.5));
    }
}
