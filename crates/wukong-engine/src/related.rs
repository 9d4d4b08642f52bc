//! The pods and events of a Wukong and its objects. They are queried only while a VM waits for something.

use wukong_api::{Wukong, names};

use crate::environment::provisioners::is_in_cluster;
use crate::facts::{ClaimFact, EventFact, PodFact, Store};
use crate::generations;
use crate::world::World;

/// Most events that are kept; of more, the newest.
const EVENTS_MAX: usize = 200;

/// The pods and events of one Wukong's objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Children {
    /// Pods: virt-launcher, importers, attachment pods.
    pub pods: Store<PodFact>,
    /// Events about the objects and their pods and claims.
    pub events: Store<EventFact>,
    /// Pods of the provisioners that are no CSI drivers, where one of them is waited for
    /// ([`RelatedNames::waits_for_provisioner`]).
    pub provisioners: Store<PodFact>,
}

impl Children {
    /// Replaces the events by the newest of these.
    pub fn replace_events(&mut self, mut events: Vec<EventFact>) {
        events.sort_by_key(|event| std::cmp::Reverse(event.last));
        events.truncate(EVENTS_MAX);
        self.events.replace(events);
    }
}

/// Recognizes by its name whether an object belongs to a Wukong: the Wukong itself, its objects, and the pods that work
/// for it. All our names begin with the Wukong's name. Pods of KubeVirt and CDI have a prefix, or the uid of a claim.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RelatedNames {
    namespace: String,
    name: String,
    disks: Vec<String>,
    /// Uids of its claims.
    claims: Vec<String>,
    /// Pods that attach disks to the running VM: their names do not contain the VM's name.
    attachments: Vec<String>,
    waits_for_provisioner: bool,
}

impl RelatedNames {
    /// The related names of a Wukong, as far as its claims are observed.
    pub fn of(wukong: &Wukong, world: &World) -> Self {
        let namespace = wukong.metadata.namespace.clone().unwrap_or_default();
        let name = wukong.metadata.name.clone().unwrap_or_default();
        let disks = wukong.spec.disks.iter().map(|disk| disk.name.clone());
        let disks: Vec<String> = disks.collect();
        let of_disk = |disk: &String| {
            let mut claims = generations::later_claims(&namespace, &name, disk, world);
            claims.insert(names::claim(&name, disk));
            claims
        };
        let claims = disks
            .iter()
            .flat_map(of_disk)
            .filter_map(|claim| world.claims.get(&namespace, &claim).present());
        let claims: Vec<&ClaimFact> = claims.collect();
        let classes = &world.environment.storage_classes;
        let waits = |claim: &&ClaimFact| {
            let class = claim.class.as_deref();
            let class = class.and_then(|class| classes.get("", class).present());
            claim.phase == "Pending" && class.is_some_and(|it| is_in_cluster(&it.provisioner))
        };
        Self {
            waits_for_provisioner: claims.iter().any(waits),
            claims: claims
                .iter()
                .map(|claim| claim.meta.uid.to_string())
                .collect(),
            attachments: world
                .instances
                .get(&namespace, &name)
                .present()
                .into_iter()
                .flat_map(|instance| &instance.plugged)
                .filter(|volume| !volume.is_attached())
                .map(|volume| volume.pod.to_string())
                .filter(|pod| !pod.is_empty())
                .collect(),
            disks,
            name,
            namespace,
        }
    }

    /// Whether it has disks, for which importers may work.
    pub fn has_disks(&self) -> bool {
        !self.disks.is_empty()
    }

    /// Whether a claim waits for a provisioner that is no CSI driver: only the pods of that provisioner show its failures.
    pub fn waits_for_provisioner(&self) -> bool {
        self.waits_for_provisioner
    }

    /// Whether the object of this name belongs to it.
    pub fn has(&self, object: &str, namespace: &str) -> bool {
        if namespace != self.namespace {
            return false;
        }
        if self.attachments.iter().any(|pod| pod == object) {
            return true;
        }
        let prime = object.strip_prefix("importer-").unwrap_or(object);
        let uid = prime.strip_prefix("prime-").unwrap_or_default();
        if self.claims.iter().any(|claim| uid.starts_with(claim)) {
            return true;
        }
        let rest = [
            "virt-launcher-",
            "hp-volume-",
            "importer-",
            "cdi-upload-",
            "",
        ]
        .iter()
        .find_map(|prefix| object.strip_prefix(prefix))
        .unwrap_or(object);
        let Some(rest) = rest.strip_prefix(&self.name) else {
            return false;
        };
        let claim = |rest: &str| {
            self.disks.iter().any(|disk| {
                rest == disk
                    || rest
                        .strip_prefix(disk)
                        .is_some_and(|rest| rest.starts_with('-') || rest.starts_with(".r"))
            })
        };
        match rest.strip_prefix('.') {
            Some(rest) => claim(rest),
            // `virt-launcher-web-x7k2p`, and not one of a Wukong `web-2`: KubeVirt's suffix has five letters.
            None => {
                rest.is_empty()
                    || rest
                        .strip_prefix('-')
                        .is_some_and(|suffix| suffix.len() == 5 && !suffix.contains('-'))
            }
        }
    }
}
