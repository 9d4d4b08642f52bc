//! `EnvironmentReady`, `ProvisioningReady` and `LiveMigratable`: what the rules say of the cluster and the manifest.

use wukong_api::validated::Login;
use wukong_api::{ConditionType, Reason};

use super::running;
use crate::environment::{
    Check, checks, deciding, emulation, environment_ready, migration, of_manifest,
};
use crate::facts::condition;
use crate::planning::Planning;
use crate::status;
use crate::store::Presence;
use crate::verdict::{Status, Verdict};

/// What a VM does, as far as the cluster matters to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Life {
    /// It does not run, and nobody wants it to.
    Rests,
    /// It is to run, and does not yet.
    Rises,
    /// It runs.
    Runs,
}

impl Life {
    /// From the verdict `Running` of a VM that exists.
    pub(crate) fn of(planning: &Planning, running: Option<&Verdict>) -> Self {
        match running.map(|running| (running.reason, running.status)) {
            None if planning.wish.runs() => Self::Rises,
            None => Self::Rests,
            Some((Reason::Running | Reason::Migrating | Reason::Paused, _)) => Self::Runs,
            Some((Reason::StoppedElsewhere | Reason::Stopping, _) | (_, Status::Wished)) => {
                Self::Rests
            }
            Some(_) => Self::Rises,
        }
    }
}

/// What the rules find. The cluster is asked only about a VM that is to run and does not: one that runs shows that the
/// cluster can run it, and for one that nobody wants to run it does not matter.
pub(crate) fn judged(planning: &Planning, life: Life) -> Vec<Check> {
    let now = planning.observed.now;
    match life {
        Life::Rises => checks(
            &planning.observed.world.environment,
            &planning.observed.memory.looked.children.provisioners,
            planning.wukong,
            now,
        ),
        Life::Rests | Life::Runs => of_manifest(planning.wukong, now),
    }
}

/// Whether the cluster can run the VM.
pub(crate) fn ready(planning: &Planning, life: Life, checks: &[Check]) -> Option<Verdict> {
    match life {
        Life::Rests => None,
        Life::Runs => Some(emulated(planning).unwrap_or_else(|| {
            Verdict::ok(
                ConditionType::EnvironmentReady,
                Reason::Available,
                "The cluster runs this VM",
            )
        })),
        Life::Rises => Some(environment_ready(checks).into()),
    }
}

/// A VM that runs without hardware virtualization. Until KubeVirt's configuration is heard of, what was said stays.
fn emulated(planning: &Planning) -> Option<Verdict> {
    let observed = planning.observed;
    let environment = &observed.world.environment;
    if environment.kubevirts.presence() == Presence::Unknown {
        return status::said_before(observed.wukong, ConditionType::EnvironmentReady)
            .filter(|said| said.reason == Reason::EmulationOnly);
    }
    emulation(environment, observed.now).map(Into::into)
}

/// Whether cloud-init can set the guest up as asked.
pub(crate) fn provisioning(planning: &Planning, checks: &[Check]) -> Option<Verdict> {
    const TYPE: ConditionType = ConditionType::ProvisioningReady;
    let wukong = planning.wukong;
    let conditions = planning.instance.map(|instance| &*instance.conditions);
    let refused = condition(conditions.unwrap_or_default(), "Synchronized")
        .filter(|said| said.status == "False" && running::is_of_user_data(said));
    if let (Login::Secret(name), Some(said)) = (&wukong.login, refused) {
        let message = format!(
            "Secret {name} has no user data for the guest: KubeVirt says: {}",
            said.message
        );
        return Some(
            Verdict::bad(TYPE, Reason::InvalidUserData, message)
                .about(format!("Secret/{name}"))
                .hint("put the user data under the key userdata of the Secret; the VM then starts by itself"),
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
    Some(Verdict::ok(
        TYPE,
        Reason::Configured,
        "Cloud-init sets the guest up when it boots for the first time",
    ))
}

/// Whether the VM can move while it runs: what KubeVirt says of one that runs, and what is to be expected of one that does
/// not yet.
pub(crate) fn live_migratable(
    planning: &Planning,
    life: Life,
    checks: &[Check],
) -> Option<Verdict> {
    let check = match life {
        Life::Rests => None,
        Life::Rises => deciding(checks, ConditionType::LiveMigratable).cloned(),
        Life::Runs => {
            let instance = planning.instance?;
            migration::live_migratable(&instance.meta.name, &instance.conditions)
        }
    };
    let mut verdict = Verdict::from(check?);
    if verdict.status == Status::True && life == Life::Rises {
        verdict = Verdict::ok(
            ConditionType::LiveMigratable,
            Reason::Migratable,
            "Nothing is known that keeps the VM on its node",
        );
    }
    Some(verdict)
}

/// A check that passes is named after what it looks for; a condition is not.
pub(super) fn plain(verdict: Verdict, checks: &[Check]) -> Verdict {
    use crate::environment::CheckStatus::Warn;
    let warned = checks
        .iter()
        .any(|check| check.condition == verdict.type_ && check.status == Warn);
    if verdict.status == Status::True && !warned {
        return Verdict {
            reason: Reason::Configured,
            ..verdict
        };
    }
    verdict
}
