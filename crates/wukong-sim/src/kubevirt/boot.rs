//! What a VirtualMachine starts with: its DataVolumes from templates, and its instance.

use serde_json::{Value, json};
use uuid::Uuid;

use super::object::{CONTROLLER_FINALIZER, FOREGROUND_FINALIZER, VIRT};
use crate::admission;
use crate::change::Change;
use crate::field::{Field, place, put};
use crate::kind::{Kind, Ref};
use crate::quantity::Quantity;
use crate::scenario::Scenario;
use crate::world::World;

/// The template that an instance was started with, as JSON. KubeVirt keeps it in a ControllerRevision.
pub const BOOTED_WITH: &str = "simulator.wukong.dev/booted-with";
/// `maxHotplugRatio`.
const HOTPLUG_RATIO: i64 = 4;
const LEGACY_NAMESPACE: Uuid = Uuid::from_u128(0x6a1a_24a1_4061_4607_8bf4_a396_3d0c_5895);

/// The firmware UUID that virt-controller derives from a VM's name when it has none.
pub fn legacy_uuid(name: &str) -> String {
    Uuid::new_v5(&LEGACY_NAMESPACE, name.as_bytes()).to_string()
}

/// Why an instance that the API server has admitted as part of a VM is refused as an instance: reason and message.
pub fn problem(world: &World, vm: &Field<'_>) -> Option<(&'static str, String)> {
    for (key, reason) in [
        ("instancetype", "FailedFindInstancetype"),
        ("preference", "FailedFindPreference"),
    ] {
        let name = vm.at("spec").child(key).name();
        if !name.is_empty() {
            return Some((reason, format!("{key} {name:?} not found")));
        }
    }
    let failure = |message: &str| {
        Some((
            "FailedCreate",
            format!("Error encountered while creating VMI: {message}"),
        ))
    };
    if Scenario::of(world, vm).has("vm-create-failure") {
        return failure(
            "admission webhook \"virtualmachineinstances-create-validator.kubevirt.io\" denied the request",
        );
    }
    let complete = admission::for_validation(vm.value());
    let vmi = Field::new("", &complete).at("spec.template.spec");
    if !["amd64", "arm64", "s390x"].contains(&vmi.child("architecture").text()) {
        return failure(&format!(
            "unsupported architecture: {}",
            vmi.child("architecture").text()
        ));
    }
    if !vmi.at("domain.memory.guest").is_set() {
        return failure(
            "no memory requested, at least one of 'spec.domain.memory.guest', \
             'spec.domain.memory.hugepages.pageSize' or 'spec.domain.resources.requests.memory' must be set",
        );
    }
    None
}

fn owner_reference(vm: &Field<'_>) -> Value {
    json!({
        "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine",
        "name": vm.child("metadata").name(), "uid": vm.at("metadata.uid").text(),
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// The DataVolumes of the VM's templates that do not exist yet.
pub fn missing_templates(world: &World, vm: &Field<'_>) -> Vec<Change> {
    let namespace = vm.at("metadata.namespace").text();
    let missing = |template: &Field<'_>| {
        world
            .get(
                Kind::DataVolume,
                namespace,
                template.child("metadata").name(),
            )
            .is_none()
    };
    vm.at("spec.dataVolumeTemplates")
        .items()
        .filter(missing)
        .map(|template| {
            let mut object = json!({
                "apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "DataVolume",
                "metadata": template.child("metadata").value(), "spec": template.child("spec").value(),
            });
            let metadata = place(&mut object, ["metadata"]);
            put(metadata, ["namespace"], json!(namespace));
            put(metadata, ["ownerReferences"], json!([owner_reference(vm)]));
            put(metadata, ["labels", "kubevirt.io/created-by"], vm.at("metadata.uid").value().clone());
            put(metadata, ["annotations", "cdi.kubevirt.io/allowClaimAdoption"], json!("true"));
            Change::Create {
                by: VIRT,
                at: Ref::new(Kind::DataVolume, namespace, template.child("metadata").name()),
                object,
            }
        })
        .collect()
}

/// Unlike with DataVolumes of their own, a VM with templates waits for them before it has an instance.
pub fn templates_are_ready(world: &World, vm: &Field<'_>) -> bool {
    let namespace = vm.at("metadata.namespace").text();
    vm.at("spec.dataVolumeTemplates").items().all(|template| {
        let dv = world.get(
            Kind::DataVolume,
            namespace,
            template.child("metadata").name(),
        );
        dv.is_some_and(|dv| {
            ["Succeeded", "PendingPopulation", "WaitForFirstConsumer"]
                .contains(&dv.at("status.phase").text())
        })
    })
}

/// The generation of the VM that an instance is of.
pub const VM_GENERATION: &str = "kubevirt.io/vm-generation";

/// The instance of a VM: its template, completed.
pub fn instance(vm: &Field<'_>, scenario: &Scenario) -> Value {
    let complete = admission::for_validation(vm.value());
    let template = Field::new("", &complete).at("spec.template");
    let metadata = vm.child("metadata");
    let mut annotations = template.at("metadata.annotations").value().clone();
    put(
        &mut annotations,
        [VM_GENERATION],
        json!(metadata.child("generation").integer().to_string()),
    );
    put(
        &mut annotations,
        [BOOTED_WITH],
        json!(vm.at("spec.template.spec").value().to_string()),
    );
    let mut object = json!({
        "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance",
        "metadata": {
            "name": metadata.name(),
            "namespace": metadata.child("namespace").text(),
            "labels": template.at("metadata.labels").value(),
            "annotations": annotations,
            "ownerReferences": [owner_reference(vm)],
            "finalizers": [CONTROLLER_FINALIZER, FOREGROUND_FINALIZER],
        },
        "spec": template.child("spec").value(),
    });
    let spec = template.child("spec");
    let domain = place(&mut object, ["spec", "domain"]);
    let (sockets, guest) = (
        spec.at("domain.cpu.sockets"),
        spec.at("domain.memory.guest"),
    );
    if !spec.at("domain.cpu.maxSockets").is_set() {
        put(
            domain,
            ["cpu", "maxSockets"],
            json!(sockets.integer().max(1) * HOTPLUG_RATIO),
        );
    }
    if spec.at("domain.cpu.model").text().is_empty() {
        put(domain, ["cpu", "model"], json!("host-model"));
    }
    let maximum = guest.quantity().value().saturating_mul(HOTPLUG_RATIO);
    if !spec.at("domain.memory.maxGuest").is_set() && admission::can_grow_memory(&spec, maximum) {
        put(
            domain,
            ["memory", "maxGuest"],
            json!(Quantity::units(maximum).to_binary()),
        );
    }
    if !spec.child("evictionStrategy").is_set() {
        put(&mut object, ["spec", "evictionStrategy"], json!("None"));
    }
    if scenario.has("pause") {
        put(&mut object, ["spec", "startStrategy"], json!("Paused"));
    }
    object
}
