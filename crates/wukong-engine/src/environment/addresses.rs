//! Which Wukong uses which MAC and which static address on which network. Two guests with the same one take each other's
//! traffic away, and neither they nor the cluster report the cause.
//!
//! Derived MACs and addresses from DHCP are unique, so only those in a spec are kept.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;
use strum::Display;
use wukong_api::spec::Network;
use wukong_api::validated::{Attachment, Nic};
use wukong_api::{Mac, OperatorSettings, Reason, ValidatedWukong, Wukong};

use crate::facts::Presence;

/// Most Wukongs of the same second for which the index checks which one has a VM.
const RIVALS_MAX: usize = 16;

/// Namespace and name of a Wukong.
pub type WukongName = (String, String);

/// The addresses in the specs of Wukongs, by network.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    presence: Presence,
    /// The Wukongs with this address, the oldest first.
    requesters: HashMap<Requested, BTreeSet<Arc<Requester>>>,
    /// The addresses of each Wukong that has any.
    requested: HashMap<WukongName, (Arc<Requester>, BTreeSet<Requested>)>,
}

/// An address on a network.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Requested {
    wire: Wire,
    address: Address,
}

impl Requested {
    /// The reason of the condition when two Wukongs have the same address.
    fn reason(&self) -> Reason {
        match self.address {
            Address::Mac(_) => Reason::MACConflict,
            Address::Ip(_) => Reason::IPConflict,
        }
    }
}

/// The network segment of a NIC: NICs of one segment reach each other.
#[derive(Clone, Debug, Display, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Wire {
    #[strum(to_string = "NetworkAttachmentDefinition {name}")]
    Definition { namespace: String, name: String },
    #[strum(to_string = "bridge {name}")]
    Bridge { name: String, vlan: Option<u16> },
    /// A VM gets any device of the resource, so all of them lead to the same network.
    #[strum(to_string = "resource {name}")]
    Resource { name: String, vlan: Option<u16> },
}

#[derive(Clone, Copy, Debug, Display, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Address {
    #[strum(to_string = "MAC {0}")]
    Mac(Mac),
    #[strum(to_string = "address {0}")]
    Ip(IpAddr),
}

/// A Wukong with an address in its spec, in order of age.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Requester {
    /// When it was made.
    since: Timestamp,
    pub uid: String,
    pub namespace: String,
    pub name: String,
}

impl Requester {
    fn key(&self) -> WukongName {
        (self.namespace.clone(), self.name.clone())
    }
}

/// An address that another, older Wukong has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Taken {
    pub reason: Reason,
    pub message: String,
    /// The other Wukong, as `Kind/name`.
    pub by: String,
}

impl Addresses {
    /// Whether the Wukongs of the cluster are observed.
    pub fn presence(&self) -> Presence {
        self.presence
    }

    /// Clears the index, because Wukongs cannot be observed.
    pub fn clear(&mut self, presence: Presence) {
        *self = Self {
            presence,
            ..Self::default()
        };
    }

    /// Replaces the index by the addresses of all Wukongs. Returns the Wukongs that are affected by addresses of others.
    pub fn replace<W: Borrow<Wukong>>(
        &mut self,
        all: impl IntoIterator<Item = W>,
    ) -> Vec<WukongName> {
        self.presence = Presence::Served;
        let mut gone: BTreeSet<WukongName> = self.requested.keys().cloned().collect();
        let mut others = Vec::new();
        for wukong in all {
            gone.remove(&name_of(wukong.borrow()));
            others.extend(self.note(wukong.borrow()));
        }
        for (namespace, name) in gone {
            others.extend(self.forget(&namespace, &name));
        }
        others
    }

    /// Stores the addresses of a Wukong. The operator does not apply an invalid spec, so for such a Wukong the addresses
    /// before count. Returns the other Wukongs that are affected.
    pub fn note(&mut self, wukong: &Wukong) -> Vec<WukongName> {
        let (namespace, name) = name_of(wukong);
        if !requests_any(wukong) {
            return self.forget(&namespace, &name);
        }
        let anywhere = OperatorSettings {
            denied_hosts: Vec::new(),
            ..OperatorSettings::default()
        };
        let Ok(valid) = ValidatedWukong::validate(wukong, &anywhere) else {
            return Vec::new();
        };
        let requester = Requester {
            since: wukong
                .creation_timestamp()
                .map_or(Timestamp::MAX, |made| made.0),
            uid: wukong.uid().unwrap_or_default(),
            namespace,
            name,
        };
        let requested = valid.nics.iter().flat_map(|nic| of_nic(&valid, nic));
        let requested = requested.collect();
        self.set(requester, requested)
    }

    /// Removes a Wukong that is gone. Returns the other Wukongs that are affected.
    pub fn forget(&mut self, namespace: &str, name: &str) -> Vec<WukongName> {
        let key = (namespace.to_owned(), name.to_owned());
        let Some((requester, requested)) = self.requested.remove(&key) else {
            return Vec::new();
        };
        requested
            .iter()
            .flat_map(|requested| self.change(requested, &requester, false))
            .collect()
    }

    /// Returns the Wukongs that share an address with another Wukong.
    pub fn rivals(&self) -> BTreeSet<WukongName> {
        let shared = self.requesters.values().filter(|all| all.len() > 1);
        shared.flatten().map(|requester| requester.key()).collect()
    }

