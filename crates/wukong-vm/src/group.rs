//! The group of VMs that avoid one another.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, PodAffinityTerm, PodAntiAffinity, TopologySpreadConstraint,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use wukong_api::{ValidatedWukong, labels};

const NODE: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

/// Keeps the VMs of one group, of the same namespace, on different nodes. It is a requirement: a VM for which no node
/// is left waits, rather than share one.
pub(crate) fn anti_affinity(wukong: &ValidatedWukong) -> Option<Affinity> {
    let term = || PodAffinityTerm {
        label_selector: Some(members(wukong)),
        topology_key: NODE.to_owned(),
        ..PodAffinityTerm::default()
    };
    wukong.placement.anti_affinity.then(|| Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            required_during_scheduling_ignored_during_execution: Some(vec![term()]),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    })
}

/// Spreads the VMs of one group, of the same namespace, over zones. It is a preference: as a requirement it would keep
/// the VMs of a lost zone from starting in the others, and every VM of a cluster without zones from starting at all.
pub(crate) fn zone_spread(wukong: &ValidatedWukong) -> Vec<TopologySpreadConstraint> {
    let constraint = || TopologySpreadConstraint {
        label_selector: Some(members(wukong)),
        max_skew: 1,
        topology_key: ZONE.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        ..TopologySpreadConstraint::default()
    };
    let requested = wukong.placement.topology_spread;
    requested.then(constraint).into_iter().collect()
}

fn members(wukong: &ValidatedWukong) -> LabelSelector {
    LabelSelector {
        match_labels: Some(BTreeMap::from([(
            labels::GROUP.to_owned(),
            wukong.identity.group.clone(),
        )])),
        ..LabelSelector::default()
    }
}
