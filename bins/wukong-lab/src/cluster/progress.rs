//! What a person sees while something takes long: spinners on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long a task may be silent on a plain stream before it is mentioned again.
const FIRST_MENTION: Duration = Duration::from_secs(3);
const NEXT_MENTION: Duration = Duration::from_secs(30);

/// Where tasks are shown.
#[derive(Clone)]
pub struct Progress {
    bars: MultiProgress,
    plain: bool,
}

impl Progress {
    /// On standard error.
    pub fn stderr() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            bars: MultiProgress::with_draw_target(target),
            plain: !terminal,
        }
    }

    /// Nowhere.
    pub fn silent() -> Self {
        Self {
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
            plain: false,
        }
    }

    /// Starts a task; it is shown until it is done or dropped.
    pub fn task(&self, what: impl Into<String>) -> Task {
        let what = what.into();
        let bar = self.bars.add(ProgressBar::new_spinner());
        bar.set_style(style("{spinner} {prefix} {msg} {elapsed}"));
        bar.set_prefix(what.clone());
        bar.enable_steady_tick(Duration::from_millis(100));
        let now = Instant::now();
        Task {
            what,
            bar,
            progress: self.clone(),
            started: now,
            mention_at: Mutex::new(now + FIRST_MENTION),
        }
    }

    /// Something that redraws itself as a whole, where that is possible: on a terminal.
    pub fn canvas(&self) -> Option<ProgressBar> {
        (!self.bars.is_hidden()).then(|| {
            let bar = self.bars.add(ProgressBar::new_spinner());
            bar.set_style(style("{msg}"));
            bar
        })
    }

    /// One line that stays.
    pub fn say(&self, line: impl AsRef<str>) {
        if self.plain {
            eprintln!("{}", line.as_ref());
        } else {
            // A hidden target drops the line, which is what silence means.
            let _ = self.bars.println(line);
        }
    }
}

/// Something that takes a while.
pub struct Task {
    what: String,
    bar: ProgressBar,
    progress: Progress,
    started: Instant,
    mention_at: Mutex<Instant>,
}

impl Task {
    /// Gives the task a known length: it becomes a bar.
    pub fn of(&self, length: u64) {
        self.bar
            .set_style(style("{spinner} {prefix} {wide_bar} {pos}/{len} {elapsed}"));
        self.bar.set_length(length);
    }

    /// One more of the length.
    pub fn advance(&self) {
        self.bar.inc(1);
        let length = self.bar.length().unwrap_or_default();
        self.mention(&format!("{} of {length}", self.bar.position()));
    }

    /// What is going on right now.
    pub fn detail(&self, detail: &str) {
        self.bar.set_message(detail.to_owned());
        self.mention(detail);
    }

    /// The task is over, and `outcome` is worth a line.
    pub fn done(self, outcome: impl AsRef<str>) {
        let took = self.started.elapsed();
        self.bar.finish_and_clear();
        self.progress.say(format!(
            "✓ {} ({:.1} s)",
            outcome.as_ref(),
            took.as_secs_f64()
        ));
    }

    fn mention(&self, detail: &str) {
        if !self.progress.plain {
            return;
        }
        let now = Instant::now();
        let Ok(mut mention_at) = self.mention_at.lock() else {
            return;
        };
        if now >= *mention_at {
            *mention_at = now + NEXT_MENTION;
            eprintln!(
                "… {}: {detail}, {} so far",
                self.what,
                HumanDuration(now - self.started)
            );
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.bar.is_finished() {
            self.bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants of this file; a wrong one shows as the default style.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
