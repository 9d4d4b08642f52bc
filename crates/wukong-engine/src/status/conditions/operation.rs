//! Snapshots, restores and migrations of the VM.

use wukong_api::{ConditionType, Reason};

use crate::diagnosis::condition::Condition;
use crate::diagnosis::evidence::{Evidence, Role, Source};
use crate::diagnosis::{Check, about, to_evidence};
use crate::facts::{
    MigrationFact, OperationFact, Store, VirtualMachineFact, VirtualMachineInstanceFact,
    find_condition,
};
use crate::situation::Situation;

const APPLIED: ConditionType = ConditionType::ConfigurationApplied;

/// A snapshot or restore that is in progress: the operator holds its writes.
pub(crate) fn held(situation: &Situation, vm: &VirtualMachineFact) -> Option<Condition> {
    let operation = vm.operation.as_deref()?;
    let (kind, name) = operation.split_once('/')?;
    let world = situation.observed.world;
    let store = match kind {
        "VirtualMachineSnapshot" => &world.vm_snapshots,
        _ => &world.vm_restores,
    };
    let namespace = &vm.meta.namespace;
    let fact = store.get(namespace, name).present();
    let words = fact.and_then(OperationFact::words);
    let message = format!(
        "{operation} is in progress: KubeVirt rejects changes of power and disks, and the operator holds its writes until it has ended"
    );
    let condition = |message: String| {
        Condition::progressing(APPLIED, Reason::OperationInProgress, message)
            .closed()
            .about(operation)
    };
    Some(match words {
        None => {
            condition(message).hint("No action needed. The operator continues when it has ended.")
        }
        Some(words) => condition(format!("{message}: {words}")).hint(format!(
            "fix this error, or delete the object: kubectl delete {} {name} -n {namespace}",
            kind.to_lowercase()
        )),
    })
}

/// The latest snapshot and the latest restore of the VM, where KubeVirt gave up on it, or a restore waits for something.
pub(crate) fn failed(situation: &Situation) -> Vec<Check> {
    let world = situation.observed.world;
    let operations = [
        ("VirtualMachineSnapshot", &world.vm_snapshots),
        ("VirtualMachineRestore", &world.vm_restores),
    ];
    operations
        .into_iter()
        .filter_map(|(kind, store)| unsuccessful(situation, kind, store))
        .map(Check::from)
        .collect()
}

fn unsuccessful(
    situation: &Situation,
    kind: &str,
    store: &Store<OperationFact>,
) -> Option<Condition> {
    let vm = situation.vm?;
    let namespace = &vm.meta.namespace;
    let of_vm = store.in_namespace(namespace);
    let last = of_vm
        .filter(|operation| operation.vm == vm.meta.name && !operation.meta.deleting)
        .max_by_key(|operation| (operation.meta.created, &operation.meta.name))?;
    let name = &last.meta.name;
    let object = format!("{kind}/{name}");
    // Of the one that holds the VM, `ConfigurationApplied` tells.
    if vm.operation.as_deref() == Some(&*object) {
        return None;
    }
    let words = last.words();
    let resource = kind.to_lowercase();
    let (message, hint) = if last.has_failed() {
        (
            match words {
                Some(words) => format!("{object} of the VM failed: {words}"),
                None => format!("{object} of the VM failed"),
            },
            format!(
                "fix the error in the message, then delete the object and create it again: kubectl describe {resource} {name} -n {namespace}"
            ),
        )
    } else if !last.has_ended()
        && let Some(words) = words
    {
        (
            format!("{object} of the VM does not go on: {words}"),
            format!(
                "fix the error in the message, or delete the object: kubectl delete {resource} {name} -n {namespace}"
            ),
        )
    } else {
        return None;
    };
    Some(
        Condition::bad(APPLIED, Reason::OperationFailed, message)
            .about(object)
            .hint(hint),
    )
}

/// The latest migration of the instance, of those that were created since it exists.
pub(crate) fn last_migration<'a>(
    situation: &Situation<'a>,
    instance: &VirtualMachineInstanceFact,
) -> Option<&'a MigrationFact> {
    let migrations = &situation.observed.world.migrations;
    migrations
        .in_namespace(&instance.meta.namespace)
        .filter(|migration| {
            migration.instance == instance.meta.name
                && migration.meta.created >= instance.meta.created
        })
        .max_by_key(|migration| (migration.meta.created, &migration.meta.name))
}

/// A migration that does not begin: its target pod does not start, or KubeVirt does not create one.
pub(crate) fn migration_waits(
    situation: &Situation,
    instance: &VirtualMachineInstanceFact,
) -> Option<Condition> {
    let migration = last_migration(situation, instance).filter(|migration| migration.waits())?;
    let (name, namespace) = (&migration.meta.name, &migration.meta.namespace);
    let words = rejected(situation, migration).or_else(|| unplaced(situation, migration))?;
    let pod = words.pod().map_or_else(String::new, |pod| {
        format!(" its target pod {pod} has no node:")
    });
    let object = format!("VirtualMachineInstanceMigration/{name}");
    let mut condition = Condition::progressing(
        ConditionType::LiveMigratable,
        Reason::MigrationPending,
        format!("Migration {name} waits:{pod} {}", words.text),
    )
    .closed()
    .about(object)
    .hint(format!(
        "make room on another node, or cancel the migration: kubectl delete vmim {name} -n {namespace}"
    ));
    condition.chain = to_evidence(situation, &words);
    Some(condition)
}

/// What KubeVirt says of a migration for which a quota leaves no room.
fn rejected(situation: &Situation, migration: &MigrationFact) -> Option<Evidence> {
    let reported = find_condition(&migration.conditions, "migrationRejectedByResourceQuota")
        .filter(|reported| reported.status == "True")?;
    let object = format!("VirtualMachineInstanceMigration/{}", migration.meta.name);
    Some(Evidence {
        state: format!("{}=True", reported.type_),
        reason: reported.reason.to_string(),
        text: match reported.message.as_str() {
            "" => "a ResourceQuota of the namespace leaves no room for its target pod".to_owned(),
            message => message.to_owned(),
        },
        since: reported.since,
        last: reported.since,
        ..about(situation, Source::Migration, Role::Guest, object)
    })
}

/// What the scheduler says of the target pod.
fn unplaced(situation: &Situation, migration: &MigrationFact) -> Option<Evidence> {
    let pods = &situation.observed.memory.queried.children.pods;
    let uid = &migration.meta.uid;
    let target = pods.in_namespace(&migration.meta.namespace).find(|pod| {
        pod.migration.as_ref().is_some_and(|of| of == uid)
            || migration.target_pod.as_ref() == Some(&pod.meta.name)
    })?;
    let reported = find_condition(&target.conditions, "PodScheduled")
        .filter(|reported| reported.status == "False" && target.node.is_none())?;
    let object = format!("Pod/{}", target.meta.name);
    Some(Evidence {
        state: format!("PodScheduled=False {}", reported.reason),
        reason: reported.reason.to_string(),
        text: reported.message.to_string(),
        since: reported.since,
        last: reported.since,
        node: None,
        ..about(situation, Source::Scheduler, Role::Guest, object)
    })
}
