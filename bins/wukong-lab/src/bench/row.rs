//! One measured figure with its goal.

use serde::{Deserialize, Serialize};

/// A figure, the goal for it, and what was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// The number of the goal, such as `A1`.
    pub goal: String,
    pub figure: String,
    pub limit: Limit,
    /// `None`: not available on this machine.
    pub measured: Option<f64>,
    pub unit: Unit,
    /// What a ratio compares, or which part of the figure is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
    /// A figure that explains others.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    Count,
    Ratio,
    Seconds,
    Bytes,
    PerSecond,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Met,
    Missed,
    NotAvailable,
    NoGoal,
}

impl Row {
    pub fn new(goal: &str, figure: &str, limit: Limit, measured: Option<f64>, unit: Unit) -> Self {
        Self {
            goal: goal.to_owned(),
            figure: figure.to_owned(),
            limit,
            measured,
            unit,
            detail: String::new(),
        }
    }

    pub fn at_most(goal: &str, figure: &str, limit: f64, measured: f64, unit: Unit) -> Self {
        Self::new(goal, figure, Limit::AtMost(limit), Some(measured), unit)
    }

    pub fn plain(goal: &str, figure: &str, measured: f64, unit: Unit) -> Self {
        Self::new(goal, figure, Limit::None, Some(measured), unit)
    }

    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    pub fn verdict(&self) -> Verdict {
        let Some(measured) = self.measured else {
            return Verdict::NotAvailable;
        };
        let met = match self.limit {
            Limit::None => return Verdict::NoGoal,
            Limit::AtMost(limit) => measured <= limit,
            Limit::AtLeast(limit) => measured >= limit,
        };
        if met { Verdict::Met } else { Verdict::Missed }
    }

    /// The goal in words.
    pub fn bound(&self) -> String {
        match self.limit {
            Limit::None => String::new(),
            Limit::AtMost(0.0) => "0".to_owned(),
            Limit::AtMost(limit) => format!("<= {}", self.unit.show(limit)),
            Limit::AtLeast(limit) => format!(">= {}", self.unit.show(limit)),
        }
    }

    /// The measured value in words.
    pub fn value(&self) -> String {
        self.measured
            .map_or_else(|| "not available".to_owned(), |value| self.unit.show(value))
    }
}

impl Unit {
    /// A value with its unit, with three digits that count.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Count => number(value),
            Self::Ratio => format!("{} x", number(value)),
            Self::PerSecond => format!("{}/s", number(value)),
            Self::Bytes => format!("{} MiB", number(value / f64::from(1 << 20))),
            Self::Seconds if value < 1.0 => format!("{} ms", number(value * 1000.0)),
            Self::Seconds => format!("{} s", number(value)),
        }
    }
}

fn number(value: f64) -> String {
    if value.abs() >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::NotAvailable => "not available",
            Self::NoGoal => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_held_against_its_goal() {
        let verdict = |limit, measured| Row::new("A1", "x", limit, measured, Unit::Count).verdict();
        assert_eq!(verdict(Limit::AtMost(8.0), Some(8.0)), Verdict::Met);
        assert_eq!(verdict(Limit::AtMost(8.0), Some(8.1)), Verdict::Missed);
        assert_eq!(verdict(Limit::AtLeast(0.9), Some(0.8)), Verdict::Missed);
        assert_eq!(verdict(Limit::AtMost(8.0), None), Verdict::NotAvailable);
        assert_eq!(verdict(Limit::None, Some(1.0)), Verdict::NoGoal);
    }

    #[test]
    fn values_have_their_unit() {
        assert_eq!(Unit::Seconds.show(0.0123), "12.3 ms");
        assert_eq!(Unit::Seconds.show(2.5), "2.50 s");
        assert_eq!(Unit::Bytes.show(64.0 * f64::from(1 << 20)), "64 MiB");
        assert_eq!(Unit::Ratio.show(1.333), "1.33 x");
    }
}
