//! `EnvironmentReady`: the cluster can run this VM.

use wukong_api::{ConditionType, Reason};

use crate::environment::environment_verdict;
use crate::planning::Planning;
use crate::status;
use crate::verdict::{Status, Verdict};

const TYPE: ConditionType = ConditionType::EnvironmentReady;

/// What a VM does, as far as the cluster matters to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Life {
    /// It does not run, and nobody wants it to.
    Rests,
    /// It is to run, and does not yet.
    Rises,
    /// It runs.
    Runs,
}

impl Life {
    /// From the verdict `Running` of a VM that exists.
    pub(crate) fn of(planning: &Planning, running: Option<&Verdict>) -> Self {
        match running.map(|running| (running.reason, running.status)) {
            None if planning.wish.runs() => Self::Rises,
            None => Self::Rests,
            Some((Reason::Running | Reason::Migrating | Reason::Paused, _)) => Self::Runs,
            Some((Reason::StoppedElsewhere | Reason::Stopping, _) | (_, Status::Wished)) => {
                Self::Rests
            }
            Some(_) => Self::Rises,
        }
    }
}

/// Whether the cluster can run the VM. One that runs shows it, and for one that nobody wants to run it does not matter.
pub(crate) fn verdict(planning: &Planning, life: Life) -> Option<Verdict> {
    let environment = &planning.observed.world.environment;
    match life {
        Life::Rests => None,
        Life::Runs => Some(Verdict::ok(
            TYPE,
            Reason::Available,
            "The cluster runs this VM",
        )),
        Life::Rises => {
            let observed = planning.observed;
            let verdict = Verdict::from(environment_verdict(
                environment,
                planning.wukong,
                observed.now,
            ));
            let unheard = verdict.reason == Reason::NotObserved && !environment.is_heard();
            let before = || status::said_before(observed.wukong, TYPE);
            // A restart forgets what was heard, and does not make it less true.
            Some(unheard.then(before).flatten().unwrap_or(verdict))
        }
    }
}
