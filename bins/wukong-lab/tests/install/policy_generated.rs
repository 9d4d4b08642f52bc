//! Generated WukongPolicies and Wukongs: both verdicts agree on them, too, and the largest are judged.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use wukong_lab::cluster::wait::eventually;

use crate::cluster;
use crate::policy::Bounded;
use crate::support::{DEADLINE, wukong};

/// Policies, and Wukongs for each.
const POLICIES: usize = 8;
const WUKONGS: usize = 40;

/// A field that is there or not.
fn maybe(
    field: &'static str,
    values: impl Strategy<Value = Value> + 'static,
) -> BoxedStrategy<Value> {
    prop_oneof![
        1 => Just(json!({})),
        2 => values.prop_map(move |value| json!({field: value})),
    ]
    .boxed()
}

fn one_of(values: Value) -> BoxedStrategy<Value> {
    select(values.as_array().unwrap().clone()).boxed()
}

fn some_of(values: Value) -> BoxedStrategy<Value> {
    let values = values.as_array().unwrap().clone();
    let most = values.len();
    subsequence(values, 0..=most).prop_map(Value::from).boxed()
}

/// All fields in one object.
fn object(fields: Vec<BoxedStrategy<Value>>) -> BoxedStrategy<Value> {
    let merge = |fields: Vec<Value>| {
        let mut all = json!({});
        for field in fields {
            all.as_object_mut()
                .unwrap()
                .extend(field.as_object().unwrap().clone());
        }
        all
    };
    fields.prop_map(merge).boxed()
}

fn attachments(names: Value) -> BoxedStrategy<Value> {
    let vlans = some_of(json!([{"from": 0}, {"from": 7}, {"from": 100, "to": 199}]));
    let attachment = object(vec![
        one_of(names).prop_map(|name| json!({"name": name})).boxed(),
        maybe("vlans", vlans),
    ]);
    prop::collection::vec(attachment, 0..3)
        .prop_map(Value::from)
        .boxed()
}

fn policies() -> BoxedStrategy<Value> {
    let limits = object(vec![
        maybe("memory", one_of(json!(["1Gi", "1536Mi", "2G"]))),
        maybe("diskSize", one_of(json!(["1Gi", "999Mi", "3000M"]))),
        maybe("disks", one_of(json!([0, 1, 2]))),
        maybe("networks", one_of(json!([0, 1, 2]))),
    ]);
    let networks = object(vec![
        maybe("bridges", attachments(json!(["br-a", "br-*", "lan", "*"]))),
        maybe(
            "resources",
            attachments(json!(["x.org/a", "macvtap.network.kubevirt.io/*", "*"])),
        ),
        maybe("definitions", some_of(json!(["a", "b*", "*"]))),
        maybe("uplinks", some_of(json!(["eth0", "eth*"]))),
    ]);
    let labels = some_of(
        json!([{"key": "pool"}, {"key": "zone", "values": ["a", "b*"]}, {"key": "z*", "values": [""]}, {"key": "*", "values": []}]),
    );
    let taints = some_of(json!([
        {"key": "a", "values": ["x*"]}, {"key": "a", "effects": ["NoSchedule"]}, {"key": "b*"}, {"key": "*", "effects": []}, {"key": "*", "values": [""]},
    ]));
    object(vec![
        maybe("limits", limits),
        maybe("networks", networks),
        maybe("storageClasses", some_of(json!(["", "fast", "f*", "*"]))),
        maybe(
            "imageHosts",
            some_of(json!([
                "quay.io",
                "*.example.org",
                "docker.io",
                "localhost",
                "*",
                "[::1]",
                "storage.googleapis.com"
            ])),
        ),
        maybe("nodeSelector", labels),
        maybe("tolerations", taints),
        maybe("plainTextPasswords", one_of(json!(["Warn", "Deny"]))),
    ])
}

