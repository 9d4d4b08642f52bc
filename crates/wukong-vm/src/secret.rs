//! The Secret with the cloud-init data.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::core::ObjectMeta;
use wukong_api::owner::owner_reference;
use wukong_api::spec::IpFamily;
use wukong_api::validated::{Login, Nic};
use wukong_api::{ValidatedWukong, labels, names};

use crate::user_data::user_data;

/// Key of the user data that KubeVirt reads.
const USER_DATA: &str = "userdata";
/// Key of the network data that KubeVirt reads.
const NETWORK_DATA: &str = "networkdata";

/// The Secret that the VirtualMachine's cloud-init volume reads: `userdata`, unless the user brings it in a Secret of
/// their own, and `networkdata`.
///
/// `network_data` is the network configuration of the guest (version 2, as cloud-init's NoCloud takes it). `None` when
/// the VirtualMachine reads both from the user's Secret.
pub fn cloud_init_secret(wukong: &ValidatedWukong, network_data: &str) -> Option<Secret> {
    let user_data = user_data(wukong).map(|text| (USER_DATA, text));
    let network_data = owns_network_data(wukong).then(|| (NETWORK_DATA, network_data.to_owned()));
    let data: BTreeMap<_, _> = [user_data, network_data]
        .into_iter()
        .flatten()
        .map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes())))
        .collect();
    (!data.is_empty()).then(|| Secret {
        metadata: ObjectMeta {
            name: Some(own_secret(wukong)),
            namespace: Some(wukong.identity.namespace.clone()),
            labels: Some(labels::of_child(&wukong.identity.name)),
            owner_references: Some(vec![owner_reference(&wukong.identity)]),
            ..ObjectMeta::default()
        },
        data: Some(data),
        ..Secret::default()
    })
}

/// Name of the Secret that the guest's user data comes from.
pub(crate) fn user_data_secret(wukong: &ValidatedWukong) -> String {
    match &wukong.login {
        Login::Secret(name) => name.clone(),
        _ => own_secret(wukong),
    }
}

/// Name of the Secret that the guest's network data comes from.
pub(crate) fn network_data_secret(wukong: &ValidatedWukong) -> String {
    if owns_network_data(wukong) {
        own_secret(wukong)
    } else {
        user_data_secret(wukong)
    }
}

/// Returns whether the operator generates the guest's network data.
///
/// The user's Secret may hold `networkdata`, and the operator cannot read it. KubeVirt takes one source only, and when
/// that Secret lacks the key, the guest boots with the default of the image: DHCP on the first NIC
/// (`resolveNoCloudSecrets` of KubeVirt, `pkg/cloud-init`). So the user's Secret is the source, unless the Wukong
/// itself has addresses (`ipConfig`, `guestVlans`, `podNetworkIpFamily`, `podNetworkDnsServers`), which would be lost
/// that way.
fn owns_network_data(wukong: &ValidatedWukong) -> bool {
    let of_nic = |nic: &Nic| nic.ip.is_some() || !nic.guest_vlans.is_empty();
    !matches!(wukong.login, Login::Secret(_))
        || wukong.pod_ip_family != IpFamily::V4
        || !wukong.pod_dns_servers.is_empty()
        || wukong.nics.iter().any(of_nic)
}

fn own_secret(wukong: &ValidatedWukong) -> String {
    names::cloud_init_secret(&wukong.identity.name)
}
