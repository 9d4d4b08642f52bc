//! The index of addresses: in whatever order changes arrive, it knows who has what, and returns whom to reconcile.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;
use wukong_api::{ValidatedWukong, Wukong};
use wukong_engine::diagnosis::{CheckStatus, preflight};
use wukong_engine::environment::Environment;
use wukong_engine::environment::addresses::{Addresses, WukongName};

use crate::cluster::NOW;

/// A Wukong of this name and age with a NIC on each of these bridges, with these last octets.
fn wukong(name: u8, second: u8, nics: &[(u8, Option<u8>, Option<u8>)]) -> Wukong {
    let nics: Vec<_> = nics
        .iter()
        .enumerate()
        .map(|(index, (bridge, mac, ip))| {
            let mut nic = json!({"name": format!("nic{index}"), "type": "bridge", "bridgeName": format!("br{bridge}")});
            if let Some(mac) = mac {
                nic["macAddress"] = json!(format!("02:00:00:00:{index:02}:{mac:02}"));
            }
            if let Some(ip) = ip {
                nic["ipConfig"] = json!({"address": format!("10.0.{index}.{ip}/24")});
            }
            nic
        })
        .collect();
    serde_json::from_value(json!({
        "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong",
        "metadata": {"name": format!("w{name}"), "namespace": "default", "uid": format!("{}", 9 - name),
                     "creationTimestamp": format!("2026-01-01T00:00:0{second}Z")},
        "spec": {"cpu": 1, "memory": "1Gi", "networks": nics},
    }))
    .unwrap()
}

fn name(wukong: &Wukong) -> WukongName {
    ("default".into(), wukong.metadata.name.clone().unwrap())
}

/// The conflicts that each Wukong reports.
fn reported(
    addresses: &Addresses,
    all: &BTreeMap<WukongName, Wukong>,
) -> BTreeMap<WukongName, Vec<String>> {
    let environment = Environment {
        addresses: addresses.clone(),
        ..Environment::default()
    };
    let of = |wukong: &Wukong| {
        let valid = ValidatedWukong::try_from(wukong).unwrap();
        let checks = preflight(&environment, Some(&valid), NOW.parse().unwrap());
        let failed = checks
            .into_iter()
            .filter(|check| check.status == CheckStatus::Fail);
        failed.map(|check| check.message).collect()
    };
    all.iter()
        .map(|(name, wukong)| (name.clone(), of(wukong)))
        .collect()
}

fn nic() -> impl Strategy<Value = (u8, Option<u8>, Option<u8>)> {
    (1..3u8, prop::option::of(1..3u8), prop::option::of(1..3u8))
}

proptest! {
    #[test]
    fn a_wukong_that_reports_something_else_is_queued(
        news in prop::collection::vec((0..4u8, 0..3u8, prop::option::of(prop::collection::vec(nic(), 0..3))), 1..12)
    ) {
        let (mut addresses, mut all) = (Addresses::default(), BTreeMap::new());
        addresses.replace::<Wukong>([]);
        for (who, second, nics) in news {
            let before = reported(&addresses, &all);
            let changed = wukong(who, second, nics.as_deref().unwrap_or_default());
            let key = name(&changed);
            let others: BTreeSet<WukongName> = match nics {
                Some(_) => {
                    all.insert(key.clone(), changed.clone());
                    addresses.note(&changed)
                }
                None => {
                    all.remove(&key);
                    addresses.forget(&key.0, &key.1)
                }
            }
            .into_iter()
            .collect();
            let after = reported(&addresses, &all);
            for (other, words) in &after {
                let same = before.get(other) == Some(words);
                prop_assert!(same || *other == key || others.contains(other), "{other:?}: {words:?}");
            }
            let mut rebuilt = Addresses::default();
            rebuilt.replace(all.values());
            prop_assert_eq!(reported(&rebuilt, &all), after);
            prop_assert_eq!(rebuilt.rivals(), addresses.rivals());
            prop_assert_eq!(addresses.replace(all.values()), Vec::<WukongName>::new());
        }
    }
}

/// An invalid spec leaves the VM as it was, and with it the addresses.
#[test]
fn what_is_not_valid_keeps_its_addresses() {
    let fixed = [(1, Some(1), None)];
    let (first, second) = (wukong(0, 0, &fixed), wukong(1, 1, &fixed));
    let mut addresses = Addresses::default();
    addresses.replace([&first, &second]);
    let mut broken = wukong(0, 0, &[(1, Some(2), None)]);
    broken.spec.memory.0 = "4".into();
    assert_eq!(addresses.note(&broken), Vec::<WukongName>::new());
    assert_eq!(addresses.rivals(), [name(&first), name(&second)].into());
}
