//! DataVolume templates inside a VirtualMachine (`pkg/storage/admitters/data-volume-template.go`).

use serde_json::Value;

use super::data_volume;
use super::verdict::Causes;
use crate::field::Field;

pub fn check(spec: &Field<'_>, causes: &mut Causes) {
    for (index, template) in spec.child("dataVolumeTemplates").items().enumerate() {
        let path = format!("{}.dataVolumeTemplate[{index}]", spec.path());
        let name = template.child("metadata").name();
        if name.is_empty() {
            causes.add(format!(
                "'name' field must not be empty for DataVolumeTemplate entry {path}.name."
            ));
        } else if let Some(problem) = problem(&template.child("spec")) {
            causes.add(problem);
        } else {
            let referenced = spec.at("template.spec.volumes").items().any(|volume| {
                volume.at("persistentVolumeClaim.claimName").text() == name
                    || volume.at("dataVolume.name").text() == name
            });
            causes.add_if(!referenced, || {
                format!("DataVolumeTemplate entry {path} must be referenced in the VMI template's 'volumes' list")
            });
        }
    }
}

fn problem(spec: &Field<'_>) -> Option<String> {
    let message = match spec.set_among(&["pvc", "storage"]) {
        0 => "Missing Data volume PVC or Storage",
        1 => match (
            data_volume::is_externally_populated(spec),
            spec.set_among(&["source", "sourceRef"]),
        ) {
            (true, 1..) => "External population is incompatible with Source and SourceRef",
            (false, 0) => {
                "Data volume should have either Source, SourceRef, or be externally populated"
            }
            _ if spec.child("source").is_set() => {
                match data_volume::source_count(&spec.child("source")) {
                    0 => "Missing dataVolume valid source",
                    1 => return None,
                    _ => "Multiple dataVolume sources",
                }
            }
            _ => return None,
        },
        _ => "Duplicate storage definition, both target storage and target pvc defined",
    };
    Some(message.into())
}

/// Templates stay in the VM's namespace. Unchanged ones are not checked again.
pub fn check_namespaces(vm: &Field<'_>, old: Option<&Value>, causes: &mut Causes) {
    let templates = vm.at("spec.dataVolumeTemplates");
    if old.is_some_and(|old| {
        Field::new("", old).at("spec.dataVolumeTemplates").value() == templates.value()
    }) {
        return;
    }
    let home = vm.at("metadata.namespace").text();
    for template in templates.items() {
        let namespace = template.at("metadata.namespace").text();
        causes.add_if(!namespace.is_empty() && namespace != home, || {
            format!("Embedded DataVolume namespace {namespace} differs from VM namespace {home}")
        });
    }
}
