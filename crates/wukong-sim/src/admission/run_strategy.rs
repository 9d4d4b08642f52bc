//! Run strategies, and what may change while a snapshot or a restore is in progress.
//!
//! From `vms-admitter.go` (`validateRunStrategy`) and `pkg/storage/admitters/vm-storage-status.go`.

use serde_json::Value;

use super::config::ClusterConfig;
use super::verdict::Causes;
use crate::field::Field;

const STRATEGIES: [&str; 5] = ["Halted", "Manual", "Always", "RerunOnFailure", "Once"];

pub fn check(spec: &Field<'_>, config: &ClusterConfig, causes: &mut Causes) {
    let (running, strategy) = (spec.child("running"), spec.child("runStrategy"));
    match (running.is_set(), strategy.is_set()) {
        (true, true) => causes.add(
            "Running and RunStrategy are mutually exclusive. Note that Running is deprecated, please use RunStrategy \
             instead",
        ),
        (false, false) => causes.add("RunStrategy must be specified"),
        _ => {}
    }
    if !strategy.is_set() {
        return;
    }
    match strategy.text() {
        "WaitAsReceiver" if config.has("DecentralizedLiveMigration") => {}
        known if STRATEGIES.contains(&known) => {}
        unknown => causes.add(format!("Invalid RunStrategy ({unknown})")),
    }
}

pub fn check_update(object: &Value, old: &Value, causes: &mut Causes) {
    let (new, old) = (Field::new("", object), Field::new("", old));
    let snapshot = new.at("status.snapshotInProgress");
    if snapshot.is_set() {
        let volumes = "spec.template.spec.volumes";
        let disks = "spec.template.spec.domain.devices.disks";
        causes.add_if(
            differs(&new, &old, volumes) || differs(&new, &old, disks),
            || {
                format!(
                    "Cannot update vm disks or volumes until snapshot {:?} completes",
                    snapshot.text()
                )
            },
        );
        causes.add_if(strategy(&new) != strategy(&old), || {
            format!(
                "Cannot update vm running state until snapshot {:?} completes",
                snapshot.text()
            )
        });
    }
    let restore = new.at("status.restoreInProgress");
    if restore.is_set() && strategy(&new) != strategy(&old) && strategy(&new) != "Halted" {
        causes.add(format!(
            "Cannot update VM runStrategy until restore {:?} completes",
            restore.text()
        ));
    }
}

fn differs(new: &Field<'_>, old: &Field<'_>, keys: &str) -> bool {
    let (new, old) = (new.at(keys), old.at(keys));
    let empty = |field: &Field<'_>| field.count() == 0;
    new.value() != old.value() && !(empty(&new) && empty(&old))
}

/// The effective run strategy, with the deprecated `running` translated.
fn strategy<'a>(vm: &Field<'a>) -> &'a str {
    let spec = vm.child("spec");
    match spec.child("running").flag() {
        Some(true) => "Always",
        Some(false) => "Halted",
        None => spec.child("runStrategy").text(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(new: Value, old: Value) -> bool {
        let mut causes = Causes::default();
        check_update(&new, &old, &mut causes);
        causes.into_result().is_err()
    }

    fn vm(strategy: &str, status: Value, template: Value) -> Value {
        json!({"spec": {"runStrategy": strategy, "template": {"spec": template}}, "status": status})
    }

    #[test]
    fn a_snapshot_holds_run_strategy_and_disks() {
        let snap = || json!({"snapshotInProgress": "snap1"});
        let disks = |n: &str| json!({"volumes": [{"name": n}], "domain": {"devices": {"disks": [{"name": n}]}}});
        let memory = json!({"volumes": [{"name": "a"}], "domain": {"memory": {"guest": "4Gi"},
            "devices": {"disks": [{"name": "a"}]}}});
        let before = vm("Always", snap(), disks("a"));
        assert!(refused(vm("Halted", snap(), disks("a")), before.clone()));
        assert!(refused(vm("Always", snap(), disks("b")), before.clone()));
        assert!(!refused(vm("Always", snap(), disks("a")), before.clone()));
        assert!(!refused(vm("Always", snap(), memory), before.clone()));
        assert!(!refused(vm("Halted", json!({}), disks("b")), before));
    }

    #[test]
    fn a_restore_holds_the_vm_halted() {
        let restore = || json!({"restoreInProgress": "r1"});
        let halted = vm("Halted", restore(), json!({}));
        assert!(refused(vm("Always", restore(), json!({})), halted.clone()));
        assert!(!refused(
            vm("Halted", restore(), json!({"domain": {}})),
            halted.clone()
        ));
        assert!(!refused(halted, vm("Always", restore(), json!({}))));
    }
}
