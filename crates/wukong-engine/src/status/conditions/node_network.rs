//! `NodeNetworkReady`: the bridges that the NICs need are on the nodes.

use wukong_api::{ConditionType, Reason};

use super::environment::plain;
use crate::diagnosis::condition::Condition;
use crate::diagnosis::life::Life;
use crate::diagnosis::{Check, CheckStatus, deciding};
use crate::environment::bridges::Bridge;
use crate::facts::Presence;
use crate::situation::Situation;

const TYPE: ConditionType = ConditionType::NodeNetworkReady;

/// What the rules find of the bridges, or which of those that are made on the nodes is not ready yet.
pub(crate) fn condition(situation: &Situation, life: Life, checks: &[Check]) -> Option<Condition> {
    let decisive = deciding(checks, TYPE);
    let failed = decisive.is_some_and(|check| check.status == CheckStatus::Fail);
    if life == Life::Rises && !failed {
        let mut bridges = situation.bridges.iter();
        if let Some(bridge) = bridges.find(|bridge| !situation.can_use(bridge)) {
            return Some(under_way(situation, bridge));
        }
    }
    Some(plain(decisive?.clone().into(), checks))
}

fn under_way(situation: &Situation, bridge: &Bridge) -> Condition {
    let environment = &situation.observed.world.environment;
    let Bridge {
        body, name, uplink, ..
    } = bridge;
    let applying = |message: String| {
        Condition::progressing(TYPE, Reason::Applying, message)
            .about(body.target.to_string())
            .hint("if this stays for minutes: kubectl get nncp,nnce")
    };
    if let Some((kind, presence)) = Bridge::gap(environment) {
        if presence != Presence::Forbidden {
            return applying(format!("{name} over {uplink} waits until {kind} is known"));
        }
        return Condition::bad(
            TYPE,
            Reason::NotPermitted,
            format!("{name} over {uplink} is not made: without permission to read {kind}, the operator cannot check whether a node would be cut off"),
        )
        .hint("apply the ClusterRoles of deploy/node-networks and for diagnosis (nodeNetworks.enabled and diagnosis.enabled of the chart)");
    }
    if let Some(failure) = situation
        .observed
        .memory
        .failure(&body.target, &body.hash)
        .filter(|_| !bridge.is_stored(environment))
    {
        return Condition::bad(
            TYPE,
            Reason::ApplyConflict,
            format!("{} cannot be written: {}", body.target, failure.message),
        )
        .about(body.target.to_string())
        .hint("fix the error in the message; the operator retries with back-off");
    }
    if !bridge.is_looked_after(environment) || bridge.is_ignored(environment) {
        return applying(format!(
            "{name} over {uplink} waits: NMState looks after no node with the labels of nodeNetwork.nodeSelector"
        ));
    }
    if !bridge.is_stored(environment) {
        return applying(format!("{} is being written", body.target));
    }
    let progress = match bridge.progress(environment) {
        (_, 0) => String::new(),
        (done, all) => format!(": {done} of {all} have it"),
    };
    applying(format!(
        "NMState makes {name} over {uplink} on the nodes{progress}"
    ))
}