    fn set(&mut self, requester: Requester, requested: BTreeSet<Requested>) -> Vec<WukongName> {
        let key = requester.key();
        let known = self.requested.get(&key);
        if known.is_some_and(|(known, before)| **known == requester && *before == requested) {
            return Vec::new();
        }
        let mut others = self.forget(&key.0, &key.1);
        let requester = Arc::new(requester);
        for one in &requested {
            others.extend(self.change(one, &requester, true));
        }
        if !requested.is_empty() {
            self.requested.insert(key, (requester, requested));
        }
        others
    }

    /// Adds or removes a Wukong with this address. The others are affected if it is one of the oldest: their messages name
    /// the oldest.
    fn change(
        &mut self,
        requested: &Requested,
        requester: &Arc<Requester>,
        asks: bool,
    ) -> Vec<WukongName> {
        let all = self.requesters.entry(requested.clone()).or_default();
        if asks {
            all.insert(Arc::clone(requester));
        } else {
            all.remove(requester);
        }
        let oldest = all
            .first()
            .is_none_or(|first| requester.since <= first.since);
        let others = all.iter().filter(|other| oldest && *other != requester);
        let others = others.map(|other| other.key()).collect();
        if all.is_empty() {
            self.requesters.remove(requested);
        }
        others
    }

    /// The first address of these NICs that an older Wukong has. Of Wukongs that were created in the same second, as by one
    /// `kubectl apply`, the one that `has_vm` counts as older. `reason` selects MACs or addresses.
    pub(crate) fn taken(
        &self,
        wukong: &ValidatedWukong,
        nics: &[&Nic],
        reason: Reason,
        has_vm: impl Fn(&Requester) -> bool,
    ) -> Option<Taken> {
        nics.iter().find_map(|nic| {
            of_nic(wukong, nic)
                .iter()
                .filter(|requested| requested.reason() == reason)
                .find_map(|requested| self.taken_by(wukong, nic, requested, &has_vm))
        })
    }

    fn taken_by(
        &self,
        wukong: &ValidatedWukong,
        nic: &Nic,
        requested: &Requested,
        has_vm: impl Fn(&Requester) -> bool,
    ) -> Option<Taken> {
        let all = self.requesters.get(requested)?;
        let first = all.first()?;
        let rivals = all.iter().take_while(|other| other.since == first.since);
        let holder = rivals
            .take(RIVALS_MAX)
            .find(|other| has_vm(other))
            .unwrap_or(first);
        let identity = &wukong.identity;
        let here = holder.namespace == identity.namespace;
        if here && holder.name == identity.name {
            return None;
        }
        let by = match here {
            true => holder.name.clone(),
            false => format!("{}/{}", holder.namespace, holder.name),
        };
        let vlan = match requested.wire {
            Wire::Bridge {
                vlan: Some(vlan), ..
            }
            | Wire::Resource {
                vlan: Some(vlan), ..
            } => format!(", VLAN {vlan}"),
            _ => String::new(),
        };
        Some(Taken {
            reason: requested.reason(),
            message: format!(
                "network {}: {} on {}{vlan} belongs to Wukong {by}, which asked for it first",
                nic.name, requested.address, requested.wire
            ),
            by: format!("Wukong/{by}"),
        })
    }
}

fn name_of(wukong: &Wukong) -> WukongName {
    (wukong.namespace().unwrap_or_default(), wukong.name_any())
}

/// Whether a network of the spec names an address.
/// Whether the spec of a Wukong has any address.
pub fn requests_any(wukong: &Wukong) -> bool {
    wukong.spec.networks.iter().any(asks)
}

fn asks(network: &Network) -> bool {
    let ip = network.ip_config.as_ref();
    let fixed = ip.is_some_and(|ip| ip.address.is_some() || !ip.addresses.is_empty());
    network.mac_address.is_some() || fixed
}

/// Whether the spec of a Wukong names any address.
pub(crate) fn asks_for_any(wukong: &ValidatedWukong) -> bool {
    wukong
        .nics
        .iter()
        .any(|nic| !of_nic(wukong, nic).is_empty())
}

/// The addresses of a NIC.
fn of_nic(wukong: &ValidatedWukong, nic: &Nic) -> Vec<Requested> {
    let mac = nic.mac_given.then_some(Address::Mac(nic.mac));
    let ips = nic.ip.iter().flat_map(|ip| &ip.addresses);
    let addresses = mac.into_iter().chain(ips.map(|ip| Address::Ip(ip.addr())));
    let requested = |address| {
        let wire = wire(wukong, nic)?;
        Some(Requested { wire, address })
    };
    addresses.filter_map(requested).collect()
}

/// The network that a NIC leads to, as far as its spec shows it. Two NADs, bridges or resources with different names may
/// be one network: the operator does not report that.
fn wire(wukong: &ValidatedWukong, nic: &Nic) -> Option<Wire> {
    Some(match (&nic.attachment, &nic.bridge) {
        (Attachment::Existing(name), _) => Wire::Definition {
            namespace: wukong.identity.namespace.clone(),
            name: name.clone(),
        },
        (Attachment::Planned(_), Some(name)) => Wire::Bridge {
            name: name.clone(),
            vlan: nic.vlan,
        },
        (Attachment::Planned(_), None) => Wire::Resource {
            name: wukong_network::resource(nic)?,
            // The VLAN of a macvtap device is the one of its lower device, which the resource implies.
            vlan: nic.vlan.filter(|_| nic.kind.is_passed_through()),
        },
    })
}
