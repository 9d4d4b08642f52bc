//! MAC addresses.

use std::fmt;

use macaddr::MacAddr6;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

/// A unicast MAC address. It prints in lower case with colons: cloud-init compares MACs as text, and one in upper case
/// takes every NIC of the guest down.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Mac(MacAddr6);

impl Mac {
    /// Parses `aa:bb:cc:dd:ee:ff`, `aa-bb-cc-dd-ee-ff`, `aabb.ccdd.eeff` or `aabbccddeeff`, in either case. `None` for
    /// anything else, and for addresses that no NIC can have: multicast, broadcast, all zero.
    pub fn parse(text: &str) -> Option<Self> {
        let mac: MacAddr6 = text.parse().ok()?;
        (mac.is_unicast() && !mac.is_nil()).then_some(Self(mac))
    }

    /// The default MAC of a NIC: stable, locally administered, derived from the Wukong's uid and the NIC's name.
    /// Its first octet is never `fe`, which libvirt keeps for its own end of a tap device.
    pub fn derive(uid: &str, nic: &str) -> Self {
        let mut octets = [0; 6];
        let digest = Sha256::new()
            .chain_update(uid)
            .chain_update([0])
            .chain_update(nic)
            .finalize();
        for (octet, byte) in octets.iter_mut().zip(digest) {
            *octet = byte;
        }
        octets[0] = (octets[0] | 0x02) & 0x3e;
        Self(MacAddr6::from(octets))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_string().to_ascii_lowercase())
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_usual_notations_into_one() {
        for text in [
            "02:AA:0b:00:00:01",
            "02-aa-0b-00-00-01",
            "02aa.0b00.0001",
            "02AA0B000001",
        ] {
            assert_eq!(
                Mac::parse(text).unwrap().to_string(),
                "02:aa:0b:00:00:01",
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_no_nic_can_have() {
        for text in [
            "01:00:5e:00:00:01",
            "ff:ff:ff:ff:ff:ff",
            "00:00:00:00:00:00",
            "02:00:00:00:00",
            "zz:00:00:00:00:01",
            "",
        ] {
            assert_eq!(Mac::parse(text), None, "{text}");
        }
    }

    #[test]
    fn derived_macs_are_stable_local_and_differ_by_nic() {
        let mac = Mac::derive("4a4f", "lan");
        assert_eq!(mac, Mac::derive("4a4f", "lan"));
        assert_ne!(mac, Mac::derive("4a4f", "wan"));
        assert_eq!(Mac::parse(&mac.to_string()), Some(mac));
        assert!(mac.0.is_local());
    }
}
