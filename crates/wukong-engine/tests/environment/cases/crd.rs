//! What is amiss with the CustomResourceDefinition of the Wukongs.

use wukong_api::Reason;
use wukong_engine::diagnosis::CheckStatus::Warn;

use super::{Case, plain};
use crate::cluster::Cluster;

pub const CASES: &[Case] = &[Case {
    rule: "crd",
    cluster: || {
        Cluster::healthy().knowing_all_but(&[
            "properties/spec/properties/networks/items/properties/mtu",
            "properties/spec/properties/firmware",
            "properties/status/properties/timings",
        ])
    },
    spec: plain,
    status: Warn,
    reason: Reason::CRDOutdated,
    words: &["drops spec.firmware, spec.networks[].mtu, status.timings"],
}];
