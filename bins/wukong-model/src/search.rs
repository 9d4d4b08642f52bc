//! Searches a world, and says what it found.

use std::time::{Duration, Instant};

use stateright::report::{ReportData, ReportDiscovery, Reporter};
use stateright::{Checker, HasDiscoveries, Model, Path};

use crate::mistake::Mistake;
use crate::model::Histories;
use crate::state::{Action, State};
use crate::words::describe;
use crate::world::World;

/// How far a search goes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Distinct states that are checked, at least, if there are as many. What these lead to is checked, too, but not what
    /// follows.
    pub states: usize,
    /// Actions of a history.
    pub depth: Option<usize>,
    pub time: Option<Duration>,
    pub threads: usize,
}

/// The result of a search.
#[derive(Debug)]
pub struct Found {
    pub states: usize,
    pub depth: usize,
    pub time: Duration,
    /// Whether all histories of the world were searched.
    pub complete: bool,
    /// The different values that the states consist of.
    pub parts: [(&'static str, usize); 4],
    /// Broken properties, each with a history.
    pub broken: Vec<Broken>,
}

/// A broken property.
#[derive(Debug)]
pub struct Broken {
    pub property: &'static str,
    pub history: Vec<String>,
    pub complaint: String,
}

struct Progress<F>(F);

impl<F: FnMut(usize, usize)> Reporter<Histories> for Progress<F> {
    fn report_checking(&mut self, data: ReportData) {
        (self.0)(data.unique_states, data.max_depth);
    }

    fn report_discoveries(
        &mut self,
        _: &Histories,
        _: std::collections::BTreeMap<&'static str, ReportDiscovery<Histories>>,
    ) {
    }

    fn delay(&self) -> Duration {
        Duration::from_millis(200)
    }
}

/// Searches all histories of a world within limits. `progress` is called now and then with the numbers of states and of
/// actions in a row.
pub fn search(
    world: World,
    mistake: Option<Mistake>,
    limits: Limits,
    progress: impl FnMut(usize, usize) + Send,
) -> Found {
    let start = Instant::now();
    let histories = Histories::new(
        world,
        mistake,
        limits.states,
        limits.time.map(|time| start + time),
    );
    let mut checker = histories
        .checker()
        .threads(limits.threads)
        .finish_when(HasDiscoveries::AnyFailures);
    if let Some(depth) = limits.depth {
        checker = checker.target_max_depth(depth);
    }
    let checker = checker.spawn_bfs().join_and_report(&mut Progress(progress));
    let broken = checker.discoveries().into_iter().map(|(property, path)| {
        let (history, last) = history(checker.model(), path);
        Broken {
            property,
            history,
            complaint: checker.model().complaint(&last),
        }
    });
    let broken: Vec<Broken> = broken.collect();
    let depth = checker.max_depth();
    Found {
        states: checker.unique_state_count(),
        depth,
        time: start.elapsed(),
        complete: broken.is_empty()
            && checker.model().goes_on()
            && limits.depth.is_none_or(|max| depth < max),
        parts: checker.model().cluster.sizes(),
        broken,
    }
}

fn history(histories: &Histories, path: Path<State, Action>) -> (Vec<String>, State) {
    let steps = path.into_vec();
    let last = steps.last().unwrap().0;
    let lines = steps.into_iter().filter_map(|(state, action)| {
        let action = action?;
        Some(describe(&histories.cluster, &state, action))
    });
    (lines.collect(), last)
}
