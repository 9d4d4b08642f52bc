//! A DataVolume with a claim: from the first volume to the last byte.

use serde_json::json;

use super::claim;
use super::failure;
use super::failure::{Death, Missing};
use super::importer::{self, Doing};
use super::report::{BY, Condition, Report};
use crate::change::{Change, Moment, Step, pick};
use crate::field::Field;
use crate::kind::Kind;
use crate::reality;
use crate::scenario::Scenario;
use crate::storage::{self, SELECTED_NODE};
use crate::world::World;

const BIND_NOW: &str = "cdi.kubevirt.io/storage.bind.immediate.requested";
/// Progress reports of a usual and of a slow import.
const REPORTS: u32 = 3;
const SLOW_REPORTS: u32 = 100;
/// Paces between two attempts to make a pod that a quota refuses.
const POD_RETRY: u32 = 20;
/// Longest pause of a crashing importer, in paces.
const MAX_BACKOFF: u32 = 64;

pub struct Import<'a> {
    pub world: &'a World,
    pub dv: &'a Field<'a>,
    pub claim: &'a Field<'a>,
    pub scenario: &'a Scenario,
    pub moment: &'a Moment,
}

impl Import<'_> {
    pub fn next(&self) -> Step {
        let phase = self.dv.at("status.phase").text();
        if self.claim.at("status.phase").text() == "Lost" {
            return self.lost(phase);
        }
        if self.scenario.value("claim-lost") == Some("early") && phase == "ImportInProgress" {
            return claim::lose(self.claim);
        }
        match phase {
            "Succeeded" => self.done(),
            "Failed" if self.scenario.has("checksum") => Step::quiet(),
            "ImportInProgress" | "CloneInProgress" => self.transferring(),
            "ImportScheduled" | "CloneScheduled" | "Failed" => self.scheduled(),
            "PVCBound" => self.schedule(),
            _ if self.is_populated() => self.before_population(),
            _ => self.before_binding(),
        }
    }

    fn name(&self) -> &str {
        self.dv.child("metadata").name()
    }

    /// Whether the data gets in through a prime claim, so that the claim itself is bound last.
    fn is_populated(&self) -> bool {
        self.claim.at("spec.dataSourceRef").is_set()
    }

    fn is_clone(&self) -> bool {
        let source = self.dv.at("spec.source");
        self.dv.at("spec.sourceRef").is_set() || source.set_among(&["pvc", "snapshot"]) > 0
    }

    fn waits_for_consumer(&self) -> bool {
        claim::class(self.world, self.claim).is_some_and(|class| class.waits_for_consumer)
            && self
                .claim
                .at("metadata.annotations")
                .child(SELECTED_NODE)
                .text()
                .is_empty()
    }

    fn can_bind(&self) -> bool {
        !self.scenario.has("claim-never-binds")
            && claim::class(self.world, self.claim)
                .is_some_and(|class| claim::can_bind(self.claim, &class))
    }

    /// A report, with what the importer's pod shows meanwhile.
    fn importer(&self, doing: &Doing<'_>, report: Report<'_>) -> Step {
        let mut step = self.report(report);
        if !self.is_clone() {
            let shown = importer::show(self.world, self.claim, doing, self.moment);
            step.changes.splice(..0, shown);
        }
        step
    }

    fn report(&self, report: Report<'_>) -> Step {
        Step::of(report.change(self.dv, Some(self.name()), self.moment))
    }

    /// What the Bound condition says of the claim, with the importer's words where they get in.
    fn bound(&self, importer: &str) -> (bool, String) {
        if storage::is_bound(self.claim) {
            return (true, format!("PVC {} Bound", self.name()));
        }
        let uid = self.claim.at("metadata.uid").text();
        let old = self
            .dv
            .at("status.conditions")
            .items()
            .find(|item| item.child("type").text() == "Bound");
        let old = old.map_or("", |bound| bound.child("message").text());
        let text = if !self.is_populated() {
            format!("PVC {} Pending", self.name())
        } else if !importer.is_empty() {
            format!(
                "target PVC {} Pending and [prime-{uid}] : {importer}",
                self.name()
            )
        } else if old.contains("[prime-") {
            // The last words stick.
            old.to_owned()
        } else if pick(uid, 3) == 0 {
            // Some imports meet this conflict. It means nothing, and it stays.
            format!(
                "target PVC {} Pending and [prime-{uid}] : Error saving claim: Operation cannot be fulfilled on \
                 persistentvolumeclaims \"prime-{uid}\": the object has been modified; please apply your changes to \
                 the latest version and try again",
                self.name()
            )
        } else {
            format!(
                "target PVC {} Pending and [prime-{uid}] : waiting for pod importer-prime-{uid} to be scheduled",
                self.name()
            )
        };
        (false, text)
    }

    /// A claim without populator: first the volume, then the import.
    fn before_binding(&self) -> Step {
        if storage::is_bound(self.claim) {
            let (_, message) = self.bound("");
            let waited = self.dv.at("status.phase").text() == "WaitForFirstConsumer";
            if waited {
                return self.report(
                    Report::new("PVCBound")
                        .progress("N/A")
                        .bound(Condition::yes("Bound", &message)),
                );
            }
            return self.schedule();
        }
        let pending = format!("PVC {} Pending", self.name());
        let class = claim::class(self.world, self.claim);
        let waits = class.is_some_and(|class| class.waits_for_consumer);
        let phase = if waits {
            "WaitForFirstConsumer"
        } else {
            "Pending"
        };
        let reported = self.report(Report::new(phase).bound(Condition::no("Pending", &pending)));
        if self.dv.at("status.phase").text() != phase {
            return reported;
        }
        if self.can_bind() {
            return Step::of(claim::bind(self.claim));
        }
        if self.waits_for_consumer() {
            return self.select_node();
        }
        let waiting = format!(
            "target PVC {} Pending and Waiting for a volume to be created either by the external provisioner or \
             manually by the system administrator. If volume creation is delayed, please verify that the provisioner \
             is running and correctly registered.",
            self.name()
        );
        let mut step = self.report(Report::new(phase).bound(Condition::no("Pending", &waiting)));
        if claim::class(self.world, self.claim).is_none() {
            step = self.report(Report::new("Pending").bound(Condition::no("Pending", &pending)));
            step.changes.extend(claim::missing_class(self.claim));
        }
        step
    }

    /// A claim with populator: nothing until a node is chosen, then the import; the volume comes last.
    fn before_population(&self) -> Step {
        let pending = format!("PVC {} Pending", self.name());
        if self.waits_for_consumer() {
            let report = Report::new("PendingPopulation").bound(Condition::no("Pending", &pending));
            let mut step = self.report(report);
            if step.changes.is_empty() {
                step = self.select_node();
            }
            return step;
        }
        if self.can_bind() {
            return self.schedule();
        }
        self.report(Report::new("Pending").bound(Condition::no("Pending", &pending)))
    }

    /// The importer's pod chooses the node itself when it was asked not to wait.
    fn select_node(&self) -> Step {
        let requested = self.dv.at("metadata.annotations").child(BIND_NOW);
        let node = self.world.list(Kind::Node, "").next();
        match node {
            Some(node) if requested.is_set() => {
                let patch = json!({"metadata": {"annotations": {SELECTED_NODE: node.child("metadata").name()}}});
                Step::of([Change::merge(BY, Kind::Claim, self.claim, patch)])
            }
            _ => Step::quiet(),
        }
    }

    fn schedule(&self) -> Step {
        let phase = if self.is_clone() {
            "CloneScheduled"
        } else {
            "ImportScheduled"
        };
        let (bound, message) = self.bound("");
        let refused = self.moment.refusal.as_ref().filter(|refusal| {
            refusal.kind == Kind::Pod && importer::of(self.world, self.claim).is_none()
        });
        if refused.is_some() && self.moment.waited < POD_RETRY {
            let phase = self.dv.at("status.phase").text();
            let words = refused.map_or("", |refusal| refusal.message.as_str());
            let report = Report::new(phase).bound(bound_condition(bound, &message));
            let mut step = self.report(report.running(Condition::no("ErrStartingPod", words)));
            let reported = format!(
                "Error starting pod '{}': For more information, request access to cdi-deploy logs from your sysadmin",
                importer::name(self.claim)
            );
            step.changes.push(Change::warning(
                BY,
                Kind::Claim,
                self.claim,
                "ErrStartingPod",
                reported,
            ));
            return step.or_wait(POD_RETRY - self.moment.waited);
        }
        let mut step = self.report(
            Report::new(phase)
                .progress("N/A")
                .bound(bound_condition(bound, &message))
                .running(Condition::no("ContainerCreating", "")),
        );
        if !self.is_clone() {
            let pod = importer::create(self.world, self.claim);
            step.changes.splice(..0, pod);
        }
        step
    }

    /// The pod exists and has not started yet.
    fn scheduled(&self) -> Step {
        let phase = self.dv.at("status.phase").text();
        let restarts = self.dv.at("status.restartCount").integer();
        let (bound, message) = self.bound("");
        let image = format!("failed to pull image: {}", importer::IMAGE);
        let missing = failure::missing(self.world, self.dv);
        let secret = match &missing {
            Some(Missing::Secret(name)) => format!("secret {name:?} not found"),
            _ => String::new(),
        };
        let stuck = if let Some(Missing::ConfigMap(name)) = &missing {
            let why = Condition::no("ContainerCreating", "");
            Some((why, Doing::WaitsForConfigMap(name)))
        } else if missing.is_some() {
            let why = Condition::no("CreateContainerConfigError", &secret);
            Some((why, Doing::LacksSecret(&secret)))
        } else if self.scenario.has("image-pull") {
            Some((Condition::no("ImagePullFailed", &image), Doing::Pulls))
        } else if self.scenario.has("importer-unschedulable") {
            let words = "Importer pod cannot be scheduled";
            Some((Condition::no("Unschedulable", words), Doing::FindsNoNode))
        } else {
            None
        };
        let report = |phase| {
            Report::new(phase)
                .progress("N/A")
                .bound(bound_condition(bound, &message))
                .restarts(restarts)
        };
        match stuck {
            Some((why, doing)) => self.importer(&doing, report(phase).running(why)),
            None => {
                let phase = if self.is_clone() {
                    "CloneInProgress"
                } else {
                    "ImportInProgress"
                };
                self.importer(&Doing::Copies, running(report(phase)))
            }
        }
    }

    fn transferring(&self) -> Step {
        if self.scenario.has("checksum") {
            let (bound, message) = self.bound("");
            let expected = self.dv.at("spec.source.http.checksum").text();
            let expected = match expected.strip_prefix("sha256:") {
                Some(expected) => expected.to_owned(),
                None => "0".repeat(64),
            };
            let text = failure::CHECKSUM.replace("{expected}", &expected);
            let mut step = self.report(
                Report::new("Failed")
                    .progress("N/A")
                    .bound(bound_condition(bound, &message))
                    .running(Condition::no("ChecksumError", &text)),
            );
            step.changes
                .extend(self.events("ChecksumError", &text, &text));
            return step;
        }
        if self.scenario.has("import-hang") {
            return Step::quiet();
        }
        if let Some(death) = failure::crash(self.scenario, self.dv) {
            return self.crash(&death);
        }
        match self.world.import(self.claim) {
            Some(reality::Import::Failed(words)) => {
                return self.crash(&Death {
                    reason: "Error",
                    exit_code: 1,
                    words: words.clone(),
                });
            }
            Some(reality::Import::Running(per_cent)) => return self.progress(*per_cent),
            Some(reality::Import::Done) => return self.finish(),
            None if self.world.reality.is_some() => return Step::quiet(),
            None => {}
        }
        let reports = self
            .scenario
            .number("slow-import", SLOW_REPORTS)
            .unwrap_or(REPORTS)
            .max(1);
        let progress = self.dv.at("status.progress").text();
        let per_cent: f64 = progress.trim_end_matches('%').parse().unwrap_or_default();
        let next = per_cent + 100.0 / f64::from(reports);
        if next < 99.9 {
            self.progress(next)
        } else {
            self.finish()
        }
    }

    fn progress(&self, per_cent: f64) -> Step {
        let (bound, message) = self.bound("");
        let report = Report::new(self.dv.at("status.phase").text())
            .progress(format!("{per_cent:.2}%"))
            .bound(bound_condition(bound, &message))
            .restarts(self.dv.at("status.restartCount").integer());
        self.report(running(report))
    }

    /// All bytes are there.
    fn finish(&self) -> Step {
        let restarts = self.dv.at("status.restartCount").integer();
        let (bound, message) = self.bound("");
        if !bound {
            // The volume of the prime claim becomes the claim's own.
            return if self.can_bind() {
                Step::of(claim::bind(self.claim))
            } else {
                Step::quiet()
            };
        }
        let mut step = self.report(
            Report::new("Succeeded")
                .progress("100.0%")
                .bound(Condition::yes("Bound", &message))
                .ready(Condition::yes("", ""))
                .running(Condition::no("Completed", "Import Complete"))
                .restarts(restarts),
        );
        let over = importer::remove(self.world, self.claim);
        step.changes.splice(..0, over);
        step
    }

    /// The importer dies, is restarted, and dies again; its words are gone while it runs.
    fn crash(&self, death: &Death) -> Step {
        let status = self.dv.child("status");
        let restarts = status.child("restartCount").integer();
        let (reason, words) = failure::reported(death);
        let dead = status.child("conditions").items().any(|item| {
            item.child("type").text() == "Running" && item.child("reason").text() == reason
        });
        let phase = status.child("phase").text();
        let report = |restarts| Report::new(phase).progress("N/A").restarts(restarts);
        if !dead {
            let (bound, message) = self.bound(words);
            let report = report(restarts).bound(bound_condition(bound, &message));
            let mut step = self.importer(
                &Doing::Died(death, restarts),
                report.running(Condition::no(reason, words)),
            );
            step.changes
                .extend(self.events(reason, words, &death.words));
            return step;
        }
        let backs_off = importer::back_off(self.world, self.claim, death);
        if !backs_off.is_empty() {
            return Step::of(backs_off);
        }
        let pause = 2_u32
            .saturating_pow(u32::try_from(restarts).unwrap_or(u32::MAX))
            .min(MAX_BACKOFF);
        if self.moment.waited < pause {
            return Step::wait(pause - self.moment.waited);
        }
        let (bound, message) = self.bound("");
        self.importer(
            &Doing::Copies,
            running(report(restarts + 1).bound(bound_condition(bound, &message))),
        )
    }

    /// The events of an import that failed, on the DataVolume and on the claim.
    fn events(&self, reason: &'static str, words: &str, of_pod: &str) -> [Change; 2] {
        [
            Change::warning(BY, Kind::DataVolume, self.dv, reason, words),
            Change::warning(BY, Kind::Claim, self.claim, "ErrImportFailed", of_pod),
        ]
    }

    fn done(&self) -> Step {
        let step = if self.scenario.has("claim-lost") && storage::is_bound(self.claim) {
            claim::lose(self.claim)
        } else {
            claim::grow(self.world, self.claim, self.moment)
        };
        if step.changes.is_empty() && !storage::is_bound(self.claim) && self.can_bind() {
            return Step::of(claim::bind(self.claim));
        }
        step
    }

    /// Before success a lost claim fails the DataVolume; afterwards only Bound tells.
    fn lost(&self, phase: &str) -> Step {
        if !self.scenario.has("claim-lost") {
            return claim::find_again(self.claim);
        }
        let lost = Condition::no("ClaimLost", "Claim Lost");
        if phase == "Succeeded" {
            return self.report(
                Report::new(phase)
                    .progress(self.dv.at("status.progress").text())
                    .bound(lost)
                    .ready(Condition::yes("", ""))
                    .running(Condition::no("Completed", "Import Complete"))
                    .restarts(self.dv.at("status.restartCount").integer()),
            );
        }
        let message = format!("PVC {} lost", self.name());
        let mut step = self.report(Report::new("Failed").progress("N/A").bound(lost));
        step.changes.push(Change::warning(
            BY,
            Kind::DataVolume,
            self.dv,
            "ErrClaimLost",
            message,
        ));
        step
    }
}

fn bound_condition(bound: bool, message: &str) -> Condition<'_> {
    if bound {
        Condition::yes("Bound", message)
    } else {
        Condition::no("Pending", message)
    }
}

fn running<'a>(report: Report<'a>) -> Report<'a> {
    report
        .ready(Condition::no("TransferRunning", ""))
        .running(Condition::yes("Pod is running", ""))
}
