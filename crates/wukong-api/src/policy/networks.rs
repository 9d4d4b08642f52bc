//! Which secondary networks a policy allows.

use super::findings::{Findings, judged, only, stands_for};
use super::{AllowedAttachment, AllowedNetworks};
use crate::names;
use crate::spec::{Network, NetworkType, WukongSpec};

/// What a network takes from the nodes and the namespace; a name is empty where it takes none.
struct Taken {
    path: String,
    definition: String,
    bridge: String,
    resource: String,
    uplink: String,
    /// 0 without VLAN.
    vlan: u16,
}

impl Taken {
    fn by(path: String, network: &Network) -> Self {
        let own = network.nad_name.is_none();
        let bridged = network.type_.is_some_and(NetworkType::is_bridged);
        let bridge = (bridged && (own || network.node_network.is_some())).then(|| {
            network
                .bridge_name
                .clone()
                .unwrap_or_else(|| names::bridge(&network.name))
        });
        let lower_device = || match network.vlan_id {
            Some(vlan) => format!("{}.{vlan}", network.name),
            None => network.name.clone(),
        };
        let macvtap = network
            .type_
            .is_some_and(NetworkType::is_macvtap)
            .then(|| format!("macvtap.network.kubevirt.io/{}", lower_device()));
        let resource = network.resource_name.clone().or(macvtap).filter(|_| own);
        Self {
            path,
            definition: network.nad_name.clone().unwrap_or_default(),
            bridge: bridge.unwrap_or_default(),
            resource: resource.unwrap_or_default(),
            uplink: network
                .node_network
                .as_ref()
                .map(|node| node.uplink.clone())
                .unwrap_or_default(),
            vlan: network.vlan_id.unwrap_or_default(),
        }
    }

    /// The bridge of the VLAN. With a foreign NAD, the VLAN has no effect.
    fn bridge_with_vlan(&self) -> &str {
        if self.definition.is_empty() {
            &self.bridge
        } else {
            ""
        }
    }

    /// The resource that the VLAN is of. That of a bridge only marks the nodes that have it.
    fn resource_with_vlan(&self) -> &str {
        if self.bridge.is_empty() {
            &self.resource
        } else {
            ""
        }
    }
}

pub(super) fn check(
    allowed: &AllowedNetworks,
    spec: &WukongSpec,
    before: Option<&WukongSpec>,
    findings: &mut Findings,
) {
    let networks: Vec<Taken> = judged(
        "spec.networks",
        &spec.networks,
        before.map(|before| before.networks.as_slice()),
    )
    .into_iter()
    .map(|(path, network)| Taken::by(path, network))
    .collect();
    let bridges: Vec<&String> = allowed.bridges.iter().map(|bridge| &bridge.name).collect();
    let resources: Vec<&String> = allowed
        .resources
        .iter()
        .map(|resource| &resource.name)
        .collect();
    let definitions: Vec<&String> = allowed.definitions.iter().collect();
    let uplinks: Vec<&String> = allowed.uplinks.iter().collect();

    allow_names(
        &networks,
        "nadName",
        |taken| &taken.definition,
        &definitions,
        findings,
    );
    allow_names(
        &networks,
        "bridgeName",
        |taken| &taken.bridge,
        &bridges,
        findings,
    );
    allow_vlans(
        &networks,
        "bridge",
        Taken::bridge_with_vlan,
        &allowed.bridges,
        findings,
    );
    allow_names(
        &networks,
        "resourceName",
        |taken| &taken.resource,
        &resources,
        findings,
    );
    allow_vlans(
        &networks,
        "resource",
        Taken::resource_with_vlan,
        &allowed.resources,
        findings,
    );
    allow_names(
        &networks,
        "nodeNetwork.uplink",
        |taken| &taken.uplink,
        &uplinks,
        findings,
    );
}

fn allow_names(
    networks: &[Taken],
    field: &str,
    name: impl Fn(&Taken) -> &str,
    allowed: &[&String],
    findings: &mut Findings,
) {
    for taken in networks {
        let name = name(taken);
        if !name.is_empty() && !allowed.iter().any(|entry| stands_for(entry, name)) {
            findings.add(format!("{}.{field}", taken.path), only(allowed));
        }
    }
}

/// VLANs on what is allowed by its name.
fn allow_vlans(
    networks: &[Taken],
    what: &str,
    name: impl Fn(&Taken) -> &str,
    allowed: &[AllowedAttachment],
    findings: &mut Findings,
) {
    for taken in networks {
        let name = name(taken);
        let named: Vec<&AllowedAttachment> = allowed
            .iter()
            .filter(|entry| stands_for(&entry.name, name))
            .collect();
        if !name.is_empty() && !named.is_empty() && !named.iter().any(|entry| entry.has(taken.vlan))
        {
            findings.add(
                format!("{}.vlanId", taken.path),
                format!("this {what} with other VLANs only"),
            );
        }
    }
}

impl AllowedAttachment {
    fn has(&self, vlan: u16) -> bool {
        self.vlans.as_ref().is_none_or(|ranges| {
            ranges
                .iter()
                .any(|range| (range.from..=range.to.unwrap_or(range.from)).contains(&vlan))
        })
    }
}
