//! Drawing a picture: a table that redraws itself on a terminal, a line per change elsewhere.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use comfy_table::{ContentArrangement, Table};
use indicatif::ProgressBar;

use super::picture::Picture;
use crate::Progress;

pub(super) struct Screen {
    canvas: Option<ProgressBar>,
    started: Instant,
    /// What each line says, and since when.
    lines: BTreeMap<String, (String, Duration)>,
}

impl Screen {
    /// Times are shown from `started`.
    pub(super) fn new(progress: &Progress, started: Instant) -> Self {
        Self {
            canvas: progress.canvas(),
            started,
            lines: BTreeMap::new(),
        }
    }

    pub(super) fn show(&mut self, picture: &Picture) {
        self.note_changes(picture);
        if let Some(canvas) = &self.canvas {
            canvas.set_message(self.draw(picture));
        }
    }

    /// Leaves the last picture where it is.
    pub(super) fn finish(&mut self, picture: &Picture) {
        if let Some(canvas) = &self.canvas {
            canvas.finish_with_message(self.draw(picture));
        }
    }

    fn note_changes(&mut self, picture: &Picture) {
        let now = self.started.elapsed();
        let objects = picture
            .objects()
            .map(|(kind, name, state)| (format!("{kind} {name}"), state.to_owned()));
        let conditions = picture.conditions().iter().map(|condition| {
            (
                condition.type_.clone(),
                format!("{} {}", condition.status, condition.reason),
            )
        });
        for (what, state) in objects.chain(conditions) {
            let known = self.lines.get(&what);
            if known.is_none_or(|(before, _)| *before != state) {
                if self.canvas.is_none() {
                    say!("{:>6.1} s  {what}: {state}", now.as_secs_f64());
                }
                self.lines.insert(what, (state, now));
            }
        }
    }

    fn since(&self, what: &str) -> String {
        self.lines
            .get(what)
            .map(|(_, since)| format!("{:.1} s", since.as_secs_f64()))
            .unwrap_or_default()
    }

    fn draw(&self, picture: &Picture) -> String {
        let mut objects = table(["OBJECT", "NAME", "STATE", "SINCE"]);
        for (kind, name, state) in picture.objects() {
            objects.add_row([kind, name, state, &self.since(&format!("{kind} {name}"))]);
        }
        let mut conditions = table(["CONDITION", "STATUS", "REASON", "SINCE"]);
        for condition in picture.conditions() {
            conditions.add_row([
                &condition.type_,
                &condition.status,
                &condition.reason,
                &self.since(&condition.type_),
            ]);
        }
        let elapsed = self.started.elapsed().as_secs_f64();
        format!("\n{objects}\n\n{conditions}\n\n  {elapsed:.1} s since the manifest was applied\n")
    }
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .use_stderr();
    table.set_header(header);
    table
}
