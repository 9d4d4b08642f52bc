//! Schedules of snapshots: what the operator writes for one, and what its status says.

use jiff::Timestamp;
use serde_json::{Value, json};
use wukong_api::Reason;
use wukong_api::protection::WukongSnapshotScheduleStatus;
use wukong_engine::facts::{Fact, WukongSnapshotFact, WukongSnapshotScheduleFact};
use wukong_engine::{
    FailureKind, Memory, ObservedSchedule, Presence, ScheduleDecision, ScheduledVm, World,
    decide_schedule,
};

const DAY: &str = "2026-11-30T";

fn at(time: &str) -> Timestamp {
    format!("{DAY}{time}:00Z").parse().unwrap()
}

/// The schedule `hourly` of the VM `web`, with its snapshots.
struct Hourly {
    schedule: Value,
    snapshots: Vec<Value>,
    restores: Vec<Value>,
    vms: Option<Vec<ScheduledVm>>,
    memory: Memory,
}

impl Hourly {
    fn new(more: Value) -> Self {
        let mut spec = json!({"wukongName": "web", "schedule": "0 * * * *", "retain": 2});
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let created = Some(at("00:00"));
        Self {
            schedule: json!({
                "metadata": {"name": "hourly", "namespace": "shop", "uid": "h1", "generation": 1,
                    "creationTimestamp": at("00:00").to_string()},
                "spec": spec,
            }),
            snapshots: Vec::new(),
            restores: Vec::new(),
            vms: Some(vec![ScheduledVm {
                name: "web".into(),
                created,
            }]),
            memory: Memory::default(),
        }
    }

    /// A snapshot of a slot, as this schedule creates it: `Succeeded`, `Failed` or `Pending`.
    fn snapshot(&mut self, slot: &str, phase: &str) -> &mut Value {
        let name = format!("hourly-20261130{}", slot.replace(':', ""));
        self.snapshots.push(json!({
            "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "7",
                "labels": {"vm.novasphere.dev/schedule": "hourly", "vm.novasphere.dev/schedule-uid": "h1"}},
            "spec": {"wukongName": "web"}, "status": {"phase": phase, "readyToUse": phase == "Succeeded"},
        }));
        self.snapshots.last_mut().unwrap()
    }

    fn world(&self) -> World {
        let mut world = World::default();
        let snapshots = self.snapshots.iter();
        let snapshots: Vec<WukongSnapshotFact> = snapshots.map(Fact::project).collect();
        world.wukong_snapshots.replace(snapshots);
        let restores = self.restores.iter().map(Fact::project).collect();
        world.wukong_restores.replace(restores);
        world
    }

    fn decide_in(&self, world: &World, now: &str) -> ScheduleDecision {
        let schedule: WukongSnapshotScheduleFact = Fact::project(&self.schedule);
        decide_schedule(&ObservedSchedule {
            schedule: &schedule,
            vms: self.vms.as_deref(),
            world,
            memory: &self.memory,
            now: at(now),
        })
    }

    fn decide(&self, now: &str) -> ScheduleDecision {
        self.decide_in(&self.world(), now)
    }

    /// Writes the status of a decision, and returns the names of the snapshots that it creates and deletes.
    fn reconcile(&mut self, now: &str) -> (Vec<String>, Vec<String>) {
        let decision = self.decide(now);
        if let Some(report) = &decision.report {
            self.schedule["status"] = report.status.clone();
        }
        let create = decision.create.into_iter();
        let delete = decision.delete.into_iter();
        (
            create.map(|apply| apply.target.name).collect(),
            delete.map(|prune| prune.target.name).collect(),
        )
    }

    fn status(&self) -> WukongSnapshotScheduleStatus {
        serde_json::from_value(self.schedule["status"].clone()).unwrap()
    }

    fn conditions(&self) -> Vec<String> {
        let conditions = self.status().conditions;
        conditions
            .iter()
            .map(|it| format!("{}={} {}", it.type_, it.status, it.reason))
            .collect()
    }

    fn blocker(&self) -> (String, String) {
        let blocker = self.status().blocker.unwrap();
        assert!(blocker.hint.is_some(), "{blocker:?}");
        (blocker.reason, blocker.message)
    }
}

