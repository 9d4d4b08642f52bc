//! The same manifest gives the same bytes.

use proptest::prelude::*;
use serde_json::Value;
use wukong_api::{ValidatedWukong, Wukong};
use wukong_engine::managed_fields;

use crate::support::manifests::{making_bridges, rendered, stored, validated};
use crate::support::strategies;

/// As JSON text with the keys of every map in reverse order.
fn reversed(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let entries = map.iter().rev();
            let entry = |(key, value): (&String, &Value)| format!("{key:?}:{}", reversed(value));
            format!("{{{}}}", entries.map(entry).collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(reversed).collect();
            format!("[{}]", items.join(","))
        }
        scalar => scalar.to_string(),
    }
}

proptest! {
    #[test]
    fn whatever_the_order_in_the_manifest(spec in strategies::spec()) {
        let bytes = |wukong: &ValidatedWukong| serde_json::to_string(&rendered(wukong)).unwrap();
        let first = bytes(&validated(&spec).unwrap());
        let manifest = reversed(&stored(&spec));
        let wukong: Wukong = serde_saphyr::from_str(&manifest).unwrap();
        prop_assert_eq!(first, bytes(&ValidatedWukong::validate(&wukong, &making_bridges()).unwrap()));
    }

    #[test]
    fn a_hash_is_over_the_values(a in strategies::spec(), b in strategies::spec()) {
        prop_assert_eq!(a == b, managed_fields::hash(&a) == managed_fields::hash(&b));
    }
}
