//! Guarantees of the generated CRDs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use kube::CustomResourceExt;
use serde_json::{Value, json};
use wukong_api::{Wukong, WukongPolicy};

fn definition() -> Value {
    serde_json::to_value(Wukong::crd()).unwrap()
}

fn version() -> Value {
    definition()["spec"]["versions"][0].take()
}

fn schema() -> Value {
    version()["schema"]["openAPIV3Schema"].take()
}

/// The schema of a field, such as `spec.disks[].size`.
fn field(path: &str) -> Value {
    path.split('.').fold(schema(), |schema, step| {
        let name = step.trim_end_matches("[]");
        let field = &schema["properties"][name];
        assert!(field.is_object(), "{path}: there is no {name}");
        match step.ends_with("[]") {
            true => field["items"].clone(),
            false => field.clone(),
        }
    })
}

/// Calls `visit` with the path and the schema of everything below `path`.
fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    for (step, inner) in [("[]", "items"), ("{}", "additionalProperties")] {
        if schema[inner].is_object() {
            walk(&format!("{path}{step}"), &schema[inner], visit);
        }
    }
}

fn collect(root: &str, wrong: impl Fn(&str, &Value) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    walk(root, &field(root), &mut |path, schema| {
        if wrong(path, schema) {
            found.push(path.to_owned());
        }
    });
    found
}

#[test]
fn names_scope_and_subresource() {
    let definition = definition();
    assert_eq!(definition["metadata"]["name"], "wukongs.vm.novasphere.dev");
    assert_eq!(definition["spec"]["scope"], "Namespaced");
    assert_eq!(definition["spec"]["names"]["kind"], "Wukong");
    assert_eq!(definition["spec"]["names"]["shortNames"], json!(["wk"]));
    let version = version();
    assert_eq!(version["name"], "v1alpha1");
    assert_eq!(version["subresources"]["status"], json!({}));
    assert_eq!(
        (version["served"].clone(), version["storage"].clone()),
        (json!(true), json!(true))
    );
}

#[test]
fn printer_columns() {
    let version = version();
    let columns: Vec<String> = version["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| {
            let text = |key: &str| column[key].as_str().unwrap().to_owned();
            let wide = if column["priority"].is_null() {
                ""
            } else {
                " (wide)"
            };
            format!("{}{wide} {}", text("name"), text("jsonPath"))
        })
        .collect();
    assert_eq!(
        columns,
        [
            "Phase .status.phase",
            "CPU .spec.cpu",
            "Memory .spec.memory",
            "IP .status.networks[0].ipAddress",
            "Node .status.nodeName",
            "Reason .status.blocker.reason",
            "Age .metadata.creationTimestamp",
            "Image (wide) .spec.osImage",
            "Configuration (wide) .status.conditions[?(@.type==\"ConfigurationApplied\")].reason",
        ]
    );
}

/// So that server-side apply merges entries by name instead of replacing the list.
#[test]
fn lists_that_are_maps() {
    for (path, key) in [
        ("spec.disks", "name"),
        ("spec.networks", "name"),
        ("status.conditions", "type"),
        ("status.networks", "name"),
        ("status.volumes", "name"),
    ] {
        let list = field(path);
        assert_eq!(list["x-kubernetes-list-type"], "map", "{path}");
        assert_eq!(list["x-kubernetes-list-map-keys"], json!([key]), "{path}");
    }
}

#[test]
fn every_field_explains_itself() {
    for root in ["spec", "status"] {
        let silent = collect(root, |path, schema| {
            !path.ends_with(['[', ']', '{', '}'])
                && schema["description"].as_str().is_none_or(str::is_empty)
        });
        assert_eq!(silent, [""; 0]);
    }
}

fn is_unbounded(schema: &Value) -> bool {
    let text = schema["type"] == "string" || schema["x-kubernetes-int-or-string"] == true;
    let unbounded_text = text && schema["enum"].is_null() && schema["maxLength"].is_null();
    let unbounded_list = schema["type"] == "array" && schema["maxItems"].is_null();
    let unbounded_map =
        schema["additionalProperties"].is_object() && schema["maxProperties"].is_null();
    unbounded_text || unbounded_list || unbounded_map
}

/// A manifest of any size would otherwise cost the API server, and us, memory without bound.
#[test]
fn every_text_list_and_map_of_the_spec_is_bounded() {
    assert_eq!(collect("spec", |_, schema| is_unbounded(schema)), [""; 0]);
}

/// A policy judges every Wukong, at a cost that the API server bounds. A bound with the value null would bound nothing.
#[test]
fn every_text_list_and_map_of_a_policy_is_bounded_and_none_is_null() {
    let definition = serde_json::to_value(WukongPolicy::crd()).unwrap();
    assert_eq!(definition["spec"]["scope"], "Cluster");
    let spec =
        &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let (mut fields, mut wrong) = (0, Vec::new());
    walk("spec", spec, &mut |path, schema| {
        fields += 1;
        if is_unbounded(schema) || schema["nullable"] == true {
            wrong.push(path.to_owned());
        }
    });
    assert_eq!(wrong, [""; 0]);
    assert!(fields > 40, "{fields}");
}

#[test]
fn nothing_passes_unchecked() {
    for root in ["spec", "status"] {
        let open = collect(root, |_, schema| {
            schema["x-kubernetes-preserve-unknown-fields"] == true || schema == &json!({})
        });
        assert_eq!(open, [""; 0]);
    }
}