fn names<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}

#[test]
fn a_slot_has_one_snapshot_and_then_the_schedule_costs_nothing() {
    let mut hourly = Hourly::new(json!({}));
    assert_eq!(hourly.reconcile("00:30"), (names([]), names([])));
    assert_eq!(
        hourly.conditions(),
        [
            "SpecValid=True Valid",
            "SourceResolved=True Resolved",
            "ScheduleActive=True ScheduleActive",
            "Ready=True Ready"
        ]
    );
    let decision = hourly.decide("01:00");
    assert_eq!(
        decision.create[0].body,
        json!({
            "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "WukongSnapshot",
            "metadata": {"name": "hourly-202611300100", "namespace": "shop", "labels": {
                "app.kubernetes.io/managed-by": "wukong-operator", "vm.novasphere.dev/wukong": "web",
                "vm.novasphere.dev/schedule": "hourly", "vm.novasphere.dev/schedule-uid": "h1",
            }},
            "spec": {"wukongName": "web"},
        })
    );
    hourly.snapshot("01:00", "Pending");
    assert_eq!(hourly.reconcile("01:00"), (names([]), names([])));
    hourly.snapshots.clear();
    hourly.snapshot("01:00", "Succeeded");
    hourly.reconcile("01:01");
    let status = hourly.status();
    assert_eq!(status.last_slot.unwrap().0, at("01:00"));
    assert_eq!(status.last_successful_slot.unwrap().0, at("01:00"));
    assert_eq!(status.next_slot.unwrap().0, at("02:00"));
    assert_eq!(status.observed_generation, Some(1));
    assert!(
        hourly
            .conditions()
            .contains(&"LastRunSucceeded=True RunSucceeded".into())
    );
    for time in ["01:02", "01:59"] {
        let decision = hourly.decide(time);
        let expected = ScheduleDecision {
            wake_at: Some(at("02:00")),
            ..ScheduleDecision::default()
        };
        assert_eq!(decision, expected);
    }
}

#[test]
fn only_snapshots_of_this_schedule_are_deleted_and_none_that_a_restore_uses() {
    let mut hourly = Hourly::new(json!({"retain": 1}));
    for slot in ["01:00", "02:00", "03:00", "04:00", "05:00", "06:00"] {
        hourly.snapshot(slot, "Succeeded");
    }
    let labels = |snapshot: &mut Value| snapshot["metadata"]["labels"].take();
    // A user removed the labels, to keep it.
    labels(&mut hourly.snapshots[0]);
    // Of an earlier schedule of this name.
    hourly.snapshots[1]["metadata"]["labels"]["vm.novasphere.dev/schedule-uid"] = json!("h0");
    // Labelled by a user, with another name.
    hourly.snapshots[2]["metadata"]["name"] = json!("hourly-before-upgrade");
    hourly.restores.push(json!({
        "metadata": {"name": "undo", "namespace": "shop", "uid": "r"},
        "spec": {"wukongName": "web", "snapshotName": "hourly-202611300400"},
    }));
    let decision = hourly.decide("06:30");
    let [prune] = decision.delete.as_slice() else {
        panic!("{decision:?}");
    };
    assert_eq!(
        prune.target.to_string(),
        "WukongSnapshot/hourly-202611300500"
    );
    assert_eq!(
        (&*prune.uid, &*prune.resource_version),
        ("hourly-202611300500", "7")
    );

    let mut world = hourly.world();
    world.wukong_restores.clear(Presence::Unknown);
    assert!(hourly.decide_in(&world, "06:30").delete.is_empty());
}

#[test]
fn what_is_not_known_leads_to_nothing() {
    let mut hourly = Hourly::new(json!({}));
    let nothing = ScheduleDecision::default();
    let mut world = hourly.world();
    world.wukong_snapshots.clear(Presence::Unknown);
    assert_eq!(hourly.decide_in(&world, "01:00"), nothing);
    hourly.vms = None;
    assert_eq!(hourly.decide("01:00"), nothing);
}

