//! WukongSnapshots as the source of disks: of a restore, and of a new Wukong.

use wukong_api::Reason;
use wukong_api::protection::SnapshotPhase;
use wukong_protection::snapshot::volume_snapshot;

use crate::facts::{OperationFact, Seen, WukongSnapshotFact};
use crate::world::World;

/// Why disks cannot be copied.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub reason: Reason,
    pub message: String,
    /// The object that it is about.
    pub object: Option<String>,
    pub hint: Option<String>,
    /// Whether it may pass without another spec.
    pub waits: bool,
}

impl Problem {
    pub(crate) fn bad(reason: Reason, message: String) -> Self {
        Self {
            reason,
            message,
            object: None,
            hint: None,
            waits: false,
        }
    }

    fn waiting(reason: Reason, message: String) -> Self {
        Self {
            waits: true,
            ..Self::bad(reason, message)
        }
    }

    fn unseen(kind: &str) -> Self {
        let message = format!("The operator does not observe {kind}");
        Self::waiting(Reason::NotObserved, message).hint(format!(
            "let its role watch {kind}, or wait for the initial list"
        ))
    }

    pub(crate) fn about(mut self, object: String) -> Self {
        self.object = Some(object);
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A WukongSnapshot that the disks are copies of.
#[derive(Clone, Copy)]
pub(crate) struct Taken<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    /// What the user does to copy another snapshot: the beginning of a hint.
    pub another: &'a str,
    pub world: &'a World,
}

impl<'a> Taken<'a> {
    fn object(&self) -> String {
        format!("WukongSnapshot/{}", self.name)
    }

    /// The snapshot.
    pub(crate) fn snapshot(&self) -> Result<&'a WukongSnapshotFact, Problem> {
        let (namespace, name) = (self.namespace, self.name);
        match self.world.wukong_snapshots.get(namespace, name) {
            Seen::Present(snapshot) => Ok(snapshot),
            Seen::Unknown => Err(Problem::unseen("WukongSnapshots")),
            Seen::Absent => Err(Problem::waiting(
                Reason::SourceNotFound,
                format!("WukongSnapshot {name} does not exist"),
            )
            .about(self.object())
            .hint(format!(
                "{} an existing snapshot: kubectl wukong snapshot list -n {namespace}",
                self.another
            ))),
        }
    }

    /// The VirtualMachineSnapshot, if it is complete.
    pub(crate) fn complete(
        &self,
        snapshot: &WukongSnapshotFact,
    ) -> Result<&'a OperationFact, Problem> {
        let (namespace, name) = (self.namespace, self.name);
        if snapshot.ended == Some(SnapshotPhase::Failed) {
            return Err(Problem::bad(
                Reason::OperationFailed,
                format!("WukongSnapshot {name} failed"),
            )
            .about(self.object())
            .hint(format!("{} a snapshot that succeeded", self.another)));
        }
        let taken = self.world.vm_snapshots.get(namespace, name).present();
        let taken = taken.filter(|taken| taken.meta.is_controlled_by(&snapshot.meta.uid));
        let taken = taken.filter(|taken| taken.phase == "Succeeded" && taken.ready);
        taken.filter(|_| snapshot.ended.is_some()).ok_or_else(|| {
            Problem::waiting(
                Reason::SnapshotNotReady,
                format!("WukongSnapshot {name} is not ready"),
            )
            .about(self.object())
            .hint(format!(
                "kubectl describe wukongsnapshot {name} -n {namespace}"
            ))
        })
    }

    /// The problem of a disk that the snapshot lacks.
    pub(crate) fn lacks(&self, disk: &str) -> Problem {
        let message = format!("disk {disk} is not in snapshot {}", self.name);
        Problem::bad(Reason::SnapshotIncomplete, message).about(self.object())
    }

    /// Name of the VolumeSnapshot of a disk, if it is ready.
    pub(crate) fn ready(&self, taken: &OperationFact, disk: &str) -> Result<String, Problem> {
        let name = volume_snapshot(&taken.meta.uid, disk);
        let object = format!("VolumeSnapshot/{name}");
        match self.world.snapshots.get(self.namespace, &name) {
            Seen::Present(snapshot) if snapshot.ready == Some(true) => Ok(name),
            Seen::Present(snapshot) => {
                let error = snapshot.error.as_deref();
                let error = error.map_or_else(String::new, |error| format!(": {error}"));
                Err(Problem::waiting(
                    Reason::SnapshotNotReady,
                    format!("{object} is not ready{error}"),
                )
                .about(object))
            }
            Seen::Unknown => Err(Problem::unseen("VolumeSnapshots")),
            Seen::Absent => Err(Problem::waiting(
                Reason::SourceNotFound,
                format!("{object} does not exist any more"),
            )
            .about(object)
            .hint(format!("{} another snapshot", self.another))),
        }
    }
}
