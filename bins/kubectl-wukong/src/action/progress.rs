//! The progress line: the conditions of a Wukong.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use wukong_api::{ConditionType, Wukong};

use crate::{output, text};

/// The progress line. On a terminal it is replaced on every change; elsewhere each change is a new line.
pub struct Progress {
    bar: ProgressBar,
    name: String,
    last: String,
    blocker: Option<String>,
}

impl Progress {
    pub fn new(name: &str) -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self {
            bar,
            name: name.to_owned(),
            last: String::new(),
            blocker: None,
        }
    }

    /// Shows the conditions of `wukong`.
    pub fn show(&mut self, wukong: &Wukong) {
        let status = wukong.status.as_ref();
        self.blocker = status
            .and_then(|status| status.blocker.as_ref())
            .map(|blocker| text::plain(&format!("{}: {}", blocker.reason, blocker.message)));
        let line = line(wukong);
        if line == self.last {
            return;
        }
        if self.bar.is_hidden() {
            output::note(&format!("{}: {line}", self.name));
        } else {
            self.bar.set_message(line.clone());
        }
        self.last = line;
    }

    /// Returns the last observed blocker.
    pub fn blocker(&self) -> Option<&str> {
        self.blocker.as_deref()
    }

    /// Removes the line.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// Returns the number of true conditions and the first that is not true: `Starting  8 ✓  … Running: The guest waits for
/// its node`. A list of all conditions would be longer than a terminal is wide.
fn line(wukong: &Wukong) -> String {
    let Some(status) = &wukong.status else {
        return "not observed by the operator yet".into();
    };
    let phase = status
        .phase
        .map(|phase| phase.to_string())
        .unwrap_or_default();
    let conditions = || {
        let all = status.conditions.iter();
        all.filter(|condition| condition.type_ != ConditionType::Ready.as_ref())
    };
    // The conditions are in causal order: those after the first that is not true do not count.
    let done = conditions().take_while(|condition| condition.status == "True");
    let done = format!("{phase}  {} ✓", done.count());
    match conditions().find(|condition| condition.status != "True") {
        Some(next) => {
            let next = text::plain(&format!("{}: {}", next.type_, next.message));
            format!("{done}  … {next}")
        }
        None => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_the_first_condition_that_is_not_true() {
        let shown = |manifest| line(&serde_saphyr::from_str(manifest).unwrap());
        assert_eq!(
            shown(include_str!("../../tests/data/importing.yaml")),
            "Error  1 ✓  … VolumesBound: Disk root cannot be imported"
        );
        assert_eq!(
            shown(include_str!("../../tests/data/running.yaml")),
            "Running  2 ✓  … ConfigurationApplied: The VM runs with an earlier configuration"
        );
    }
}
