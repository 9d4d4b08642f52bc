//! Every rendered object is one that its API knows: no unknown field, no wrong type, nothing missing.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wukong_api::ValidatedWukong;
use wukong_engine::desired::{Surroundings, compose};

use crate::support::manifests::{examples, objects, rendered, validated};
use crate::support::{schema, strategies};

fn problems(name: &str, object: &Value) -> Vec<String> {
    match object["kind"].as_str().unwrap() {
        "Secret" => lost::<Secret>(object),
        "PersistentVolumeClaim" => lost::<PersistentVolumeClaim>(object),
        _ => schema::problems(object),
    }
    .into_iter()
    .map(|problem| format!("{name}: {problem}"))
    .collect()
}

/// What Kubernetes' own type does not hold of an object.
fn lost<T: DeserializeOwned + Serialize>(object: &Value) -> Vec<String> {
    match serde_json::from_value::<T>(object.clone()).map(serde_json::to_value) {
        Ok(Ok(again)) if again == *object => Vec::new(),
        again => vec![format!("{object} comes back as {again:?}")],
    }
}

fn all_problems(wukong: &ValidatedWukong) -> Vec<String> {
    // Without CDI blank disks are plain claims.
    let without_cdi = Surroundings {
        cdi: false,
        ..Surroundings::fresh(wukong)
    };
    rendered(wukong)
        .into_iter()
        .chain(objects(&compose(wukong, &without_cdi)))
        .flat_map(|(name, object)| problems(&name, &object))
        .collect()
}

#[test]
fn an_unknown_field_is_a_problem() {
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {}, "spec": {"size": "1Gi"}});
    assert_ne!(problems("x", &claim), [""; 0]);
    let volume = json!({"apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "DataVolume", "metadata": {}, "spec": {"size": "1Gi"}});
    assert_ne!(problems("x", &volume), [""; 0]);
}

#[test]
fn the_objects_of_the_examples() {
    for (name, wukong) in examples() {
        assert_eq!(all_problems(&wukong), [""; 0], "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.min(64), ..ProptestConfig::default() })]

    #[test]
    fn the_objects_of_any_wukong(spec in strategies::spec()) {
        let wukong = validated(&spec).map_err(TestCaseError::fail)?;
        prop_assert_eq!(all_problems(&wukong), [""; 0]);
    }
}

/// The API server takes no Secret of more than 1 MiB; KubeVirt has no limit of its own for Secrets. So there is no reason
/// for user data that is too large.
#[test]
fn the_secret_of_the_largest_manifest_is_far_smaller_than_the_api_server_allows() {
    let long = |length: usize| "x".repeat(length);
    let domain = format!("{}.{}.{}.{}", long(63), long(63), long(63), long(60));
    let nic = |index: usize| {
        let address = |host: usize| format!("2001:db8:1111:2222:3333:4444:{index:x}:{host:x}/64");
        let route = |number: usize| json!({"to": format!("2001:db8:{number:x}:2222:3333:4444:5555:6666/128"), "via": "2001:db8:1111:2222:3333:4444:5555:ffff"});
        json!({"name": format!("{}{index:02}", long(10)), "type": "bridge", "ipConfig": {
            "address": address(1), "addresses": (2..18).map(address).collect::<Vec<_>>(),
            "dnsServers": vec!["2001:db8:1111:2222:3333:4444:5555:6666"; 8], "searchDomains": vec![domain.clone(); 16],
            "routes": (0..64).map(route).collect::<Vec<_>>(),
        }})
    };
    let spec = json!({"cpu": 1, "memory": "1Gi", "networks": (0..31).map(nic).collect::<Vec<_>>(),
        "cloudInitUser": {"name": long(32), "passwordHash": format!("$6$salt${}", long(86)), "groups": vec![long(32); 64], "shell": format!("/{}", long(255)), "sudo": long(256)}});
    let wukong = validated(&spec).unwrap();
    let secret = &rendered(&wukong)["Secret/web.cloud-init"];
    let size = secret.to_string().len();
    assert!((200_000..700_000).contains(&size), "{size}");
}
