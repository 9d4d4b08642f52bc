//! WukongPolicies: the API server and the library give the same verdict in the same words.

use kube::api::PostParams;
use serde_json::{Value, json};
use wukong_api::{Wukong, WukongPolicy};
use wukong_lab::cluster::wait::eventually;

use crate::cluster;
use crate::support::{DEADLINE, Space, merge, wukong};

/// A namespace with one policy about it.
pub struct Bounded<'a> {
    pub space: Space<'a>,
    policy: WukongPolicy,
}

impl<'a> Bounded<'a> {
    /// Makes the policy, and waits until it is in force. It bounds CPUs to 8, if it says nothing else about them.
    pub async fn with(space: Space<'a>, mut spec: Value) -> Self {
        if spec["limits"]["cpu"].is_null() {
            merge(&mut spec, json!({"limits": {"cpu": 8}}));
        }
        spec["namespaceSelector"] =
            json!({"matchLabels": {"kubernetes.io/metadata.name": space.name}});
        let policy = json!({
            "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "WukongPolicy",
            "metadata": {"name": space.name}, "spec": spec,
        });
        space.apply(&policy).await;
        let bounded = Self {
            space,
            policy: serde_json::from_value(policy).unwrap(),
        };
        let too_many = wukong("in-force", json!({"cpu": 512}));
        eventually("the policy is in force", DEADLINE, async || {
            bounded
                .of_server(&too_many)
                .await
                .map_or(Err("not yet"), |_| Ok(()))
        })
        .await
        .unwrap();
        bounded
    }

    /// What the API server says to a new Wukong, or to a change of one that is stored.
    async fn of_server(&self, object: &Value) -> Option<String> {
        let name = object["metadata"]["name"].as_str().unwrap();
        let stored = self.space.api("Wukong").get_opt(name).await.unwrap();
        let params = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let mut object = object.clone();
        let answer = match stored {
            None => {
                self.space
                    .api("Wukong")
                    .create(&params, &serde_json::from_value(object).unwrap())
                    .await
            }
            Some(stored) => {
                object["metadata"]["resourceVersion"] = json!(stored.metadata.resource_version);
                self.space
                    .api("Wukong")
                    .replace(name, &params, &serde_json::from_value(object).unwrap())
                    .await
            }
        };
        let printed = match answer {
            Ok(_) => return None,
            Err(kube::Error::Api(status)) => status.message,
            Err(error) => panic!("{error}"),
        };
        let (_, problems) = printed
            .split_once("ValidatingAdmissionPolicy 'wukong-policy' with binding 'wukong-policy' denied request: ")
            .unwrap_or_else(|| panic!("{printed}"));
        Some(problems.to_owned())
    }

    /// The same of the library, and the paths of all fields that it names.
    fn of_library(&self, object: &Value, before: Option<&Value>) -> (Option<String>, Vec<String>) {
        let read = |object: &Value| serde_json::from_value::<Wukong>(object.clone()).unwrap();
        let problems = self
            .policy
            .problems(&read(object), before.map(read).as_ref());
        let paths = problems
            .iter()
            .map(|problem| problem.path.clone())
            .collect();
        let first: Vec<String> = problems.iter().take(5).map(ToString::to_string).collect();
        let more = match problems.len().saturating_sub(5) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        (
            (!problems.is_empty()).then(|| first.join("; ") + &more),
            paths,
        )
    }

    /// Holds both against each other, and returns the paths of the fields that are not allowed.
    pub async fn verdict(&self, object: &Value, before: Option<&Value>) -> Vec<String> {
        let server = self.of_server(object).await;
        let (library, paths) = self.of_library(object, before);
        assert_eq!(server, library, "{object}");
        paths
    }
}

/// Specs that a policy judges, each with the fields that it does not allow.
type Cases<'a> = &'a [(Value, &'a [&'a str])];

async fn judge(name: &str, policy: Value, cases: Cases<'_>) {
    let bounded = Bounded::with(cluster().await.space(name).await, policy).await;
    for (spec, expected) in cases {
        let found = bounded.verdict(&wukong("new", spec.clone()), None).await;
        assert_eq!(found, *expected, "{spec}");
    }
}