#[test]
fn bounds() {
    for (path, bound, value) in [
        ("spec.cpu", "minimum", 1.0),
        ("spec.cpu", "maximum", 512.0),
        ("spec.disks", "maxItems", 64.0),
        ("spec.networks", "maxItems", 31.0),
        ("spec.sshKeySecret", "maxLength", 51.0),
        ("spec.disks[].name", "maxLength", 63.0),
        ("spec.networks[].name", "maxLength", 63.0),
        ("spec.networks[].bridgeName", "maxLength", 15.0),
        ("spec.networks[].vlanId", "minimum", 1.0),
        ("spec.networks[].vlanId", "maximum", 4094.0),
        ("spec.networks[].mtu", "minimum", 576.0),
        ("spec.networks[].mtu", "maximum", 9216.0),
        ("spec.highAvailability.tolerations", "maxItems", 32.0),
        ("spec.highAvailability.nodeSelector", "maxProperties", 32.0),
    ] {
        assert_eq!(field(path)[bound].as_f64(), Some(value), "{path} {bound}");
    }
}

#[test]
fn only_what_no_default_can_replace_is_required() {
    for (path, required) in [
        ("spec", json!(["cpu", "memory"])),
        ("spec.disks[]", json!(["name"])),
        ("spec.networks[]", json!(["name"])),
        ("spec.cloudInitUser", json!(["name"])),
        ("spec.startStrategy", Value::Null),
        ("spec.highAvailability", Value::Null),
        ("spec.networks[].ipConfig", Value::Null),
        ("status", Value::Null),
    ] {
        assert_eq!(field(path)["required"], required, "{path}");
    }
}

/// Without a message, the API server repeats the rule itself, which does not say how to correct the field.
#[test]
fn every_rule_has_a_message() {
    let mut rules = 0;
    walk("", &schema(), &mut |path, schema| {
        for rule in schema["x-kubernetes-validations"]
            .as_array()
            .into_iter()
            .flatten()
        {
            rules += 1;
            assert!(
                rule["message"]
                    .as_str()
                    .is_some_and(|message| !message.is_empty()),
                "{path}: {rule}"
            );
        }
    });
    assert!(rules > 10, "only {rules} rules");
}

/// The CustomResourceDefinitions that the lab installs beside ours.
const UPSTREAM: &str = include_str!("../../../crates/wukong-sim/schemas/upstream-crds.json");

/// Short names of Kubernetes' own resources, as `kubectl api-resources` prints them.
const KUBERNETES: &[&str] = &[
    "cj", "cm", "crd", "crds", "cs", "csr", "deploy", "ds", "ep", "ev", "hpa", "ing", "limits",
    "netpol", "no", "ns", "pc", "pdb", "po", "pv", "pvc", "quota", "rc", "rs", "sa", "sc", "sts",
    "svc", "vac",
];

/// The words by which kubectl finds a resource: plural, singular and short names.
fn words(definition: &Value) -> Vec<String> {
    let names = &definition["spec"]["names"];
    let short = names["shortNames"].as_array().into_iter().flatten();
    let words = [&names["plural"], &names["singular"]].into_iter();
    words
        .chain(short)
        .filter_map(Value::as_str)
        .map(String::from)
        .collect()
}

/// kubectl resolves a category before a resource: with a category `kubevirt`, `kubectl get kubevirt` no longer finds
/// KubeVirt's own resource.
#[test]
fn no_name_or_category_hides_another_resource() {
    let upstream: Value = serde_json::from_str(UPSTREAM).unwrap();
    let mut others = upstream["items"].as_array().unwrap().clone();
    assert!(
        others
            .iter()
            .any(|other| words(other).contains(&"kubevirt".to_owned())),
        "the lab's definitions are read"
    );
    let ours = [
        definition(),
        serde_json::to_value(WukongPolicy::crd()).unwrap(),
    ];
    others.extend(ours.clone());
    for own in &ours {
        let name = &own["metadata"]["name"];
        let categories = own["spec"]["names"]["categories"].as_array();
        let categories = categories.into_iter().flatten().filter_map(Value::as_str);
        for category in categories {
            let hidden = others
                .iter()
                .find(|other| words(other).contains(&category.to_owned()));
            let hidden = hidden.map(|other| &other["metadata"]["name"]);
            assert_eq!(hidden, None, "category {category} of {name}");
            assert!(
                !KUBERNETES.contains(&category),
                "category {category} of {name}"
            );
        }
        for word in words(own) {
            let others = others
                .iter()
                .filter(|other| other["metadata"]["name"] != *name);
            let hidden = others
                .filter(|other| words(other).contains(&word))
                .map(|other| &other["metadata"]["name"]);
            assert_eq!(hidden.collect::<Vec<_>>(), [""; 0], "{word} of {name}");
            assert!(!KUBERNETES.contains(&word.as_str()), "{word} of {name}");
        }
    }
}

/// The API server warns about a format that it does not know.
#[test]
fn every_format_is_one_that_the_api_server_knows() {
    let mut formats = 0;
    for definition in [
        definition(),
        serde_json::to_value(WukongPolicy::crd()).unwrap(),
    ] {
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        walk("", schema, &mut |path, schema| {
            let Some(format) = schema["format"].as_str() else {
                return;
            };
            formats += 1;
            // apiextensions-apiserver, pkg/apiserver/validation/formats.go
            let known: &[&str] = match schema["type"].as_str().unwrap() {
                "integer" => &["int32", "int64"],
                "number" => &["float", "double"],
                "string" => &[
                    "byte",
                    "cidr",
                    "date",
                    "date-time",
                    "duration",
                    "email",
                    "hostname",
                    "ipv4",
                    "ipv6",
                    "mac",
                    "password",
                    "uri",
                    "uuid",
                ],
                _ => &[],
            };
            assert!(known.contains(&format), "{path}: {format}");
        });
    }
    assert!(formats > 15, "{formats}");
}
