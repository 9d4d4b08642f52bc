//! A condition of the status, before it is written.

use wukong_api::status::EvidenceLink;
use wukong_api::{ConditionType, Reason, Wukong};

use super::evidence::Evidence;
use crate::facts::Presence;
use crate::taken::Problem;

/// A condition of the status.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    pub type_: ConditionType,
    pub status: Status,
    pub reason: Reason,
    pub message: String,
    /// The object that it is about, as `Kind/name`.
    pub object: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
    /// Facts that the message is based on, a line each.
    pub evidence: Vec<String>,
    /// Texts of other programs that may name the cause better than the message does.
    pub words: Vec<Evidence>,
    /// The chain from the Wukong to the cause.
    pub chain: Vec<EvidenceLink>,
    /// Whether the message states what is wrong and not why.
    pub open: bool,
}

/// Status of a condition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Status {
    True,
    /// False, because the spec requires it.
    Intended,
    /// Not true yet, without an error: it becomes true without a user.
    Progressing,
    False,
    Unknown,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::Intended | Self::Progressing | Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl Condition {
    fn new(
        type_: ConditionType,
        status: Status,
        reason: Reason,
        message: impl Into<String>,
    ) -> Self {
        Self {
            type_,
            status,
            reason,
            message: message.into(),
            object: None,
            hint: None,
            evidence: Vec::new(),
            words: Vec::new(),
            chain: Vec::new(),
            open: status == Status::Progressing,
        }
    }

    pub(crate) fn ok(type_: ConditionType, reason: Reason, message: impl Into<String>) -> Self {
        Self::new(type_, Status::True, reason, message)
    }

    /// A state that the spec requires, such as a stopped VM with `powerState: Stopped`.
    pub(crate) fn intended(
        type_: ConditionType,
        reason: Reason,
        message: impl Into<String>,
    ) -> Self {
        Self::new(type_, Status::Intended, reason, message)
    }

    pub(crate) fn progressing(
        type_: ConditionType,
        reason: Reason,
        message: impl Into<String>,
    ) -> Self {
        Self::new(type_, Status::Progressing, reason, message)
    }

    pub(crate) fn bad(type_: ConditionType, reason: Reason, message: impl Into<String>) -> Self {
        Self::new(type_, Status::False, reason, message)
    }

    /// A problem of the snapshot that disks are copies of.
    pub(crate) fn of_problem(type_: ConditionType, problem: &Problem) -> Self {
        let condition = match problem.waits {
            true => Self::progressing(type_, problem.reason, &problem.message),
            false => Self::bad(type_, problem.reason, &problem.message),
        };
        Self {
            object: problem.object.clone(),
            hint: problem.hint.clone(),
            ..condition
        }
    }

    /// A state that the operator does not know, because it observes no objects of that kind.
    pub(crate) fn unseen(type_: ConditionType, presence: Presence, kind: &str) -> Self {
        let unknown = |reason, message| Self::new(type_, Status::Unknown, reason, message);
        match presence {
            Presence::Forbidden => unknown(
                Reason::NotPermitted,
                format!("The operator has no right to see {kind}"),
            )
            .hint(format!("let its role list and watch {kind}")),
            _ => unknown(
                Reason::NotObserved,
                format!("Waiting for the initial list of {kind}"),
            ),
        }
    }

    pub(crate) fn about(mut self, object: impl Into<String>) -> Self {
        self.object = Some(object.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds texts that may name the cause, which the message does not.
    pub(crate) fn words(mut self, words: impl IntoIterator<Item = Evidence>) -> Self {
        self.words.extend(words);
        self.open = true;
        self
    }

    /// Marks that the message names the cause.
    pub(crate) fn closed(mut self) -> Self {
        self.open = false;
        self
    }

    /// Whether it is about a VM that runs as in the spec: the guest agent does not answer, or a change waits for a
    /// restart.
    pub(crate) fn is_advisory(&self) -> bool {
        matches!(
            self.type_,
            ConditionType::GuestReady
                | ConditionType::ConfigurationApplied
                | ConditionType::LiveMigratable
                | ConditionType::Snapshottable
        )
    }

    /// Whether it needs no attention.
    pub(crate) fn is_fine(&self) -> bool {
        matches!(self.status, Status::True | Status::Intended)
    }

    /// Whether it keeps the VM from the state in the spec. An unknown state of the cluster does not: the operator creates
    /// the objects, and their state then shows whether the cluster can run the VM.
    pub(crate) fn blocks(&self) -> bool {
        let unknown_cluster = self.status == Status::Unknown
            && matches!(
                self.type_,
                ConditionType::EnvironmentReady
                    | ConditionType::NodeNetworkReady
                    | ConditionType::ProvisioningReady
            );
        !self.is_fine() && !self.is_advisory() && !unknown_cluster
    }
}

/// The last reported state of a condition.
pub(crate) fn reported_before(wukong: &Wukong, type_: ConditionType) -> Option<Condition> {
    let status = wukong.status.as_ref()?;
    let mut conditions = status.conditions.iter();
    let reported = conditions.find(|condition| condition.type_ == type_.as_ref())?;
    let blocker = status.blocker.as_ref();
    let blocker = blocker.filter(|blocker| blocker.condition == reported.type_);
    Some(Condition {
        type_,
        status: match reported.status.as_str() {
            "True" => Status::True,
            "False" => Status::False,
            _ => Status::Unknown,
        },
        reason: reported.reason.parse().ok()?,
        message: reported.message.clone(),
        object: blocker.and_then(|blocker| blocker.object.clone()),
        hint: blocker.and_then(|blocker| blocker.hint.clone()),
        evidence: Vec::new(),
        words: Vec::new(),
        chain: blocker
            .map(|blocker| blocker.chain.clone())
            .unwrap_or_default(),
        open: false,
    })
}
