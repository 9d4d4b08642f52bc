//! What goes wrong in a round.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use kube::Api;
use kube::api::PostParams;
use tokio::time::sleep;

use super::clock::Clock;
use crate::cluster::operator::NAMESPACE;
use crate::cluster::wait::eventually;
use crate::{Lab, Process, Upstream};

/// A part of the answers is late, none is lost.
const SLOW: Duration = Duration::from_millis(400);
/// By which the clock of the operator is set forward and back.
const STEP: SignedDuration = SignedDuration::from_hours(1);
/// In which the operator renews its Lease with the new time.
const RENEWED: Duration = Duration::from_secs(60);
/// The operator's role, and its Lease.
const NAME: &str = "wukong-operator";

/// How long disturbances last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lengths {
    /// A process is frozen.
    freeze: Duration,
    /// How often etcd stops.
    hiccups: usize,
    /// How often the API server goes.
    flaps: usize,
    /// A kind or a permission is missing.
    missing: Duration,
}

impl Lengths {
    /// Longer than the operator's deadline for a request, and than it waits before it believes that a permission or a kind is
    /// missing.
    pub(super) const LONG: Self = Self {
        freeze: Duration::from_secs(12),
        hiccups: 15,
        flaps: 4,
        missing: Duration::from_secs(20),
    };
    /// Longer than the Lease.
    pub(super) const SHORT: Self = Self {
        freeze: Duration::from_secs(4),
        hiccups: 4,
        flaps: 2,
        missing: Duration::from_secs(4),
    };
}

/// Where a disturbance happens.
pub(super) struct Place<'a> {
    pub lab: &'a Lab,
    pub operator: &'a Process,
    /// The wall clock of the operator.
    pub clock: &'a Clock,
    pub lengths: Lengths,
}

/// What goes wrong in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disturbance {
    /// Nothing: the others are compared with it.
    Nothing,
    ApiServerFreeze,
    ApiServerRestart,
    ApiServerFlaps,
    EtcdSlow,
    EtcdCompaction,
    OperatorCrash,
    OperatorFreeze,
    CrdRemoved,
    RoleRevoked,
    ClockSteps,
}

impl Disturbance {
    pub(super) const ALL: [Self; 11] = [
        Self::Nothing,
        Self::ApiServerFreeze,
        Self::ApiServerRestart,
        Self::ApiServerFlaps,
        Self::EtcdSlow,
        Self::EtcdCompaction,
        Self::OperatorCrash,
        Self::OperatorFreeze,
        Self::CrdRemoved,
        Self::RoleRevoked,
        Self::ClockSteps,
    ];

    /// Name in reports.
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Nothing => "only changes",
            Self::ApiServerFreeze => "API server frozen",
            Self::ApiServerRestart => "API server killed and restarted",
            Self::ApiServerFlaps => "API server frozen for a second, several times",
            Self::EtcdSlow => "etcd stops for 0.4 s, several times",
            Self::EtcdCompaction => "etcd compacted while the operator is frozen",
            Self::OperatorCrash => "operator killed",
            Self::OperatorFreeze => "operator frozen",
            Self::CrdRemoved => "CRDs of Multus removed",
            Self::RoleRevoked => "permission for claims revoked",
            Self::ClockSteps => "clock of the operator set an hour ahead, and back",
        }
    }

    /// Lets it happen. Returns when it is over. The crash of the operator is the caller's.
    pub(super) async fn happen(self, place: &Place<'_>) -> Result<()> {
        let Place {
            lab,
            operator,
            lengths,
            ..
        } = place;
        match self {
            Self::Nothing | Self::OperatorCrash => {}
            Self::ApiServerFreeze => freeze(&lab.api_server(), lengths.freeze).await,
            Self::ApiServerRestart => {
                lab.restart_api_server().await?;
                lab.policies_in_force().await?;
            }
            Self::ApiServerFlaps => {
                for _ in 0..lengths.flaps {
                    freeze(&lab.api_server(), Duration::from_secs(1)).await;
                    sleep(Duration::from_secs(1)).await;
                }
            }
            Self::EtcdSlow => {
                for _ in 0..lengths.hiccups {
                    freeze(lab.etcd(), SLOW).await;
                    sleep(SLOW).await;
                }
            }
            Self::EtcdCompaction => {
                operator.freeze();
                sleep(lengths.freeze / 4).await;
                let compacted = lab.compact().await;
                operator.thaw();
                compacted?;
            }
            Self::OperatorFreeze => freeze(operator, lengths.freeze).await,
            Self::CrdRemoved => {
                lab.remove(Upstream::Multus).await?;
                sleep(lengths.missing).await;
                lab.install(Upstream::Multus).await?;
            }
            Self::RoleRevoked => revoke(lab, lengths.missing).await?,
            Self::ClockSteps => step_clock(place).await?,
        }
        Ok(())
    }
}

