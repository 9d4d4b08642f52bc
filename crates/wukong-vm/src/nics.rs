//! NICs and their networks.

use wukong_api::spec::{LinkState, NetworkType};
use wukong_api::validated::Nic;
use wukong_api::{Mac, ValidatedWukong, names};

use crate::virtual_machine::{Binding, Interface, InterfaceState, Network, NetworkSource};

/// Name of the binding plugin for macvtap devices, as KubeVirt's documentation registers it. (Its built-in macvtap
/// binding is gone since 1.8.)
const MACVTAP: &str = "macvtap";

/// Every NIC with its network: the one on the pod network first, then the secondary ones in their order.
pub(crate) fn nics(wukong: &ValidatedWukong, secondary: &[&Nic]) -> Vec<(Interface, Network)> {
    let pod = wukong.pod_nic.map(|mac| {
        let binding = Binding::Masquerade {};
        pair(names::POD_NETWORK, mac, binding, NetworkSource::Pod {})
    });
    let secondary = secondary.iter().map(|nic| {
        let network_name = nic.attachment.name().to_owned();
        let source = NetworkSource::Multus {
            network_name,
            default: nic.primary.then_some(true),
        };
        let (interface, network) = pair(&nic.name, nic.mac, binding(nic.kind), source);
        let interface = Interface {
            model: nic.model,
            state: nic.link_state.map(state),
            ..interface
        };
        (interface, network)
    });
    pod.into_iter().chain(secondary).collect()
}

fn state(link: LinkState) -> InterfaceState {
    match link {
        LinkState::Up => InterfaceState::Up,
        LinkState::Down => InterfaceState::Down,
    }
}

fn binding(kind: NetworkType) -> Binding {
    match kind {
        NetworkType::Bridge | NetworkType::Ovs => Binding::Bridge {},
        NetworkType::Sriov => Binding::Sriov {},
        // The bridge binding takes the pod's MAC away, which a macvlan device does not survive.
        NetworkType::Macvlan => Binding::Plugin {
            name: MACVTAP.to_owned(),
        },
    }
}

fn pair(name: &str, mac: Mac, binding: Binding, source: NetworkSource) -> (Interface, Network) {
    let interface = Interface {
        name: name.to_owned(),
        mac_address: mac.to_string(),
        model: None,
        state: None,
        binding,
    };
    let network = Network {
        name: name.to_owned(),
        source,
    };
    (interface, network)
}
