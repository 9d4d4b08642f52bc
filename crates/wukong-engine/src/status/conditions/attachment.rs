//! Disks that KubeVirt attaches to the running VM.

use wukong_api::{ConditionType, Reason};

use crate::diagnosis::about;
use crate::diagnosis::condition::Condition;
use crate::diagnosis::evidence::{Evidence, Role, Source};
use crate::facts::find_condition;
use crate::situation::Situation;

/// Parts of KubeVirt's messages about a volume that report a stage and no failure (`pkg/virt-controller/watch/vmi` and
/// `pkg/virt-handler`).
const IN_ORDER: [&str; 5] = [
    "Created hotplug attachment pod",
    "has been mounted in virt-launcher pod",
    "has been unmounted from virt-launcher pod",
    "Successfully attach hotplugged volume",
    "Deleted hotplug attachment pod",
];
/// Parts of virt-handler's and libvirt's errors about a disk of a running VM.
const OF_ATTACHMENT: [&str; 6] = [
    "hotplug volume",
    "device_add",
    "blockdev-add",
    "attaching disk",
    "attach disk",
    "/hotplug-disks/",
];

/// A disk that KubeVirt is to attach to the running VM, and that is not attached.
pub(super) fn attachment(situation: &Situation, name: &str) -> Option<Condition> {
    let instance = situation
        .instance
        .filter(|instance| instance.phase == "Running")?;
    let volume = instance
        .plugged
        .iter()
        .find(|volume| volume.name == name && !volume.is_attached())?;
    let object = format!("VirtualMachineInstance/{}", instance.meta.name);
    let evidence = |source, state: String, text: &str| Evidence {
        state,
        text: text.to_owned(),
        disk: Some(name.to_owned()),
        ..about(situation, source, Role::Attachment, object.clone())
    };
    let of_volume = Some(&volume.message)
        .filter(|message| {
            !message.is_empty() && !IN_ORDER.iter().any(|part| message.contains(part))
        })
        .map(|message| {
            let state = format!("volume {name}: {}", volume.phase);
            evidence(Source::Instance, state, message)
        });
    // What virt-handler cannot do for the pod that it has.
    let refused = find_condition(&instance.conditions, "Synchronized")
        .filter(|refused| {
            let mut parts = OF_ATTACHMENT.iter();
            refused.status == "False" && parts.any(|part| refused.message.contains(part))
        })
        .map(|refused| {
            let state = format!("Synchronized=False {}", refused.reason);
            evidence(Source::Synchronized, state, &refused.message)
        });
    let mut condition = Condition::progressing(
        ConditionType::VolumesBound,
        Reason::DiskNotAttached,
        format!(
            "disk {name} is not attached to the running VM: {}",
            volume.phase
        ),
    )
    .about(object)
    .hint(format!(
        "kubectl describe pod {} -n {}",
        volume.pod, situation.wukong.identity.namespace
    ));
    condition.words.extend(of_volume.into_iter().chain(refused));
    Some(condition)
}