#[test]
fn a_spec_without_a_meaning_names_its_field_and_makes_nothing() {
    for (more, field) in [
        (json!({"schedule": "61 * * * *"}), "spec.schedule"),
        (json!({"timeZone": "Mars/Base"}), "spec.timeZone"),
    ] {
        let mut hourly = Hourly::new(more);
        for slot in ["01:00", "02:00", "03:00"] {
            hourly.snapshot(slot, "Succeeded");
        }
        assert_eq!(hourly.reconcile("09:00"), (names([]), names([])));
        let (reason, message) = hourly.blocker();
        assert_eq!(reason, "InvalidSpec");
        assert!(message.starts_with(&format!("{field}: ")), "{message}");
        assert_eq!(hourly.decide("09:01"), ScheduleDecision::default());
    }
}

/// The reason of the blocker of a schedule, and a part of its message.
#[test]
fn every_reason_of_a_schedule_is_reached() {
    let reached = |reason: Reason| -> Hourly {
        let mut hourly = Hourly::new(json!({}));
        hourly.reconcile("00:30");
        match reason {
            Reason::TooManyFailures => {
                for slot in ["01:00", "02:00", "03:00"] {
                    hourly.snapshot(slot, "Failed");
                }
            }
            Reason::SlotSkipped => drop(hourly.snapshot("01:00", "Pending")),
            Reason::SourceNotFound => hourly.vms = Some(Vec::new()),
            Reason::NameConflict => {
                hourly.snapshot("04:00", "Succeeded")["metadata"]["labels"] = json!({});
            }
            Reason::ApplyFailed => {
                let apply = hourly.decide("04:00").create.remove(0);
                let (kind, message) = (FailureKind::Denied, "denied by a webhook".to_owned());
                let (now, retry_at) = (at("04:00"), at("04:20"));
                hourly.memory.record_failure(
                    apply.target,
                    apply.hash,
                    kind,
                    message,
                    now,
                    retry_at,
                );
            }
            _ => unreachable!(),
        }
        hourly
    };
    for (reason, part) in [
        (Reason::TooManyFailures, "3 in a row failed"),
        (
            Reason::SlotSkipped,
            "snapshot hourly-202611300100 had not ended",
        ),
        (Reason::SourceNotFound, "Wukong web does not exist"),
        (
            Reason::NameConflict,
            "WukongSnapshot/hourly-202611300400 exists already",
        ),
        (Reason::ApplyFailed, "denied by a webhook"),
    ] {
        let mut hourly = reached(reason);
        let (create, _) = hourly.reconcile("04:00");
        assert_eq!(create, names([]), "{reason}");
        let (found, message) = hourly.blocker();
        assert_eq!(found, reason.as_ref());
        assert!(message.contains(part), "{message}");
    }
    let mut failed = Hourly::new(json!({}));
    failed.snapshot("01:00", "Failed");
    failed.reconcile("01:10");
    assert_eq!(failed.blocker().0, "RunFailed");
    assert_eq!(failed.status().consecutive_failures, 1);

    let mut suspended = Hourly::new(json!({"suspend": true}));
    assert_eq!(suspended.reconcile("04:00"), (names([]), names([])));
    assert!(suspended.status().blocker.is_none(), "the spec requires it");
    let state = "ScheduleActive=False ScheduleSuspended";
    assert!(suspended.conditions().contains(&state.to_owned()));
}

#[test]
fn a_rejected_snapshot_is_tried_again_after_its_pause() {
    let mut hourly = Hourly::new(json!({}));
    hourly.reconcile("00:30");
    let apply = hourly.decide("01:00").create.remove(0);
    let message = "denied".to_owned();
    let (now, retry_at) = (at("01:00"), at("01:20"));
    hourly.memory.record_failure(
        apply.target,
        apply.hash,
        FailureKind::Denied,
        message,
        now,
        retry_at,
    );
    let decision = hourly.decide("01:10");
    assert!(decision.create.is_empty());
    assert_eq!(decision.wake_at, Some(at("01:20")));
    assert_eq!(hourly.decide("01:20").create.len(), 1);
}
