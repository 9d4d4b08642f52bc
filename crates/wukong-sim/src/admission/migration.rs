//! Migrations that are not even begun (`migration-create-admitter.go`).

use serde_json::Value;

use super::verdict::Denial;
use crate::field::Field;

/// Would KubeVirt admit this VirtualMachineInstanceMigration? `vmi` is the instance that it names, `others` are the
/// migrations in the namespace.
///
/// # Errors
/// The denial.
pub fn admit_migration(
    migration: &Value,
    vmi: Option<&Value>,
    others: &[Value],
) -> Result<(), Denial> {
    let migration = Field::new("", migration);
    let namespace = migration.at("metadata.namespace").text();
    let name = migration.at("spec.vmiName").text();
    let refuse = |message: String| Err(Denial(message));
    if name.is_empty() {
        return refuse("vmiName is missing".into());
    }
    let Some(vmi) = vmi.map(|vmi| Field::new("", vmi)) else {
        return refuse(format!("the VMI \"{namespace}/{name}\" does not exist"));
    };
    if is_over(&vmi) {
        return refuse("Cannot migrate VMI in finalized state.".into());
    }
    let not_migratable = vmi.at("status.conditions").items().find(|condition| {
        condition.child("type").text() == "LiveMigratable"
            && condition.child("status").text() == "False"
    });
    if let Some(condition) = not_migratable {
        let (reason, message) = (condition.child("reason"), condition.child("message"));
        return refuse(format!(
            "Cannot migrate VMI, Reason: {}, Message: {}",
            reason.text(),
            message.text()
        ));
    }
    let mut others = others.iter().map(|other| Field::new("", other));
    let active = others.find(|other| other.at("spec.vmiName").text() == name && !is_over(other));
    match active {
        Some(active) => refuse(format!(
            "in-flight migration detected. Active migration job ({}) is currently already in progress for VMI {name}.",
            active.at("metadata.uid").text()
        )),
        None => Ok(()),
    }
}

fn is_over(object: &Field<'_>) -> bool {
    ["Succeeded", "Failed"].contains(&object.at("status.phase").text())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_migration_at_a_time_of_an_instance_that_can_move() {
        let migration =
            json!({"metadata": {"namespace": "n", "uid": "u"}, "spec": {"vmiName": "vm"}});
        let vmi = |phase: &str, status: &str| {
            let condition =
                json!({"type": "LiveMigratable", "status": status, "reason": "R", "message": "m"});
            json!({"status": {"phase": phase, "conditions": [condition]}})
        };
        let verdict = |vmi: Option<Value>, others: &[Value]| {
            admit_migration(&migration, vmi.as_ref(), others).map_err(|denial| denial.to_string())
        };
        let refused = |message: &str| Err(message.to_owned());
        let running = || Some(vmi("Running", "True"));
        assert_eq!(verdict(running(), &[]), Ok(()));
        assert_eq!(
            verdict(None, &[]),
            refused("the VMI \"n/vm\" does not exist")
        );
        assert_eq!(
            verdict(Some(vmi("Failed", "True")), &[]),
            refused("Cannot migrate VMI in finalized state.")
        );
        assert_eq!(
            verdict(Some(vmi("Running", "False")), &[]),
            refused("Cannot migrate VMI, Reason: R, Message: m")
        );
        assert!(verdict(running(), std::slice::from_ref(&migration)).is_err());
        let mut over = migration.clone();
        over["status"] = json!({"phase": "Succeeded"});
        assert_eq!(verdict(running(), &[over]), Ok(()));
    }
}
