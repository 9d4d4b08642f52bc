//! Facts of what KubeVirt does with a VM on request: snapshots, restores and migrations.

use jiff::Timestamp;
use serde_json::Value;

use super::json::{flag, text, texts, time};
use super::text::Text;
use super::{ConditionFact, Fact, Meta, bounded, conditions, find_condition, optional_text};

/// A VirtualMachineSnapshot or VirtualMachineRestore.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OperationFact {
    /// Who it is.
    pub meta: Meta,
    /// Name of the VirtualMachine that it is about.
    pub vm: Text,
    /// `status.phase` of a snapshot: `InProgress`, `Succeeded`, `Failed`, ...
    pub phase: Text,
    /// `status.readyToUse` of a snapshot.
    pub ready: bool,
    /// `status.creationTime` of a snapshot: the point in time of its content.
    pub taken_at: Option<Timestamp>,
    /// Volumes in a snapshot.
    pub volumes: Box<[Text]>,
    /// What KubeVirt indicates of a snapshot: `Online`, `GuestAgent`, ...
    pub indications: Box<[Text]>,
    /// `status.complete` of a restore.
    pub complete: bool,
    /// `status.error.message`.
    pub error: Option<Text>,
    /// Conditions `Progressing` and `Failure`.
    pub conditions: Box<[ConditionFact]>,
}

impl Fact for OperationFact {
    fn project(object: &Value) -> Self {
        let vm = ["/spec/source", "/spec/target"].iter().find_map(|pointer| {
            let named = object.pointer(pointer)?;
            (text(named, "/kind") == "VirtualMachine").then(|| text(named, "/name"))
        });
        Self {
            meta: Meta::project(object),
            vm: vm.unwrap_or_default(),
            phase: text(object, "/status/phase"),
            ready: flag(object, "/status/readyToUse"),
            taken_at: time(object, "/status/creationTime"),
            volumes: texts(object, "/status/snapshotVolumes/includedVolumes").into(),
            indications: texts(object, "/status/indications").into(),
            complete: flag(object, "/status/complete"),
            error: optional_text(object, "/status/error/message")
                .filter(|error| !error.is_empty())
                .map(|error| bounded(&error)),
            conditions: conditions(object, &["Progressing", "Failure"]),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl OperationFact {
    /// Whether a snapshot has this volume.
    pub(crate) fn has_volume(&self, name: &str) -> bool {
        self.volumes.iter().any(|volume| volume == name)
    }

    /// Whether KubeVirt has given up.
    pub(crate) fn has_failed(&self) -> bool {
        self.phase == "Failed" || crate::facts::is_true(&self.conditions, "Failure")
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.complete || self.has_failed() || self.phase == "Succeeded"
    }

    /// What KubeVirt says of its state. (In the conditions of both kinds the sentence is the `reason`.)
    pub(crate) fn words(&self) -> Option<Text> {
        let reported = |type_: &str, status: &str| {
            let reported = find_condition(&self.conditions, type_)?;
            let words = match reported.message.as_str() {
                "" => reported.reason.clone(),
                message if reported.reason.is_empty() => message.to_owned().into(),
                message => format!("{}: {message}", reported.reason).into(),
            };
            (reported.status == status && !words.is_empty()).then_some(words)
        };
        let failed = reported("Failure", "True");
        match (failed, self.error.clone()) {
            (Some(failed), Some(error)) => Some(format!("{failed}: {error}").into()),
            (failed, error) => failed
                .or(error)
                .or_else(|| reported("Progressing", "False")),
        }
    }
}

/// A VirtualMachineInstanceMigration.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MigrationFact {
    /// Who it is.
    pub meta: Meta,
    /// Name of the VirtualMachineInstance.
    pub instance: Text,
    /// `status.phase`; empty until virt-controller saw it.
    pub phase: Text,
    /// Why it failed.
    pub failure: Option<Text>,
    /// Pod that the guest is to move to.
    pub target_pod: Option<Text>,
    /// Conditions that keep it from starting.
    pub conditions: Box<[ConditionFact]>,
}

impl Fact for MigrationFact {
    fn project(object: &Value) -> Self {
        let state = |field: &str| {
            optional_text(object, &format!("/status/migrationState/{field}"))
                .filter(|text| !text.is_empty())
        };
        Self {
            meta: Meta::project(object),
            instance: text(object, "/spec/vmiName"),
            phase: text(object, "/status/phase"),
            failure: state("failureReason").map(|failure| bounded(&failure)),
            target_pod: state("targetPod"),
            conditions: conditions(
                object,
                &[
                    "migrationAbortRequested",
                    "migrationRejectedByResourceQuota",
                ],
            ),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl MigrationFact {
    /// Whether the guest has not begun to move, and the migration has not ended.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.phase.as_str(), "" | "Pending" | "Scheduling")
    }
}