fn disk(fields: Value) -> Value {
    let mut disk = json!({"name": "root", "size": "1Gi"});
    merge(&mut disk, fields);
    json!({"disks": [disk]})
}

fn network(fields: Value) -> Value {
    let mut network = json!({"name": "lan", "type": "bridge"});
    merge(&mut network, fields);
    json!({"networks": [network]})
}

#[tokio::test]
async fn sizes_and_numbers() {
    let limits = json!({"cpu": 4, "memory": "1Gi", "diskSize": "10G", "disks": 2, "networks": 1});
    let disks = |number: usize| {
        let disks: Vec<Value> = (0..number)
            .map(|index| json!({"name": format!("d{index}"), "size": "1Gi"}))
            .collect();
        json!({"disks": disks})
    };
    let networks = |number: usize| {
        let networks: Vec<Value> = (0..number)
            .map(|index| json!({"name": format!("n{index}"), "type": "bridge"}))
            .collect();
        json!({"networks": networks})
    };
    judge(
        "policy-sizes",
        json!({"limits": limits}),
        &[
            (json!({}), &[]),
            (json!({"cpu": 4}), &[]),
            (json!({"cpu": 5}), &["spec.cpu"]),
            (json!({"memory": "1024Mi"}), &[]),
            (json!({"memory": 1_073_741_824}), &[]),
            (json!({"memory": "1073741824"}), &[]),
            (json!({"memory": "1.0Gi"}), &[]),
            (json!({"memory": "1G"}), &[]),
            (json!({"memory": "1e9"}), &[]),
            (json!({"memory": "1025Mi"}), &["spec.memory"]),
            (json!({"memory": "1073741825"}), &["spec.memory"]),
            (json!({"memory": "1.1Gi"}), &["spec.memory"]),
            (json!({"memory": "2e9"}), &["spec.memory"]),
            (json!({"memory": "8Ei"}), &["spec.memory"]),
            // What is no size fits into nothing.
            (json!({"memory": "1GiB"}), &["spec.memory"]),
            (json!({"memory": "-1Gi"}), &["spec.memory"]),
            (json!({"memory": "100m"}), &["spec.memory"]),
            (json!({"memory": ""}), &["spec.memory"]),
            (disk(json!({"size": "10G"})), &[]),
            (disk(json!({"size": "9Gi"})), &[]),
            (disk(json!({"size": "10Gi"})), &["spec.disks[0].size"]),
            (disks(2), &[]),
            (disks(3), &["spec.disks"]),
            (networks(1), &[]),
            (networks(2), &["spec.networks"]),
            (
                json!({"cpu": 5, "memory": "2Gi"}),
                &["spec.cpu", "spec.memory"],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn bridges_vlans_resources_definitions_and_uplinks() {
    let networks = json!({
        "bridges": [
            {"name": "br-lan", "vlans": [{"from": 100, "to": 199}, {"from": 300}]},
            {"name": "br-dmz", "vlans": [{"from": 0}]},
            {"name": "tenant-*"},
        ],
        "resources": [{"name": "intel.com/vf", "vlans": [{"from": 7}]}, {"name": "macvtap.network.kubevirt.io/eth*"},
            {"name": "bridge.network.kubevirt.io/*"}],
        "definitions": ["lan", "shared-*"],
        "uplinks": ["eth1"],
    });
    let (bridge, vlan, resource) = (
        "spec.networks[0].bridgeName",
        "spec.networks[0].vlanId",
        "spec.networks[0].resourceName",
    );
    judge("policy-networks", json!({"networks": networks}), &[
        (network(json!({"vlanId": 100})), &[]),
        (network(json!({"vlanId": 199})), &[]),
        (network(json!({"vlanId": 300})), &[]),
        (network(json!({"vlanId": 99})), &[vlan]),
        (network(json!({"vlanId": 200})), &[vlan]),
        (network(json!({"vlanId": 301})), &[vlan]),
        // Without a VLAN, and with nulls, which Helm likes to write.
        (network(json!({})), &[vlan]),
        (json!({"networks": [{"name": "lan", "type": "bridge", "bridgeName": null, "vlanId": null, "nadName": null}]}), &[vlan]),
        (network(json!({"bridgeName": "br-dmz"})), &[]),
        (network(json!({"bridgeName": "br-dmz", "vlanId": 5})), &[vlan]),
        (network(json!({"bridgeName": "tenant-1", "vlanId": 5})), &[]),
        (network(json!({"bridgeName": "tenant-"})), &[]),
        (network(json!({"bridgeName": "tenant"})), &[bridge]),
        (network(json!({"bridgeName": "br-ex", "type": "ovs"})), &[bridge]),
        (network(json!({"name": "mgmt"})), &[bridge]),
        (network(json!({"vlanId": 100, "resourceName": "bridge.network.kubevirt.io/br-lan"})), &[]),
        (network(json!({"vlanId": 100, "resourceName": "nvidia.com/gpu"})), &[resource]),
        (network(json!({"type": "sriov", "resourceName": "intel.com/vf", "vlanId": 7})), &[]),
        (network(json!({"type": "sriov", "resourceName": "intel.com/vf"})), &[vlan]),
        (network(json!({"type": "sriov", "resourceName": "intel.com/pf"})), &[resource]),
        (network(json!({"type": "macvlan", "name": "eth0"})), &[]),
        (network(json!({"type": "macvlan", "name": "eth0", "vlanId": 9})), &[]),
        (network(json!({"type": "macvlan", "name": "bond0", "vlanId": 9})), &[resource]),
        // Beside a definition, only the definition counts.
        (network(json!({"nadName": "lan", "bridgeName": "br-ex", "vlanId": 4, "resourceName": "a/b"})), &[]),
        (network(json!({"nadName": "shared-1"})), &[]),
        (network(json!({"nadName": "mine"})), &["spec.networks[0].nadName"]),
        (network(json!({"type": "sriov", "nadName": "lan"})), &[]),
        // Except where it makes a bridge.
        (network(json!({"nadName": "lan", "bridgeName": "br-ex", "nodeNetwork": {"uplink": "eth1"}})), &[bridge]),
        (network(json!({"vlanId": 100, "nodeNetwork": {"uplink": "eth1"}})), &[]),
        (network(json!({"vlanId": 100, "nodeNetwork": {"uplink": "eth0"}})), &["spec.networks[0].nodeNetwork.uplink"]),
        (json!({"networks": [{"name": "lan", "type": "bridge", "vlanId": 100}, {"name": "x", "type": "ovs"}]}),
            &["spec.networks[1].bridgeName"]),
    ])
    .await;
}

#[tokio::test]
async fn a_list_that_is_empty_allows_nothing_and_one_that_is_absent_everything() {
    let everything = json!({
        "osImage": "https://files.example.org/x.img",
        "cloudInitUser": {"name": "me", "password": "secret"},
        "disks": [{"name": "root", "size": "1Ti", "storageClassName": "fast"}],
        "networks": [{"name": "lan", "type": "bridge", "nodeNetwork": {"uplink": "eth0"}}, {"name": "x", "type": "sriov", "nadName": "y"}],
        "highAvailability": {"nodeSelector": {"pool": "a"}, "tolerations": [{"operator": "Exists"}]},
    });
    judge("policy-absent", json!({}), &[(everything.clone(), &[])]).await;
    let nothing = json!({
        "limits": {"disks": 0, "networks": 0}, "networks": {}, "storageClasses": [], "imageHosts": [],
        "nodeSelector": [], "tolerations": [], "plainTextPasswords": "Deny",
    });
    judge("policy-empty", nothing, &[
        (json!({}), &[]),
        (json!({"osImage": "ubuntu:24.04", "cloudInitUser": {"name": "me", "password": "", "passwordHash": "$6$x$y"}}), &[]),
        (everything, &[
            "spec.disks", "spec.networks", "spec.disks[0].storageClassName", "spec.osImage", "spec.networks[1].nadName",
            "spec.networks[0].bridgeName", "spec.networks[0].nodeNetwork.uplink", "spec.highAvailability.nodeSelector",
            "spec.highAvailability.tolerations[0]", "spec.cloudInitUser.password",
        ]),
        (json!({"highAvailability": null, "cloudInitUser": null, "osImage": null}), &[]),
    ])
    .await;
}

#[tokio::test]
async fn storage_classes() {
    let class = |name: &str| disk(json!({"storageClassName": name}));
    let path: &[&str] = &["spec.disks[0].storageClassName"];
    judge(
        "policy-classes",
        json!({"storageClasses": ["fast", "team-*"]}),
        &[
            (json!({}), &[]),
            (class("fast"), &[]),
            (class("team-a"), &[]),
            (class("faster"), path),
            (class("another-team-a"), path),
            (disk(json!({})), path),
            (
                json!({"disks": [{"name": "root", "size": "1Gi", "storageClassName": null}]}),
                path,
            ),
        ],
    )
    .await;
    judge(
        "policy-default",
        json!({"storageClasses": ["", "fast"]}),
        &[(disk(json!({})), &[]), (class("slow"), path)],
    )
    .await;
}

#[tokio::test]
async fn image_hosts() {
    let image = |image: &str| disk(json!({"image": image}));
    let source = |kind: &str, url: &str| disk(json!({"source": {kind: {"url": url}}}));
    let path: &[&str] = &["spec.disks[0].image"];
    let hosts = json!({"imageHosts": ["quay.io", "*.example.org", "10.0.0.5", "registry", "[fd00::1]", "s3.us-east-1.amazonaws.com"]});
    judge("policy-images", hosts, &[
        (json!({"osImage": "ubuntu:24.04"}), &[]),
        (json!({"osImage": "quay.io/containerdisks/ubuntu:24.04"}), &[]),
        (json!({"osImage": "docker://QUAY.io/x/y"}), &[]),
        (json!({"osImage": "containerdisks/ubuntu"}), &["spec.osImage"]),
        (json!({"osImage": "https://example.org/x"}), &["spec.osImage"]),
        (image("ubuntu:24.04"), &[]),
        (image("https://files.example.org:8443/x?y#z"), &[]),
        (image("HTTPS://files.example.org/x"), &[]),
        (image("https://files.example.org.evil.test/x"), path),
        (image("https://evil.test/files.example.org"), path),
        (image("https://evil.test?.example.org/x"), path),
        (image("https://evil.test#.example.org/x"), path),
        (image("https://quay.io:x@evil.test/x"), path),
        (image("https://quay.io@evil.test/x"), path),
        (image("http://10.0.0.5/x"), &[]),
        (image("http://167772165/x"), path),
        (image("http://[fd00::1]:80/x"), &[]),
        (image("http://[fd00::2]/x"), path),
        (image("http://[fd00::1/x"), path),
        (image("registry:5000/x/y"), &[]),
        (image("registry/x/y"), path),
        (image("s3://images/x"), &[]),
        (image("gs://images/x"), path),
        (image("oci-archive://quay.io/x"), path),
        (image("file:///etc/shadow"), path),
        (source("http", "https://files.example.org/x"), &[]),
        (source("http", "https://elsewhere.test/x"), &["spec.disks[0].source.http.url"]),
        (source("registry", "docker://quay.io/x"), &[]),
        // It has no short names: this is docker.io.
        (source("registry", "ubuntu"), &["spec.disks[0].source.registry.url"]),
        (source("registry", "quay.io/x"), &[]),
        (source("s3", "s3://images/x"), &[]),
        (source("s3", "https://minio.test/images/x"), &["spec.disks[0].source.s3.url"]),
        (source("gcs", "gs://images/x"), &["spec.disks[0].source.gcs.url"]),
        (disk(json!({"source": {"blank": {}}})), &[]),
        (json!({"disks": [{"name": "root", "size": "1Gi", "source": {"pvc": {"name": "x"}, "http": null}}]}), &[]),
        (json!({"disks": [{"name": "root", "size": "1Gi", "image": null, "source": null}]}), &[]),
    ])
    .await;
}

#[tokio::test]
async fn node_selectors_and_tolerations() {
    let selector = |selector: Value| json!({"highAvailability": {"nodeSelector": selector}});
    let toleration = |toleration: Value| json!({"highAvailability": {"tolerations": [toleration]}});
    let (labels, taint): (&[&str], &[&str]) = (
        &["spec.highAvailability.nodeSelector"],
        &["spec.highAvailability.tolerations[0]"],
    );
    let policy = json!({
        "nodeSelector": [{"key": "pool", "values": ["a", "gpu-*"]}, {"key": "topology.kubernetes.io/*"}],
        "tolerations": [
            {"key": "dedicated", "values": ["vms"], "effects": ["NoSchedule"]},
            {"key": "example.org/*"},
        ],
    });
    judge("policy-placement", policy, &[
        (selector(json!({})), &[]),
        (selector(json!({"pool": "a"})), &[]),
        (selector(json!({"pool": "gpu-1", "topology.kubernetes.io/zone": "x"})), &[]),
        (selector(json!({"pool": "b"})), labels),
        (selector(json!({"node-role.kubernetes.io/control-plane": ""})), labels),
        (toleration(json!({"key": "dedicated", "value": "vms", "effect": "NoSchedule"})), &[]),
        (toleration(json!({"key": "dedicated", "operator": "Equal", "value": "vms", "effect": "NoSchedule"})), &[]),
        (toleration(json!({"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"})), taint),
        (toleration(json!({"key": "dedicated", "value": "db", "effect": "NoSchedule"})), taint),
        (toleration(json!({"key": "dedicated", "value": "vms", "effect": "NoExecute"})), taint),
        (toleration(json!({"key": "dedicated", "value": "vms"})), taint),
        (toleration(json!({"key": "example.org/x", "operator": "Exists"})), &[]),
        (toleration(json!({"operator": "Exists"})), taint),
        (json!({"highAvailability": {"tolerations": [{"key": null, "operator": "Exists", "value": null}]}}), taint),
    ])
    .await;
    judge(
        "policy-any-taint",
        json!({"tolerations": [{"key": "*"}]}),
        &[(toleration(json!({"operator": "Exists"})), &[])],
    )
    .await;
}

#[tokio::test]
async fn what_a_wukong_had_before_a_policy_stays_and_can_be_changed_otherwise() {
    let space = cluster().await.space("policy-before").await;
    let spec = json!({
        "cpu": 16, "memory": "64Gi", "osImage": "docker.io/x/y", "cloudInitUser": {"name": "me", "password": "secret"},
        "disks": [{"name": "root", "size": "1Ti"}, {"name": "data", "size": "1Ti"}],
        "networks": [{"name": "lan", "type": "bridge"}],
        "highAvailability": {"nodeSelector": {"pool": "a"}, "tolerations": [{"operator": "Exists"}]},
    });
    let before = wukong("old", spec.clone());
    space.apply(&before).await;
    let policy = json!({
        "limits": {"cpu": 4, "memory": "1Gi", "diskSize": "1Gi", "disks": 1, "networks": 0}, "networks": {},
        "storageClasses": [], "imageHosts": [], "nodeSelector": [], "tolerations": [], "plainTextPasswords": "Deny",
    });
    let bounded = Bounded::with(space, policy).await;
    let changed = |change: Value| {
        let mut object = wukong("old", spec.clone());
        merge(&mut object["spec"], change);
        object
    };
    for (change, expected) in [
        (json!({}), &[][..]),
        (json!({"powerState": "Stopped"}), &[]),
        (
            json!({"terminationGracePeriodSeconds": 5, "highAvailability": {"antiAffinity": true}}),
            &[],
        ),
        (json!({"disks": [{"name": "data", "size": "1Ti"}]}), &[]),
        (json!({"cpu": 4, "memory": "1Gi"}), &[]),
        (json!({"cpu": 15}), &["spec.cpu"]),
        (json!({"memory": "63Gi"}), &["spec.memory"]),
        (json!({"osImage": "docker.io/x/z"}), &["spec.osImage"]),
        (
            json!({"cloudInitUser": {"password": "other"}}),
            &["spec.cloudInitUser.password"],
        ),
        (json!({"cloudInitUser": {"shell": "/bin/sh"}}), &[]),
        (
            json!({"networks": [{"name": "lan", "type": "bridge", "mtu": 9000}]}),
            &["spec.networks[0].bridgeName"],
        ),
        (
            json!({"highAvailability": {"nodeSelector": {"pool": "b"}}}),
            &["spec.highAvailability.nodeSelector"],
        ),
        (
            json!({"highAvailability": {"tolerations": [{"key": "x", "operator": "Exists"}, {"operator": "Exists"}]}}),
            &["spec.highAvailability.tolerations[0]"],
        ),
    ] {
        let found = bounded
            .verdict(&changed(change.clone()), Some(&before))
            .await;
        assert_eq!(found, expected, "{change}");
    }
    // Nor does a policy prevent a deletion.
    bounded
        .space
        .delete_with("Wukong", "old", kube::api::PropagationPolicy::Foreground)
        .await;
    bounded.space.gone("Wukong", "old").await;
}

#[tokio::test]
async fn a_policy_is_about_the_namespaces_that_it_selects() {
    let label = "example.org/tier";
    let is_bound = async |name: &str, labels: Value, selector: Value| {
        let space = cluster().await.space(name).await;
        space
            .merge(
                "Namespace",
                &space.name,
                json!({"metadata": {"labels": labels}}),
            )
            .await;
        let selected = json!({
            "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "WukongPolicy", "metadata": {"name": format!("{}-selects", space.name)},
            "spec": {"limits": {"cpu": 2}, "namespaceSelector": {
                "matchLabels": selector["matchLabels"],
                "matchExpressions": [selector["matchExpression"], {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [space.name]}],
            }},
        });
        let mut selected = selected;
        let conditions = &mut selected["spec"]["namespaceSelector"];
        if conditions["matchLabels"].is_null() {
            conditions.as_object_mut().unwrap().remove("matchLabels");
        }
        conditions["matchExpressions"]
            .as_array_mut()
            .unwrap()
            .retain(|condition| !condition.is_null());
        space.apply(&selected).await;
        // The one that is made later is in force, so the other is.
        let bounded = Bounded::with(space, json!({})).await;
        let three = wukong("three", json!({"cpu": 3}));
        let policy: WukongPolicy = serde_json::from_value(selected.clone()).unwrap();
        let mut labels = labels;
        labels["kubernetes.io/metadata.name"] = json!(bounded.space.name);
        let namespace = wukong_api::policy::Namespace {
            name: bounded.space.name.clone(),
            labels: Some(serde_json::from_value(labels).unwrap()),
        };
        let server = bounded.of_server(&three).await.is_some();
        assert_eq!(server, policy.is_about(&namespace), "{selected}");
        server
    };
    let gold = json!({label: "gold"});
    let none = json!({});
    let expression = |operator: &str, values: Value| match values.is_null() {
        true => json!({"matchExpression": {"key": label, "operator": operator}}),
        false => json!({"matchExpression": {"key": label, "operator": operator, "values": values}}),
    };
    for (name, labels, selector, expected) in [
        ("selects-all", &none, json!({}), true),
        (
            "selects-a-label",
            &gold,
            json!({"matchLabels": {label: "gold"}}),
            true,
        ),
        (
            "selects-another",
            &gold,
            json!({"matchLabels": {label: "iron"}}),
            false,
        ),
        (
            "selects-one-missing",
            &none,
            json!({"matchLabels": {label: "gold"}}),
            false,
        ),
        (
            "selects-in",
            &gold,
            expression("In", json!(["iron", "gold"])),
            true,
        ),
        (
            "selects-in-missing",
            &none,
            expression("In", json!(["iron"])),
            false,
        ),
        (
            "selects-not-in",
            &gold,
            expression("NotIn", json!(["gold"])),
            false,
        ),
        (
            "selects-not-in-missing",
            &none,
            expression("NotIn", json!(["gold"])),
            true,
        ),
        (
            "selects-exists",
            &gold,
            expression("Exists", Value::Null),
            true,
        ),
        (
            "selects-exists-not",
            &none,
            expression("Exists", Value::Null),
            false,
        ),
        (
            "selects-absent",
            &none,
            expression("DoesNotExist", Value::Null),
            true,
        ),
        (
            "selects-absent-not",
            &gold,
            expression("DoesNotExist", Value::Null),
            false,
        ),
    ] {
        assert_eq!(
            is_bound(name, labels.clone(), selector).await,
            expected,
            "{name}"
        );
    }
}
