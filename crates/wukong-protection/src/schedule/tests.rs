//! Histories of a schedule: what it does at each time, with restarts before every write of the status.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;

fn at(text: &str) -> Timestamp {
    let full = match text.len() {
        5 => format!("2026-11-30T{text}:00Z"),
        _ => format!("{text}:00Z"),
    };
    full.parse().unwrap()
}

/// A schedule with its objects in the cluster.
struct History {
    spec: WukongSnapshotScheduleSpec,
    generation: i64,
    vms: Vec<Vm>,
    snapshots: BTreeMap<String, (String, Timestamp, Outcome)>,
    record: Record,
}

impl History {
    /// A schedule of the VM `web` that was created at midnight.
    fn new(more: Value) -> Self {
        let mut spec = json!({"schedule": "0 * * * *", "retain": 3});
        if more.get("selector").is_none() {
            spec["wukongName"] = json!("web");
        }
        let mut history = Self {
            spec: serde_json::from_value(spec).unwrap(),
            generation: 0,
            vms: Vec::new(),
            snapshots: BTreeMap::new(),
            record: Record::default(),
        };
        history.vm("web", "00:00");
        history.edit(more);
        history
    }

    fn vm(&mut self, name: &str, created: &str) {
        self.vms.push(Vm {
            name: name.into(),
            created: Some(at(created)),
        });
    }

    fn edit(&mut self, more: Value) {
        let mut spec = serde_json::to_value(&self.spec).unwrap();
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        self.spec = serde_json::from_value(spec).unwrap();
        self.generation += 1;
    }

    fn plan(&self, now: Timestamp) -> Plan {
        let calendar =
            Calendar::parse(&self.spec.schedule, self.spec.time_zone.as_deref()).unwrap();
        let snapshots: Vec<Snapshot> = self
            .snapshots
            .iter()
            .map(|(name, (wukong, slot, outcome))| Snapshot {
                name,
                wukong,
                slot: *slot,
                outcome: *outcome,
                in_use: false,
            })
            .collect();
        plan(&Observed {
            schedule: Stored {
                namespace: "shop",
                name: "s",
                uid: "u",
                created: at("00:00"),
                generation: self.generation,
                spec: &self.spec,
            },
            calendar: &calendar,
            vms: &self.vms,
            snapshots: &snapshots,
            record: &self.record,
            now,
        })
    }

    /// Reconciles until nothing changes. Returns what was taken (`+`), deleted (`-`) and skipped (`!`). The operator restarts after
    /// each write: the status is written only at the end, and the last plan is the same as the one before it.
    fn reconcile(&mut self, now: &str) -> String {
        let now = at(now);
        let mut done = Vec::new();
        let short = |name: &str| name.trim_start_matches("s-").replacen("20261130", "", 1);
        for _ in 0..20 {
            let plan = self.plan(now);
            if let (true, Some((slot, _))) = (plan.take.is_empty(), &plan.skipped) {
                done.push(format!("!{}", slot.strftime("%H%M")));
            }
            if let Some(take) = plan.take.first() {
                let slot = name::slot("s", &take.name).unwrap();
                let taken = (take.wukong.clone(), slot, Outcome::Open);
                assert!(
                    self.snapshots.insert(take.name.clone(), taken).is_none(),
                    "{} is taken twice",
                    take.name
                );
                done.push(format!("+{}", short(&take.name)));
            } else if let Some(name) = plan.delete.first() {
                self.snapshots.remove(name);
                done.push(format!("-{}", short(name)));
            } else {
                let record = Record {
                    generation: Some(self.generation),
                    calendar: Some(
                        Calendar::parse(&self.spec.schedule, self.spec.time_zone.as_deref())
                            .unwrap()
                            .text()
                            .to_owned(),
                    ),
                    last_slot: plan.last_slot,
                    failures_count_after: plan.failures_count_after,
                    stopped: plan.next_slot.is_none(),
                };
                if record == self.record {
                    return done.join(" ");
                }
                self.record = record;
            }
        }
        panic!("it does not settle: {done:?}");
    }

    /// Ends the open snapshots.
    fn end(&mut self, outcome: Outcome) {
        for (_, _, state) in self.snapshots.values_mut() {
            if *state == Outcome::Open {
                *state = outcome;
            }
        }
    }

    /// Reconciles at each time, and ends the snapshots after it as the word says: `ok`, `fails` or `open`.
    fn run(&mut self, steps: &[(&str, &str, &str)]) {
        for (now, expected, end) in steps {
            assert_eq!(self.reconcile(now), *expected, "at {now}");
            match *end {
                "ok" => self.end(Outcome::Succeeded),
                "fails" => self.end(Outcome::Failed),
                _ => {}
            }
        }
    }
}

