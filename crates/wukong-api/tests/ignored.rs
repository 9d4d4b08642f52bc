//! Fields that have no effect in combination with others: the validation accepts and names them.
#![allow(clippy::unwrap_used)]

use wukong_api::{ValidatedWukong, Wukong, WukongSpec};

fn ignored(fields: &str) -> Vec<String> {
    let spec: WukongSpec =
        serde_saphyr::from_str(&format!("{{cpu: 1, memory: 1Gi, {fields}}}")).unwrap();
    let wukong = Wukong::new("web", spec);
    assert!(ValidatedWukong::try_from(&wukong).is_ok(), "{fields}");
    let fields = wukong.ignored_fields();
    fields.into_iter().map(|field| field.path).collect()
}

#[test]
fn each_combination_is_named_with_its_field() {
    for (fields, paths) in [
        (
            "networks: [{name: a, type: bridge}, {name: b, type: bridge, nadName: n, vlanId: 7, bridgeName: br0, resourceName: x/y, mtu: 9000}]",
            &[
                "spec.networks[1].vlanId",
                "spec.networks[1].bridgeName",
                "spec.networks[1].resourceName",
                "spec.networks[1].mtu",
            ][..],
        ),
        (
            "networks: [{name: a, type: sriov, nadName: n, bridgeName: br0}]",
            &["spec.networks[0].bridgeName"],
        ),
        // The operator makes the bridge on the nodes, also with a foreign NAD.
        (
            "networks: [{name: a, type: bridge, nadName: n, bridgeName: br0, nodeNetwork: {uplink: eth1}}]",
            &[],
        ),
        (
            "networks: [{name: a, type: bridge, vlanId: 7, bridgeName: br0, mtu: 9000}]",
            &[],
        ),
        (
            "restoreFromSnapshot: before, osImage: 'ubuntu:24.04', disks: [{name: a, size: 1Gi, image: 'ubuntu:24.04'}, \
             {name: b, size: 1Gi, source: {http: {url: 'https://a.example/x'}}}]",
            &["spec.osImage", "spec.disks[0].image"],
        ),
        (
            "startStrategy: {runStrategy: RerunOnFailure, autoStart: false}",
            &["spec.startStrategy.autoStart"],
        ),
        (
            "startStrategy: {runStrategy: Once, autoStart: false}",
            &["spec.startStrategy.autoStart"],
        ),
        (
            "startStrategy: {runStrategy: Manual, autoStart: false}",
            &[],
        ),
        ("startStrategy: {autoStart: false}", &[]),
    ] {
        assert_eq!(ignored(fields), paths, "{fields}");
    }
}
