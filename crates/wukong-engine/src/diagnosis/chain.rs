//! The chain of evidence: the objects on the way from the Wukong to the text that tells the cause.

use wukong_api::status::EvidenceLink;

use super::evidence::{Evidence, Role};
use crate::facts::{Fact, Meta};
use crate::situation::Situation;

/// The links from the Wukong to the evidence, in order.
pub(crate) fn to(situation: &Situation, evidence: &Evidence) -> Vec<EvidenceLink> {
    let identity = &situation.wukong.identity;
    let mut links = vec![link("Wukong", &identity.name, String::new())];
    match evidence.role {
        Role::Disk | Role::Attachment => {
            let of_disk = situation
                .disks
                .iter()
                .find(|seen| Some(&seen.disk.name) == evidence.disk.as_ref());
            if let Some(volume) = of_disk.and_then(|seen| seen.data_volume) {
                links.push(of("DataVolume", volume.meta(), &volume.phase));
            }
            if let Some(claim) = of_disk.and_then(|seen| seen.claim) {
                links.push(of("PersistentVolumeClaim", claim.meta(), &claim.phase));
            }
        }
        Role::Guest => {
            if let Some(vm) = situation.vm {
                links.push(of("VirtualMachine", vm.meta(), &vm.printable_status));
            }
            if let Some(instance) = situation.instance {
                links.push(of(
                    "VirtualMachineInstance",
                    instance.meta(),
                    &instance.phase,
                ));
            }
            let namespace = &identity.namespace;
            let pods = &situation.observed.memory.queried.children.pods;
            let pod = evidence
                .pod()
                .and_then(|pod| pods.get(namespace, pod).present());
            if let Some(pod) = pod {
                links.push(of("Pod", pod.meta(), &pod.phase));
            }
        }
        Role::Write => {}
    }
    let last = evidence.link();
    // The object of the evidence is one link: the one with its words.
    links.retain(|link| link.object != last.object || last.state.starts_with("event "));
    links.push(last);
    links
}

fn of(kind: &str, meta: &Meta, state: &str) -> EvidenceLink {
    link(kind, &meta.name, state.to_owned())
}

fn link(kind: &str, name: &str, state: String) -> EvidenceLink {
    EvidenceLink {
        object: format!("{kind}/{name}"),
        state,
        text: None,
        since: None,
    }
}