#[test]
fn each_slot_has_one_snapshot_and_the_oldest_go() {
    let mut history = History::new(json!({"retain": 2}));
    history.run(&[
        ("00:59", "", ""),
        ("01:00", "+0100", "ok"),
        ("01:01", "", ""),
        ("02:00", "+0200", "ok"),
        ("03:00", "+0300", ""),
        ("03:01", "", "ok"),
        ("03:02", "-0100", ""),
        ("03:59", "", ""),
    ]);
    let next = history.plan(at("03:59")).next_slot;
    assert_eq!(next, Some(at("04:00")));
}

#[test]
fn of_missed_slots_only_the_newest_within_the_deadline_is_taken() {
    let mut history = History::new(json!({}));
    history.run(&[
        ("01:00", "+0100", "ok"),
        ("05:59", "+0500", "ok"),
        ("05:59", "", ""),
    ]);
    let mut history = History::new(json!({"startingDeadlineSeconds": 600}));
    history.run(&[
        ("01:10", "+0100", "ok"),
        ("02:11", "!0200", ""),
        ("02:12", "", ""),
        ("05:09", "+0500", ""),
    ]);
}

#[test]
fn a_slot_that_finds_an_open_snapshot_is_skipped_and_not_made_up_for() {
    let mut history = History::new(json!({}));
    history.run(&[
        ("01:00", "+0100", "open"),
        ("02:00", "!0200", "open"),
        ("02:30", "", "ok"),
        ("02:31", "", ""),
        ("03:00", "+0300", "ok"),
    ]);
}

#[test]
fn failures_in_a_row_stop_it_until_the_spec_changes() {
    let mut history = History::new(json!({"maxFailures": 2}));
    history.run(&[
        ("01:00", "+0100", "fails"),
        ("02:00", "+0200", "ok"),
        ("03:00", "+0300", "fails"),
        ("04:00", "+0400", "fails"),
        ("05:00", "", ""),
    ]);
    let plan = history.plan(at("05:00"));
    assert_eq!(
        (plan.failures, plan.given_up, plan.next_slot),
        (2, true, None)
    );
    assert_eq!(plan.failed, ["s-202611300400"]);
    history.edit(json!({"retain": 4}));
    history.run(&[
        ("07:30", "", ""),
        ("08:00", "+0800", "fails"),
        ("09:00", "+0900", "fails"),
        ("10:00", "", ""),
    ]);
}

#[test]
fn failures_displace_no_success_and_go_with_the_successes_before_which_they_were() {
    let mut history = History::new(json!({"retain": 2, "maxFailures": 9}));
    history.run(&[
        ("01:00", "+0100", "ok"),
        ("02:00", "+0200", "fails"),
        ("03:00", "+0300", "ok"),
        ("04:00", "+0400", "fails"),
        ("05:00", "+0500", "fails"),
        ("05:30", "", ""),
        ("06:00", "+0600", "ok"),
        ("06:01", "-0100 -0200", ""),
    ]);
}

#[test]
fn a_clock_that_goes_back_takes_nothing_twice() {
    let mut history = History::new(json!({"retain": 1}));
    history.run(&[
        ("01:00", "+0100", "ok"),
        ("02:00", "+0200", "ok"),
        ("02:01", "-0100", ""),
        // The clock is set back.
        ("00:30", "", ""),
        ("01:00", "", ""),
        ("02:00", "", ""),
        ("03:00", "+0300", "ok"),
        ("03:01", "-0200", ""),
    ]);
}

#[test]
fn a_clock_that_was_far_ahead_stops_nothing_and_displaces_nothing() {
    let mut history = History::new(json!({"retain": 1}));
    history.run(&[
        ("01:00", "+0100", "ok"),
        ("2099-01-01T00:00", "+209901010000", ""),
        ("01:30", "", "ok"),
        ("02:00", "+0200", "ok"),
        ("02:01", "-0100", ""),
        ("03:00", "+0300", "ok"),
        ("03:01", "-0200", ""),
    ]);
    assert!(history.snapshots.contains_key("s-209901010000"));
}

#[test]
fn a_pause_takes_and_deletes_nothing_and_is_not_made_up_for() {
    let mut history = History::new(json!({"retain": 1}));
    history.run(&[("01:00", "+0100", "ok"), ("02:00", "+0200", "ok")]);
    history.edit(json!({"suspend": true}));
    history.run(&[("02:01", "", ""), ("03:00", "", "")]);
    history.edit(json!({"suspend": false}));
    history.run(&[("05:30", "-0100", ""), ("06:00", "+0600", "ok")]);
}

