//! The pending changes that an instance does not show, from the notes in the status.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;
use wukong_api::status::{FirstBoot, StartedWith};
use wukong_api::validated::Nic;

use super::Comparison;
use crate::changes::{self, Change, Class};
use crate::facts::{MachineFact, Text, VirtualMachineInstanceFact};
use crate::generations;
use crate::managed_fields;
use crate::situation::Situation;

/// Between the name of a NAD and the hash over its spec. No name has this character.
const SEPARATOR: char = '#';

impl Comparison<'_> {
    /// Networks by NIC: the name of the NAD, and a hash over its spec if the operator makes it. NICs with a NAD that is
    /// not stored as desired yet are left out.
    fn networks(&self) -> BTreeMap<String, String> {
        let nics = self.situation.nics.as_deref().unwrap_or_default();
        let network = |nic: &&Nic| {
            let name = nic.attachment.name();
            let ours = self
                .bodies
                .nads
                .iter()
                .find(|body| body.target.name == name);
            let hash = match ours {
                Some(body) if self.is_settled(&body.target) => {
                    managed_fields::hash(body.object.get("spec")?)
                }
                Some(_) => return None,
                None => String::new(),
            };
            Some((nic.name.clone(), format!("{name}{SEPARATOR}{hash}")))
        };
        nics.iter().filter_map(network).collect()
    }

    pub(super) fn configuration(&self) -> String {
        let template = self
            .template()
            .map(managed_fields::hash)
            .unwrap_or_default();
        self.networks().values().fold(template, |sum, network| {
            managed_fields::hash(&Value::from(sum + network))
        })
    }

    pub(super) fn started_with(&self) -> Option<StartedWith> {
        let known = self.before.and_then(|before| before.started_with.clone());
        let Some((instance, machine)) = self
            .instance
            .and_then(|instance| Some((instance, instance.machine.as_ref()?)))
        else {
            return known;
        };
        let node = self.before.and_then(|before| before.node_name.as_deref());
        match known {
            Some(known) if known.instance == instance.meta.uid => {
                let moved = node.is_some() && node != instance.node.as_deref();
                let networks = match moved {
                    true => self.networks(),
                    false => known.networks,
                };
                Some(StartedWith { networks, ..known })
            }
            known => {
                // An instance that is older than the first note may have pending changes, also before KubeVirt reports them.
                let planned = self.template().and_then(MachineFact::project);
                let differs = planned.is_some_and(|it| it.placement() != machine.placement());
                let behind = known.is_none() && (differs || self.kubevirt_wants_restart())
                    || self.is_of_another_generation(instance);
                let settled = self.is_settled(&self.situation.vm_target()) && !behind;
                Some(StartedWith {
                    instance: instance.meta.uid.to_string(),
                    configuration: match settled {
                        true => self.configuration(),
                        false => String::new(),
                    },
                    placement: machine.placement(),
                    networks: self.networks(),
                })
            }
        }
    }

    /// Whether KubeVirt created this instance from another spec of the VM than the present one: an edit that was applied
    /// while the VM restarted for an earlier edit. Versions of KubeVirt that note no generation leave this open.
    fn is_of_another_generation(&self, instance: &VirtualMachineInstanceFact) -> bool {
        let generation = self.situation.vm.and_then(|vm| vm.generation);
        let pair = generation.zip(instance.vm_generation);
        pair.is_some_and(|(vm, instance)| vm != instance)
    }

    pub(super) fn first_boot(&self) -> Option<FirstBoot> {
        let known = self.before.and_then(|before| before.first_boot.clone());
        let boot = self.situation.disks.iter().find(|seen| seen.disk.boot);
        let Some((boot, claim)) = boot.and_then(|seen| Some((seen, seen.claim?))) else {
            return known;
        };
        let Situation {
            wukong, observed, ..
        } = self.situation;
        match known {
            // The guest keeps its instance id, so cloud-init does not run again on another generation of the disk.
            Some(known)
                if generations::is_of_another(wukong, boot.disk, &known.disk, observed.world) =>
            {
                Some(FirstBoot {
                    disk: claim.meta.uid.to_string(),
                    ..known
                })
            }
            Some(known) if known.disk == claim.meta.uid || !self.runs() => Some(known),
            None if !self.runs() => None,
            _ => Some(FirstBoot {
                disk: claim.meta.uid.to_string(),
                fields: changes::first_boot(self.situation.wukong)
                    .into_iter()
                    .map(|field| (field.path, field.hash))
                    .collect(),
            }),
        }
    }

    pub(super) fn of_networks(&self, started: Option<&StartedWith>) -> Vec<Change> {
        let Some(started) = started.filter(|_| self.runs()) else {
            return Vec::new();
        };
        let name = |network: &str| network.split(SEPARATOR).next().map(str::to_owned);
        let change = |(nic, network): (String, String)| {
            let attached = started.networks.get(&nic)?;
            let (from, to) = (name(attached), name(&network));
            if *attached == network {
                return None;
            }
            if from == to {
                return Some(Change {
                    path: format!("spec.networks[{nic}]"),
                    from: None,
                    to: self.network(&nic),
                    class: Class::NeedsRestart,
                    why: changes::ATTACHED.into(),
                });
            }
            let (class, why) = self.vm.by_migration("the NIC of another network");
            Some(Change {
                path: format!("spec.networks[{nic}].nadName"),
                from,
                to,
                class,
                why,
            })
        };
        self.networks().into_iter().filter_map(change).collect()
    }

    fn network(&self, name: &str) -> Option<String> {
        let nics = &self.situation.wukong.nics;
        let nic = nics.iter().find(|nic| nic.name == name)?;
        Some(changes::network(nic))
    }

    pub(super) fn of_first_boot(&self, known: Option<&FirstBoot>) -> Vec<Change> {
        let Some(known) = known else {
            return Vec::new();
        };
        let now = changes::first_boot(self.situation.wukong);
        let change = |path: &str, to: Option<String>| Change {
            path: path.to_owned(),
            from: None,
            to,
            // The Secret of the keys is in the template, too.
            class: match path == "spec.sshKeySecret" && self.kubevirt_wants_restart() {
                true => Class::NeedsRestart,
                false => Class::FirstBootOnly,
            },
            why: changes::FIRST_BOOT.into(),
        };
        let changed = now
            .iter()
            .filter(|field| known.fields.get(&field.path) != Some(&field.hash))
            .filter(|field| !self.has_addresses(&field.path))
            .map(|field| change(&field.path, field.shown.clone()));
        let removed = known
            .fields
            .keys()
            .filter(|path| !now.iter().any(|field| field.path == **path))
            .filter(|path| self.is_of_present_nic(path))
            .map(|path| change(path, None));
        changed.chain(removed).collect()
    }

    /// Whether the guest reports the addresses of this NIC, because a user configured them in the guest.
    fn has_addresses(&self, path: &str) -> bool {
        let wukong = self.situation.wukong;
        let nic = wukong
            .nics
            .iter()
            .find(|nic| path == format!("spec.networks[{}].ipConfig", nic.name));
        let wanted = nic.and_then(|nic| Some((&nic.name, &nic.ip.as_ref()?.addresses)));
        let Some((name, wanted)) = wanted.filter(|(_, wanted)| !wanted.is_empty()) else {
            return false;
        };
        let interfaces = self
            .instance
            .into_iter()
            .flat_map(|known| &known.interfaces);
        let mut named = interfaces.filter(|interface| interface.name == *name);
        named.any(|interface| {
            let has = |address: &IpAddr| {
                let parsed = |seen: &Text| seen.parse().ok();
                interface
                    .addresses
                    .iter()
                    .filter_map(parsed)
                    .any(|seen: IpAddr| seen == *address)
            };
            wanted.iter().all(|wanted| has(&wanted.addr()))
        })
    }

    /// Whether a path is about no NIC, or about one that is still there.
    fn is_of_present_nic(&self, path: &str) -> bool {
        let nics = &self.situation.wukong.nics;
        !path.starts_with("spec.networks")
            || nics
                .iter()
                .any(|nic| path.starts_with(&format!("spec.networks[{}].", nic.name)))
    }
}
