//! The check of a Wukong against WukongPolicies, before the other checks.

use wukong_api::validate::Problem;
use wukong_api::{ConditionType, Reason};

use super::Check;
use super::check::{CheckStatus, anchor};
use crate::facts::Presence;

/// The check of a Wukong against the WukongPolicies of its namespace: `problems` is what they do not allow. `None` if
/// the cluster does not serve the kind or the policies were not read.
pub fn policies(presence: Presence, problems: &[Problem]) -> Option<Check> {
    let check = Check {
        id: "policies",
        condition: ConditionType::SpecValid,
        reason: Reason::PolicyViolation,
        status: CheckStatus::Pass,
        subject: None,
        message: "No WukongPolicy forbids it".into(),
        hint: None,
        anchor: anchor(Reason::PolicyViolation),
        evidence: Vec::new(),
        chain: Vec::new(),
    };
    match (presence, problems) {
        (Presence::Missing | Presence::Unknown, _) => None,
        (Presence::Forbidden, _) => Some(Check {
            reason: Reason::NotPermitted,
            status: CheckStatus::Unknown,
            message: "WukongPolicies cannot be judged without permission to read them".into(),
            hint: Some("apply the manifest: the API server holds it to them; or name them with --policy".into()),
            anchor: anchor(Reason::NotPermitted),
            ..check
        }),
        (Presence::Served, []) => Some(check),
        (Presence::Served, [first, more @ ..]) => Some(Check {
            status: CheckStatus::Fail,
            message: match more.len() {
                0 => first.to_string(),
                number => format!("{first}; and {number} more"),
            },
            hint: Some("change the spec to what the policy allows, or ask a cluster administrator to change the policy; kubectl explain wukongpolicy.spec documents its fields".into()),
            evidence: problems.iter().map(ToString::to_string).collect(),
            ..check
        }),
    }
}
