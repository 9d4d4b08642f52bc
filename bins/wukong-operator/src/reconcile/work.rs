//! The Wukong under reconciliation and the writes for it.

use tracing::info;
use wukong_api::status::Phase;
use wukong_api::{ConditionType, WukongStatus};
use wukong_engine::{Apply, Expand, Kind, Target};

use crate::port::Subject;
use crate::queue::Key;
use crate::wukongs::Entry;

/// The Wukong under reconciliation.
pub(super) struct Work {
    pub(super) subject: Subject,
    pub(super) vm: Target,
    pub(super) entry: Entry,
    /// Number of changes since the reconcile began that the decision takes into account.
    pub(super) changes: u32,
}

impl Work {
    pub(super) fn of(entry: Entry, changes: u32) -> Self {
        let (namespace, name, uid) = (
            entry.wukong.namespace.to_string(),
            entry.wukong.name.to_string(),
            entry.wukong.uid.to_string(),
        );
        Self {
            vm: Target {
                kind: Kind::VirtualMachine,
                name: name.clone(),
            },
            subject: Subject {
                namespace,
                name,
                uid,
            },
            entry,
            changes,
        }
    }

    /// Logs what was done, with the phase of the VM and the reason of `Ready`.
    pub(super) fn log(&self, status: &WukongStatus, done: &str) {
        let Subject {
            namespace, name, ..
        } = &self.subject;
        let (phase, reason) = phase_and_reason(status);
        let phase = phase.as_ref().map_or("Unknown", AsRef::as_ref);
        info!(namespace, name, phase, reason, "{done}");
    }

    pub(super) fn key(&self) -> Key {
        Key::new(&*self.subject.namespace, &*self.subject.name)
    }
}

/// Returns the phase of the VM and the reason of `Ready`.
pub(super) fn phase_and_reason(status: &WukongStatus) -> (Option<Phase>, Option<&str>) {
    let ready = ConditionType::Ready.as_ref();
    let mut conditions = status.conditions.iter();
    let ready = conditions.find(|condition| condition.type_ == ready);
    (
        status.phase,
        ready.map(|condition| condition.reason.as_str()),
    )
}

/// An apply or the expansion of a claim.
pub(super) enum Write {
    Apply(Apply),
    Expand(Expand),
}

impl Write {
    pub(super) fn target(&self) -> &Target {
        match self {
            Self::Apply(apply) => &apply.target,
            Self::Expand(expand) => &expand.target,
        }
    }

    /// Hash by which the engine recognizes a failed write.
    pub(super) fn hash(&self) -> String {
        match self {
            Self::Apply(apply) => apply.hash.clone(),
            Self::Expand(expand) => expand.hash(),
        }
    }

    /// Describes the finished write, for the log.
    pub(super) fn done(&self) -> String {
        match self {
            Self::Apply(apply) => format!("applied {}", apply.target),
            Self::Expand(expand) => format!("expanded {} to {}", expand.target, expand.to),
        }
    }
}