fn images() -> BoxedStrategy<Value> {
    let scheme = select(vec![
        "",
        "https://",
        "HTTP://",
        "docker://",
        "s3://",
        "gs://",
        "oci-archive://",
        "x://",
    ]);
    let host = select(vec![
        "",
        "quay.io",
        "a.example.org",
        "example.org",
        "localhost",
        "[::1]",
        "Q",
        "u:p@quay.io",
        "registry",
        ".",
    ]);
    let port = select(vec!["", ":80", ":", "?", "#", "@"]);
    let path = select(vec![
        "",
        "/",
        "/x",
        "/x/y:1",
        "/x@sha256:0",
        "?.example.org",
        "//quay.io",
        "://quay.io/",
    ]);
    (scheme, host, port, path)
        .prop_map(|(scheme, host, port, path)| format!("{scheme}{host}{port}{path}"))
        .prop_filter("one character at least", |image| !image.is_empty())
        .prop_map(Value::from)
        .boxed()
}

fn named(
    names: &'static [&'static str],
    fields: Vec<BoxedStrategy<Value>>,
) -> BoxedStrategy<Value> {
    prop::collection::vec(object(fields), 0..=names.len())
        .prop_map(move |mut entries| {
            for (entry, name) in entries.iter_mut().zip(names) {
                entry["name"] = json!(name);
            }
            Value::from(entries)
        })
        .boxed()
}

fn wukongs() -> BoxedStrategy<Value> {
    let sizes = json!([
        "1Gi", "1024Mi", "1.5Gi", "2G", "2e9", "+1Ki", ".5G", "1.Mi", 5, "0", "3000000k", "999M",
        "-1", "1GiB", "1E", "9e18", "1e19", "", "7m"
    ]);
    let url = images().prop_map(|url| json!({"url": url})).boxed();
    let source = select(vec!["http", "registry", "s3", "gcs"]);
    let source = (source, url).prop_map(|(kind, url)| json!({"source": {kind: url}}));
    let content = prop_oneof![
        Just(json!({})),
        Just(json!({"source": null})),
        images().prop_map(|image| json!({"image": image})),
        source
    ];
    let disks = named(
        &["a", "b", "c"],
        vec![
            one_of(sizes.clone())
                .prop_map(|size| json!({"size": size}))
                .boxed(),
            maybe(
                "storageClassName",
                one_of(json!(["fast", "f", "slow", null])),
            ),
            content.boxed(),
        ],
    );
    let networks = named(
        &["lan", "eth0", "a"],
        vec![
            one_of(json!(["bridge", "ovs", "macvlan"]))
                .prop_map(|kind| json!({"type": kind}))
                .boxed(),
            maybe("nadName", one_of(json!(["a", "b", "bc", null]))),
            maybe("vlanId", one_of(json!([7, 100, 199, 200, null]))),
            maybe("resourceName", one_of(json!(["x.org/a", "x.org/b", null]))),
            maybe(
                "nodeNetwork",
                one_of(json!([{"uplink": "eth0"}, {"uplink": "bond0"}, null])),
            ),
        ],
    );
    let selector = one_of(
        json!([{}, {"pool": "x"}, {"zone": "a"}, {"zone": "bc", "pool": ""}, {"zone": "", "x": "y"}]),
    );
    let tolerations = some_of(json!([
        {"operator": "Exists"}, {"key": "a", "value": "x1"}, {"key": "a", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "bc", "effect": "NoExecute"}, {"key": null, "operator": "Exists", "value": null}, {"key": "c"},
    ]));
    let availability = object(vec![
        maybe("nodeSelector", selector),
        maybe("tolerations", tolerations),
    ]);
    object(vec![
        (1..=10).prop_map(|cpu| json!({"cpu": cpu})).boxed(),
        one_of(sizes)
            .prop_map(|memory| json!({"memory": memory}))
            .boxed(),
        maybe("osImage", images()),
        maybe(
            "cloudInitUser",
            one_of(
                json!([null, {"name": "me"}, {"name": "me", "password": "x"}, {"name": "me", "password": ""}]),
            ),
        ),
        maybe("disks", disks),
        maybe("networks", networks),
        maybe(
            "highAvailability",
            prop_oneof![availability, Just(Value::Null)],
        ),
    ])
}

/// The same values in every run.
fn values(of: &BoxedStrategy<Value>, runner: &mut TestRunner, count: usize) -> Vec<Value> {
    (0..count)
        .map(|_| of.new_tree(runner).unwrap().current())
        .collect()
}

