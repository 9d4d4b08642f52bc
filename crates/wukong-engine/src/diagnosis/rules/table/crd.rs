//! The rule about the CustomResourceDefinition of the Wukongs.

use wukong_api::ConditionType::SpecValid;
use wukong_api::Reason;

use crate::diagnosis::rules::{Rule, Severity, crd};

pub(super) const CRD: Rule = Rule {
    id: "crd",
    condition: SpecValid,
    reason: Reason::CRDOutdated,
    severity: Severity::Warn,
    after: &[],
    of_manifest: false,
    holds: "The installed CustomResourceDefinition knows all fields",
    hint: "install the CustomResourceDefinition of this release, and apply manifests that use these fields again",
    platforms: &[],
    judge: crd::up_to_date,
};