#[test]
fn a_change_of_the_times_takes_nothing_at_once() {
    let mut history = History::new(json!({"schedule": "0 1 * * *"}));
    history.run(&[("01:00", "+0100", "ok")]);
    history.edit(json!({"schedule": "*/5 * * * *"}));
    history.run(&[("12:03", "", ""), ("12:05", "+1205", "ok")]);
    history.edit(json!({"timeZone": "Asia/Kathmandu", "schedule": "0 18 * * *"}));
    history.run(&[("12:16", "", "")]);
    let next = history.plan(at("12:16")).next_slot;
    assert_eq!(next, Some(at("2026-12-01T12:15")));
}

#[test]
fn a_clock_change_in_autumn_gives_two_slots_and_in_spring_one() {
    let zone = json!({"schedule": "30 * * * *", "timeZone": "Europe/Berlin"});
    let mut history = History::new(zone);
    history.vms.clear();
    history.vm("web", "2026-01-01T00:00");
    history.record = Record {
        generation: Some(1),
        calendar: Some("30 * * * * Europe/Berlin".into()),
        last_slot: Some(at("2026-10-24T23:30")),
        ..Record::default()
    };
    history.run(&[
        ("2026-10-25T00:30", "+202610250030", "ok"),
        ("2026-10-25T01:30", "+202610250130", "ok"),
    ]);
    let daily = json!({"schedule": "30 2 * * *", "timeZone": "Europe/Berlin"});
    let mut history = History::new(daily);
    history.vms.clear();
    history.vm("web", "2026-01-01T00:00");
    history.record = Record {
        generation: Some(1),
        calendar: Some("30 2 * * * Europe/Berlin".into()),
        last_slot: Some(at("2026-03-28T01:30")),
        ..Record::default()
    };
    history.run(&[
        ("2026-03-29T00:59", "", ""),
        ("2026-03-29T01:00", "+202603290100", "ok"),
        ("2026-03-29T02:00", "", ""),
        ("2026-03-30T00:30", "+202603300030", "ok"),
    ]);
}

#[test]
fn a_vm_that_does_not_exist_has_no_snapshot_and_no_earlier_slot() {
    let mut history = History::new(json!({}));
    history.vms.clear();
    history.run(&[("01:00", "!0100", "")]);
    history.vm("web", "02:10");
    history.run(&[("02:30", "", ""), ("03:00", "+0300", "ok")]);
}

#[test]
fn each_vm_of_a_selector_has_its_own_snapshots() {
    let mut history = History::new(json!({"selector": {}, "retain": 1, "maxFailures": 1}));
    history.vm("db", "00:00");
    history.run(&[("01:00", "+0100-web +0100-db", "")]);
    history.snapshots.get_mut("s-202611300100-web").unwrap().2 = Outcome::Succeeded;
    // One that hangs does not hold up the others.
    history.run(&[("02:00", "+0200-web !0200", "fails")]);
    let plan = history.plan(at("02:01"));
    assert_eq!(plan.left_out, ["db", "web"]);
    assert!(plan.given_up);
    history.edit(json!({"maxFailures": 2}));
    history.run(&[("02:02", "", ""), ("03:00", "+0300-web +0300-db", "ok")]);
    // Retention counts for each VM, and one that is no longer selected keeps what it has.
    history.vms.retain(|vm| vm.name == "web");
    history.run(&[
        ("04:00", "+0400-web -0100-web -0200-web", "ok"),
        ("04:01", "-0300-web", ""),
    ]);
    let left: Vec<&String> = history.snapshots.keys().collect();
    assert_eq!(
        left,
        [
            "s-202611300100-db",
            "s-202611300300-db",
            "s-202611300400-web"
        ]
    );
}

#[test]
fn a_snapshot_that_a_user_deleted_is_not_taken_again() {
    let mut history = History::new(json!({}));
    history.run(&[("01:00", "+0100", "ok")]);
    history.snapshots.clear();
    history.run(&[("01:10", "", ""), ("02:00", "+0200", "ok")]);
}

#[test]
fn the_object_has_the_labels_of_its_schedule_and_no_owner() {
    let history = History::new(json!({}));
    let take = &history.plan(at("01:00")).take[0];
    let stored = Stored {
        namespace: "shop",
        name: "s",
        uid: "u",
        created: at("00:00"),
        generation: 1,
        spec: &history.spec,
    };
    assert_eq!(
        serde_json::to_value(take.object(&stored)).unwrap(),
        json!({
            "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "WukongSnapshot",
            "metadata": {"name": "s-202611300100", "namespace": "shop", "labels": {
                "app.kubernetes.io/managed-by": "wukong-operator", "vm.novasphere.dev/wukong": "web",
                "vm.novasphere.dev/schedule": "s", "vm.novasphere.dev/schedule-uid": "u",
            }},
            "spec": {"wukongName": "web"},
        })
    );
}