#[tokio::test]
async fn generated_wukongs_are_judged_alike_under_generated_policies() {
    let mut runner = TestRunner::deterministic();
    let (mut allowed, mut denied) = (0, 0);
    for policy in values(&policies(), &mut runner, POLICIES) {
        let bounded = Bounded::with(cluster().await.space("policy-any").await, policy).await;
        for spec in values(&wukongs(), &mut runner, WUKONGS) {
            match bounded.verdict(&wukong("new", spec), None).await.is_empty() {
                true => allowed += 1,
                false => denied += 1,
            }
        }
    }
    assert!(
        allowed > 20 && denied > 20,
        "{allowed} allowed, {denied} denied"
    );
}

#[tokio::test]
async fn the_largest_wukong_is_judged_by_the_largest_policy() {
    let many =
        |count: usize, one: &dyn Fn(usize) -> Value| (0..count).map(one).collect::<Vec<Value>>();
    let ranges = many(64, &|index| json!({"from": 4000 + index}));
    let attachments = |prefix: &str| {
        many(
            64,
            &|index| json!({"name": format!("{prefix}{}{index}*", "x".repeat(9)), "vlans": ranges}),
        )
    };
    let values = many(64, &|index| json!(format!("{}{index}*", "v".repeat(55))));
    let policy = json!({
        "limits": {"memory": "1Gi", "diskSize": "1Gi"},
        "networks": {
            "bridges": attachments("b"), "resources": attachments("x.org/"), "definitions": many(64, &|index| json!(format!("d{index}*"))),
            "uplinks": many(64, &|index| json!(format!("e{index}*"))),
        },
        "storageClasses": many(64, &|index| json!(format!("{}{index}*", "c".repeat(240)))),
        "imageHosts": many(64, &|index| json!(format!("*.{}{index}", "h".repeat(240)))),
        "nodeSelector": many(64, &|index| json!({"key": format!("{}{index}*", "k".repeat(200)), "values": values})),
        "tolerations": many(64, &|index| json!({"key": format!("t{index}*"), "values": values})),
    });
    let bounded = Bounded::with(cluster().await.space("policy-large").await, policy).await;
    let disks = many(64, &|index| {
        json!({
            "name": format!("d{index}"), "size": format!("{}.{}Gi", "9".repeat(19), "9".repeat(9)), "storageClassName": "c".repeat(253),
            "image": format!("https://{}/x", "h".repeat(2030)),
        })
    });
    let networks = many(31, &|index| {
        json!({
            "name": format!("n{index}"), "type": "bridge", "bridgeName": format!("bxxxxxxxxx{index}"), "vlanId": 4094,
            "resourceName": format!("x.org/xxxxxxxxx{index}"), "nodeNetwork": {"uplink": "eth0"},
        })
    });
    let selector: serde_json::Map<String, Value> = (0..32)
        .map(|index| (format!("{}{index}", "k".repeat(200)), json!("v".repeat(60))))
        .collect();
    let tolerations = many(
        32,
        &|index| json!({"key": format!("t{index}"), "value": "v".repeat(60)}),
    );
    let largest = wukong(
        "largest",
        json!({
            "disks": disks, "networks": networks, "osImage": format!("https://{}/x", "h".repeat(2030)),
            "highAvailability": {"nodeSelector": selector, "tolerations": tolerations},
        }),
    );
    // Both verdicts are the same, so it is no complaint about cost.
    assert!(bounded.verdict(&largest, None).await.len() > 200);
}

#[tokio::test]
async fn the_api_server_finds_no_mistake_in_the_types_of_any_policy() {
    let space = cluster().await.space("policy-types").await;
    for name in space.names("ValidatingAdmissionPolicy").await {
        let checked = eventually(&format!("{name} is checked"), DEADLINE, async || {
            let policy = space.get("ValidatingAdmissionPolicy", &name).await;
            match policy["status"]["observedGeneration"] == policy["metadata"]["generation"] {
                true => Ok(policy["status"]["typeChecking"].clone()),
                false => Err(policy["status"].clone()),
            }
        })
        .await
        .unwrap();
        assert_eq!(checked["expressionWarnings"], Value::Null, "{name}");
    }
}
