//! Every name that we give.
//!
//! A Wukong's name is a DNS label, so the dot in `<wukong>.<disk>` keeps the names of two Wukongs apart.
//! NetworkAttachmentDefinitions cannot have dots (the Multus admission controller and its short annotation form refuse
//! them), so a hash keeps theirs apart.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Longest DNS label (RFC 1123).
pub const LABEL_MAX: usize = 63;
/// Longest name of a network interface in Linux, in bytes (`IFNAMSIZ` less the final NUL).
pub const INTERFACE_MAX: usize = 15;
/// Name of the first NIC, on the pod network.
pub const POD_NETWORK: &str = "pod-network";
/// Name of the disk that a Wukong without disks boots from.
pub const OS_IMAGE_DISK: &str = "os-image";

/// Scope of the UUIDs that we derive (a random UUID, fixed for ever).
const UUID_SCOPE: Uuid = Uuid::from_u128(0x6f1d_5c1e_88a4_4d0b_9f3a_2f0c_7b6e_31d4);

/// The DataVolume and the claim of a disk.
pub fn claim(wukong: &str, disk: &str) -> String {
    format!("{wukong}.{disk}")
}

/// The DataVolume and the claim of a generation of a disk. The first generation has no number.
pub fn claim_of_generation(wukong: &str, disk: &str, generation: u32) -> String {
    let first = claim(wukong, disk);
    match generation {
        0 | 1 => first,
        later => format!("{first}.r{later}"),
    }
}

/// The Secret with the cloud-init data.
pub fn cloud_init_secret(wukong: &str) -> String {
    format!("{wukong}.cloud-init")
}

/// The NetworkAttachmentDefinition of a NIC: a DNS label, the readable part cut so that the hash fits.
pub fn network_attachment_definition(wukong: &str, network: &str) -> String {
    let hash = short_hash(&[wukong, network]);
    let readable: String = format!("{wukong}-{network}")
        .chars()
        .take(LABEL_MAX - 1 - hash.len())
        .collect();
    format!("{}-{hash}", readable.trim_end_matches('-'))
}

/// The default bridge of a network.
pub fn bridge(network: &str) -> String {
    format!("br-{network}")
}

/// The volume with the cloud-init data: `cloud-init`, or with a number behind it when a disk has that name.
pub fn cloud_init_volume<'a>(disks: impl Iterator<Item = &'a str> + Clone) -> String {
    let free = |name: &String| !disks.clone().any(|disk| disk == name);
    std::iter::once("cloud-init".to_owned())
        .chain((2..).map(|number| format!("cloud-init-{number}")))
        .find(free)
        .unwrap_or_default()
}

/// A UUID for `purpose` that belongs to the Wukong with this uid for its whole life.
pub fn derived_uuid(uid: &str, purpose: &str) -> Uuid {
    Uuid::new_v5(&UUID_SCOPE, format!("{uid}/{purpose}").as_bytes())
}

/// Eight hex digits over `parts`, each kept apart from the next.
pub fn short_hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize()
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_disk_called_cloud_init_keeps_its_name() {
        assert_eq!(cloud_init_volume(["root"].into_iter()), "cloud-init");
        assert_eq!(
            cloud_init_volume(["cloud-init", "cloud-init-2"].into_iter()),
            "cloud-init-3"
        );
    }

    proptest! {
        #[test]
        fn definition_names_are_labels_and_differ(
            a in "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", b in "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?",
            c in "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", d in "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?",
        ) {
            let name = network_attachment_definition(&a, &b);
            prop_assert!(name.len() <= LABEL_MAX);
            prop_assert!(Regex::new("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$").unwrap().is_match(&name));
            prop_assert_eq!((&a, &b) == (&c, &d), name == network_attachment_definition(&c, &d));
        }
    }

    use regex_lite::Regex;
}
