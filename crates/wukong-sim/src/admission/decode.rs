//! What fails before any rule is asked: numbers and quantities that Go cannot decode, and values outside of the enums
//! of the Kubernetes types (KubeVirt validates against their OpenAPI schema in its mutating webhook).

use serde_json::Value;

use super::verdict::{Causes, Denial};
use crate::field::Field;
use crate::quantity::Quantity;

const VMI: &str = "spec.template.spec";
const UNSIGNED: [&str; 11] = [
    "domain.cpu.cores",
    "domain.cpu.sockets",
    "domain.cpu.maxSockets",
    "domain.cpu.threads",
    "domain.ioThreads.supplementalPoolThreadCount",
    "domain.features.hyperv.spinlocks.spinlocks",
    "domain.devices.disks[].bootOrder",
    "domain.devices.disks[].blockSize.custom.logical",
    "domain.devices.disks[].blockSize.custom.physical",
    "domain.devices.disks[].blockSize.custom.discardGranularity",
    "domain.devices.interfaces[].bootOrder",
];
const QUANTITIES: [&str; 6] = [
    "domain.memory.guest",
    "domain.memory.maxGuest",
    "domain.resources.requests.*",
    "domain.resources.limits.*",
    "volumes[].emptyDisk.capacity",
    "volumes[].hostDisk.capacity",
];
const NODE_OPERATORS: &[&str] = &["DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"];
const PULL_POLICIES: &[&str] = &["Always", "IfNotPresent", "Never"];
const NODE_TERM: &str =
    "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[]";
const NODE_PREFERENCE: &str =
    "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[].preference";

pub fn check(object: &Value) -> Result<(), Denial> {
    let vm = Field::new("", object);
    if !vm.at("spec.template").is_set() {
        return Err(Denial("spec.template in body is required".into()));
    }
    let vmi = vm.at(VMI);
    // A missing quantity has no zero value of its own in the typed object, unlike the other required fields.
    let mut empty_disks = select(&vmi, "volumes[].emptyDisk").into_iter();
    if empty_disks.any(|disk| !disk.child("capacity").is_set()) {
        return Err(Denial(format!(
            "{VMI}.volumes.emptyDisk.capacity in body is required"
        )));
    }
    let mut causes = Causes::default();
    for path in UNSIGNED {
        for number in select(&vmi, path) {
            let fits = number
                .value()
                .as_u64()
                .is_some_and(|n| u32::try_from(n).is_ok());
            causes.add_if(!fits, || {
                format!(
                    "json: cannot unmarshal number {} into Go struct field VirtualMachineInstanceTemplateSpec.{} of type uint32",
                    number.value(),
                    number.path()
                )
            });
        }
    }
    for path in QUANTITIES {
        quantities(select(&vmi, path), &mut causes);
    }
    let templates = vm.at("spec.dataVolumeTemplates");
    for kind in ["pvc", "storage"] {
        for template in templates.items() {
            quantities(
                select(&template, &format!("spec.{kind}.resources.requests.*")),
                &mut causes,
            );
        }
    }
    for (path, allowed) in enums() {
        for value in select(&vmi, &path) {
            causes.add_if(!allowed.contains(&value.text()), || {
                format!(
                    "{VMI}.{} in body should be one of [{}]",
                    path.replace("[]", ""),
                    allowed.join(" ")
                )
            });
        }
    }
    causes.into_result()
}

fn quantities(fields: Vec<Field<'_>>, causes: &mut Causes) {
    let wrong = fields
        .into_iter()
        .filter_map(|field| Quantity::from_json(field.value()).err());
    causes.extend(wrong.map(|wrong| wrong.to_string()));
}

fn enums() -> Vec<(String, &'static [&'static str])> {
    let mut enums: Vec<(String, &[&str])> = vec![
        ("tolerations[].operator".into(), &["Equal", "Exists"]),
        (
            "tolerations[].effect".into(),
            &["NoExecute", "NoSchedule", "PreferNoSchedule"],
        ),
        (
            "topologySpreadConstraints[].whenUnsatisfiable".into(),
            &["DoNotSchedule", "ScheduleAnyway"],
        ),
        (
            "topologySpreadConstraints[].nodeAffinityPolicy".into(),
            &["Honor", "Ignore"],
        ),
        (
            "topologySpreadConstraints[].nodeTaintsPolicy".into(),
            &["Honor", "Ignore"],
        ),
        (
            "dnsPolicy".into(),
            &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"],
        ),
        ("readinessProbe.httpGet.scheme".into(), &["HTTP", "HTTPS"]),
        ("livenessProbe.httpGet.scheme".into(), &["HTTP", "HTTPS"]),
        (
            "volumes[].containerDisk.imagePullPolicy".into(),
            PULL_POLICIES,
        ),
        (
            "domain.firmware.kernelBoot.container.imagePullPolicy".into(),
            PULL_POLICIES,
        ),
        ("domain.rebootPolicy".into(), &["Reboot", "Terminate"]),
    ];
    for term in [NODE_TERM, NODE_PREFERENCE] {
        for list in ["matchExpressions", "matchFields"] {
            enums.push((format!("{term}.{list}[].operator"), NODE_OPERATORS));
        }
    }
    enums
}

/// The places that `path` names and that are set; `[]` stands for every item, `*` for every entry.
fn select<'a>(root: &Field<'a>, path: &str) -> Vec<Field<'a>> {
    let mut found = vec![root.clone()];
    for step in path.split('.') {
        let (key, each) = match step.strip_suffix("[]") {
            Some(key) => (key, true),
            None => (step, false),
        };
        found = found
            .iter()
            .flat_map(|field| match (key, each) {
                ("*", _) => field.entries().map(|(key, _)| field.child(key)).collect(),
                (key, true) => field.child(key).items().collect(),
                (key, false) => vec![field.child(key)],
            })
            .collect();
    }
    found.retain(Field::is_set);
    found
}
