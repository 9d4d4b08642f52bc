//! `LiveMigratable`: KubeVirt's condition about the migration of a running VM.

use wukong_api::{ConditionType, Reason};

use super::check::{Check, CheckStatus, anchor};
use crate::facts::{ConditionFact, find_condition};

/// KubeVirt's reasons for its condition `LiveMigratable` (`staging/src/kubevirt.io/api/core/v1/types.go`), our reasons,
/// and the hints.
const REASONS: [(&str, Reason, &str); 3] = [
    (
        "DisksNotLiveMigratable",
        Reason::DisksNotShared,
        "use a StorageClass with ReadWriteMany",
    ),
    (
        "InterfaceNotLiveMigratable",
        Reason::PodNetworkBridge,
        "use masquerade on the pod network (the Wukong's default)",
    ),
    (
        "HostDeviceNotLiveMigratable",
        Reason::HostDevices,
        "give the device back, or stop the VM before its node is drained",
    ),
];

/// The condition `LiveMigratable` from the conditions of a VirtualMachineInstance; `None` if KubeVirt has no such condition.
pub fn live_migratable(name: &str, conditions: &[ConditionFact]) -> Option<Check> {
    let reported = find_condition(conditions, "LiveMigratable")?;
    let check = |status, reason, message: String, hint: Option<&str>| Check {
        id: "live-migratable",
        condition: ConditionType::LiveMigratable,
        reason,
        status,
        subject: Some(format!("VirtualMachineInstance/{name}")),
        message,
        hint: hint.map(Into::into),
        anchor: anchor(reason),
        evidence: Vec::new(),
        chain: Vec::new(),
    };
    Some(match reported.status.as_str() {
        "True" => check(
            CheckStatus::Pass,
            Reason::Migratable,
            "The VM can move to another node while it runs".into(),
            None,
        ),
        "False" => {
            let (reason, hint) = REASONS
                .iter()
                .find(|(known, _, _)| *known == reported.reason)
                .map_or(
                    (Reason::NotMigratable, "fix the cause in the message"),
                    |(_, reason, hint)| (*reason, *hint),
                );
            let message = format!("The VM cannot move while it runs: {}", reported.message);
            check(CheckStatus::Fail, reason, message, Some(hint))
        }
        _ => return None,
    })
}