async fn freeze(process: &Process, duration: Duration) {
    process.freeze();
    sleep(duration).await;
    process.thaw();
}

/// Takes the permission for claims from the operator's role, and gives it back.
async fn revoke(lab: &Lab, duration: Duration) -> Result<()> {
    let roles: Api<ClusterRole> = Api::all(lab.client().await?);
    let mut role = roles.get(NAME).await?;
    let all = role.rules.take().context("a role has rules")?;
    role.rules = Some(without(all.clone(), "persistentvolumeclaims"));
    let mut role = roles.replace(NAME, &PostParams::default(), &role).await?;
    sleep(duration).await;
    role.rules = Some(all);
    roles.replace(NAME, &PostParams::default(), &role).await?;
    Ok(())
}

/// The rules of a role without a resource.
fn without(mut rules: Vec<PolicyRule>, revoked: &str) -> Vec<PolicyRule> {
    rules.retain_mut(|rule| match &mut rule.resources {
        Some(resources) => {
            resources.retain(|resource| resource != revoked);
            !resources.is_empty()
        }
        None => true,
    });
    rules
}

/// Sets the operator's clock forward, back behind the time, and right.
async fn step_clock(place: &Place<'_>) -> Result<()> {
    let leases: Api<Lease> = Api::namespaced(place.lab.client().await?, NAMESPACE);
    let transitions = || async {
        let spec = leases.get(NAME).await?.spec;
        anyhow::Ok(spec.and_then(|spec| spec.lease_transitions))
    };
    let before = transitions().await?;
    for ahead in [STEP, -STEP, SignedDuration::ZERO] {
        place.clock.set_ahead(ahead.as_secs())?;
        eventually("the operator has another time", RENEWED, async || {
            let spec = leases.get(NAME).await.map(|lease| lease.spec);
            let renewed = spec.ok().flatten().and_then(|spec| spec.renew_time);
            let shown = renewed.map(|renewed| Timestamp::now().duration_until(renewed.0));
            match shown {
                Some(shown) if (shown - ahead).abs() < STEP / 2 => Ok(()),
                other => Err(other),
            }
        })
        .await?;
    }
    let after = transitions().await?;
    ensure!(
        before == after,
        "the operator lost its Lease when its clock was set: {before:?} transitions before, {after:?} after"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revoked_resource_leaves_the_rules_of_the_others() {
        let rule = |resources: &[&str]| PolicyRule {
            resources: Some(resources.iter().map(|name| (*name).to_owned()).collect()),
            ..PolicyRule::default()
        };
        let rules = vec![
            rule(&["persistentvolumeclaims"]),
            rule(&["secrets", "persistentvolumeclaims"]),
            rule(&["virtualmachines"]),
        ];
        assert_eq!(
            without(rules, "persistentvolumeclaims"),
            [rule(&["secrets"]), rule(&["virtualmachines"])]
        );
    }
}
