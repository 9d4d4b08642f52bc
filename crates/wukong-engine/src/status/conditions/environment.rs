//! `EnvironmentReady`, `ProvisioningReady` and `LiveMigratable`: the results of the rules about the cluster and the spec.

use wukong_api::validated::Login;
use wukong_api::{ConditionType, Reason};

use super::{operation, running};
use crate::diagnosis::about;
use crate::diagnosis::condition::{Condition, Status, reported_before};
use crate::diagnosis::evidence::{Evidence, Role, Source};
use crate::diagnosis::life::Life;
use crate::diagnosis::{
    Check, checks, deciding, emulation, environment_ready, migration, of_manifest,
};
use crate::facts::{Presence, VirtualMachineInstanceFact, find_condition};
use crate::situation::Situation;

/// Returns what the rules find. The rules of the cluster apply only to a VM that must run and does not run yet. A VM
/// that runs shows that the cluster can run it. For a stopped VM, the cluster does not matter.
pub(crate) fn judged(situation: &Situation, life: Life) -> Vec<Check> {
    let now = situation.observed.now;
    match life {
        Life::Rises => checks(
            &situation.observed.world.environment,
            &situation.observed.memory.queried.children.provisioners,
            situation.wukong,
            now,
        ),
        Life::Rests | Life::Runs => of_manifest(situation.wukong, now),
    }
}

/// Whether the cluster can run the VM.
pub(crate) fn ready(situation: &Situation, life: Life, checks: &[Check]) -> Option<Condition> {
    match life {
        Life::Rests => None,
        Life::Runs => Some(emulated(situation).unwrap_or_else(|| {
            Condition::ok(
                ConditionType::EnvironmentReady,
                Reason::Available,
                "The cluster can run this VM",
            )
        })),
        Life::Rises => Some(environment_ready(checks).into()),
    }
}

/// Reports a VM that runs without hardware virtualization. Until KubeVirt's configuration is observed, the condition of
/// the last status stays.
fn emulated(situation: &Situation) -> Option<Condition> {
    let observed = situation.observed;
    let environment = &observed.world.environment;
    if environment.kubevirts.presence() == Presence::Unknown {
        return reported_before(observed.wukong, ConditionType::EnvironmentReady)
            .filter(|reported| reported.reason == Reason::EmulationOnly);
    }
    emulation(environment, observed.now).map(Into::into)
}

/// Whether cloud-init can set up the guest as in the spec.
pub(crate) fn provisioning(situation: &Situation, checks: &[Check]) -> Option<Condition> {
    const TYPE: ConditionType = ConditionType::ProvisioningReady;
    let wukong = situation.wukong;
    let conditions = situation.instance.map(|instance| &*instance.conditions);
    let refused = find_condition(conditions.unwrap_or_default(), "Synchronized")
        .filter(|reported| reported.status == "False" && running::is_of_user_data(reported));
    if let (Login::Secret(name), Some(reported)) = (&wukong.login, refused) {
        let message = format!(
            "Secret {name} has no user data for the guest: KubeVirt reports: {}",
            reported.message
        );
        return Some(
            Condition::bad(TYPE, Reason::InvalidUserData, message)
                .about(format!("Secret/{name}"))
                .hint("store the user data under the key userdata of the Secret; the VM then starts without further action"),
        );
    }
    let set_up = wukong.login != Login::ImageDefault
        || wukong.ssh_key_secret.is_some()
        || wukong.nics.iter().any(|nic| nic.ip.is_some());
    if !set_up {
        return None;
    }
    if let Some(check) = deciding(checks, TYPE) {
        return Some(plain(check.clone().into(), checks));
    }
    Some(Condition::ok(
        TYPE,
        Reason::Configured,
        "cloud-init configures the guest at its first boot",
    ))
}

/// Whether the VM can migrate: KubeVirt's condition of a running VM, or the forecast of the rules for a VM that does not
/// run yet.
pub(crate) fn live_migratable(
    situation: &Situation,
    life: Life,
    checks: &[Check],
) -> Option<Condition> {
    let check = match life {
        Life::Rests => None,
        Life::Rises => deciding(checks, ConditionType::LiveMigratable).cloned(),
        Life::Runs => {
            let instance = situation.instance?;
            migration::live_migratable(&instance.meta.name, &instance.conditions)
        }
    };
    if let Some(instance) = situation.instance.filter(|_| life == Life::Runs) {
        let waits = operation::migration_waits(situation, instance);
        let told = waits.or_else(|| migration_failed(situation, instance));
        if told.is_some() {
            return told;
        }
    }
    let mut condition = Condition::from(check?);
    if condition.status == Status::True && life == Life::Rises {
        condition = Condition::ok(
            ConditionType::LiveMigratable,
            Reason::Migratable,
            "No known cause prevents a live migration of the VM",
        );
    }
    Some(condition)
}

/// A migration that failed. KubeVirt keeps it in the instance until the next one; of one that failed before the guest began
/// to move, only the migration itself tells.
fn migration_failed(
    situation: &Situation,
    instance: &VirtualMachineInstanceFact,
) -> Option<Condition> {
    let last = operation::last_migration(situation, instance);
    let failed = last.filter(|last| last.phase == "Failed");
    let (object, state, text) = match (&instance.migration_failure, failed) {
        (Some(failure), _) => (
            format!("VirtualMachineInstance/{}", instance.meta.name),
            "migrationState.failed=true",
            failure.clone(),
        ),
        (None, Some(failed)) => (
            format!("VirtualMachineInstanceMigration/{}", failed.meta.name),
            "phase Failed",
            failed.failure.clone().unwrap_or_default(),
        ),
        (None, None) => return None,
    };
    let words = Evidence {
        state: state.into(),
        text: text.into(),
        ..about(situation, Source::Migration, Role::Guest, object.clone())
    };
    let named = failed.map_or_else(
        || "The last migration failed".to_owned(),
        |failed| format!("Migration {} failed", failed.meta.name),
    );
    let namespace = &instance.meta.namespace;
    let describe = failed.map_or_else(
        || format!("kubectl describe vmim -n {namespace}"),
        |failed| format!("kubectl describe vmim {} -n {namespace}", failed.meta.name),
    );
    Some(
        Condition::bad(
            ConditionType::LiveMigratable,
            Reason::MigrationFailed,
            named,
        )
        .about(object)
        .hint(describe)
        .words([words]),
    )
}

/// Sets the reason `Configured` on a true condition without warnings: a check that passes has the reason that it checks
/// for.
pub(super) fn plain(condition: Condition, checks: &[Check]) -> Condition {
    use crate::diagnosis::CheckStatus::Warn;
    let warned = checks
        .iter()
        .any(|check| check.condition == condition.type_ && check.status == Warn);
    if condition.status == Status::True && !warned {
        return Condition {
            reason: Reason::Configured,
            ..condition
        };
    }
    condition
}
