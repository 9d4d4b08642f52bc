//! [`WukongPolicy`]: what the Wukongs of some namespaces may use.
//!
//! The API server holds Wukongs to it with the ValidatingAdmissionPolicy `wukong-policy` (deploy/policies), in CEL.
//! [`WukongPolicy::problems`] gives the same verdict in the same words, so that a manifest can be judged before it is
//! applied; a test holds both against each other. What is written here is what `kubectl explain wukongpolicy` shows.

mod findings;
mod image_host;
mod judge;
mod networks;
mod selector;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::schema;
use crate::spec::TaintEffect;

pub use selector::Namespace;

/// What the Wukongs of some namespaces may use. What is left out is not bounded; a list that is there allows what it
/// names and nothing else. Where several policies are about a namespace, each of them has to allow a Wukong.
///
/// A name in a list may end in `*`, which stands for any ending.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = without_null, transform = schema::kubernetes_formats)]
#[kube(
    group = "vm.novasphere.dev",
    version = "v1alpha1",
    kind = "WukongPolicy",
    plural = "wukongpolicies",
    shortname = "wkp",
    derive = "PartialEq",
    doc = "What the Wukongs of some namespaces may use: bridges and VLANs of the nodes, storage classes, image hosts, sizes, node labels and tolerations. The API server refuses a Wukong that asks for more."
)]
pub struct WukongPolicySpec {
    /// Namespaces that the policy covers. Default: every namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<NamespaceSelector>,

    /// Upper bounds for one Wukong. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,

    /// Secondary networks. Absent: any. Present: only what is listed below, so that `networks: {}` allows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networks: Option<AllowedNetworks>,

    /// StorageClasses of disks. An empty name stands for a disk that names no class and gets the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 64),
        inner(length(max = 253), regex(pattern = r"^[-a-z0-9.]*\*?$"))
    )]
    pub storage_classes: Option<Vec<String>>,

    /// Hosts of images, without port: `quay.io`, `*.example.org` for the subdomains of a domain, `*` for all. A
    /// registry reference without a host counts as `docker.io`, an `s3://` URL as `s3.us-east-1.amazonaws.com`, and a
    /// `gs://` URL as `storage.googleapis.com`. Short names such as `ubuntu:24.04` are always allowed: the operator's
    /// settings complete them. Default: any host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 64),
        inner(
            length(min = 1, max = 253),
            regex(pattern = r"^(\*|(\*\.)?[-a-z0-9.:\[\]]+)$")
        )
    )]
    pub image_hosts: Option<Vec<String>>,

    /// Node labels that `highAvailability.nodeSelector` may use. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub node_selector: Option<Vec<AllowedLabel>>,

    /// Taints that `highAvailability.tolerations` may tolerate. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub tolerations: Option<Vec<AllowedToleration>>,

    /// Reaction to a plain-text password (`cloudInitUser.password`): `Warn` or `Deny`. Default `Warn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain_text_passwords: Option<PlainTextPasswords>,
}

/// Namespaces by their labels; every condition has to hold. `kubernetes.io/metadata.name` is the label with a
/// namespace's name.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Labels that the namespace has.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 16,
        "additionalProperties" = {"type": "string", "maxLength": 63}
    ))]
    pub match_labels: std::collections::BTreeMap<String, String>,

    /// Conditions on labels of the namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub match_expressions: Vec<LabelCondition>,
}

/// A condition on one label.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[x_kube(
    validation = Rule::new("(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)")
        .message("In and NotIn need values, Exists and DoesNotExist have none")
)]
pub struct LabelCondition {
    /// Key of the label.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// How it is compared.
    pub operator: LabelOperator,
    /// Values, with `In` and `NotIn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 63)))]
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[schemars(transform = crate::spec::without_description)]
pub enum LabelOperator {
    /// It has one of the values.
    In,
    /// It has none of the values, or is not there.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

/// The most that one Wukong may ask for. Sizes are whole numbers with a unit, such as `512Mi` or `2Ti`.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = without_null)]
pub struct Limits {
    /// Virtual CPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 512))]
    pub cpu: Option<u32>,
    /// Guest memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]{1,6}(Ki|Mi|Gi|Ti|k|M|G|T)$"), length(max = 8))]
    pub memory: Option<String>,
    /// Size of one disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]{1,6}(Ki|Mi|Gi|Ti|k|M|G|T)$"), length(max = 8))]
    pub disk_size: Option<String>,
    /// Number of disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 64))]
    pub disks: Option<u32>,
    /// Number of secondary networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31))]
    pub networks: Option<u32>,
}

/// Secondary networks that may be used.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AllowedNetworks {
    /// Bridges of the nodes, for networks of type `bridge` and `ovs`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub bridges: Vec<AllowedAttachment>,

    /// Resources of device plugins, by the name that `resourceName` gives; a network of type `macvlan` without one has
    /// `macvtap.network.kubevirt.io/<name>`, or `macvtap.network.kubevirt.io/<name>.<vlanId>`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub resources: Vec<AllowedAttachment>,

    /// NetworkAttachmentDefinitions that `nadName` may name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 63), regex(pattern = r"^[-a-z0-9]*\*?$"))
    )]
    pub definitions: Vec<String>,

    /// NICs of the nodes that may become the port of a bridge, by `nodeNetwork.uplink`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 16), regex(pattern = r"^[!-~]+$"))
    )]
    pub uplinks: Vec<String>,
}

/// A bridge or a resource, and the VLANs that may be used on it.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[schemars(transform = without_null)]
pub struct AllowedAttachment {
    /// Its name.
    #[schemars(length(min = 1, max = 317), regex(pattern = r"^[!-~]+$"))]
    pub name: String,
    /// VLANs. Absent: any, and none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub vlans: Option<Vec<VlanRange>>,
}

/// VLANs, from the first to the last. 0 stands for a network without `vlanId`, which sees whatever its port lets through.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[schemars(transform = without_null)]
pub struct VlanRange {
    /// The first.
    #[schemars(range(min = 0, max = 4094))]
    pub from: u16,
    /// The last. Default: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4094))]
    pub to: Option<u16>,
}

/// Node label that a node selector may use.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[schemars(transform = without_null)]
pub struct AllowedLabel {
    /// Key of the label.
    #[schemars(length(min = 1, max = 317), regex(pattern = r"^[!-~]+$"))]
    pub key: String,
    /// Values. Absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 64),
        inner(length(max = 63), regex(pattern = r"^[!-~]*$"))
    )]
    pub values: Option<Vec<String>>,
}

/// A taint that may be tolerated.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[schemars(transform = without_null)]
pub struct AllowedToleration {
    /// Key of the taint. Only `*` covers a toleration without a key, which tolerates every taint.
    #[schemars(length(min = 1, max = 317), regex(pattern = r"^[!-~]+$"))]
    pub key: String,
    /// Values, which a toleration with `operator: Exists` does not keep to. Absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 64),
        inner(length(max = 63), regex(pattern = r"^[!-~]*$"))
    )]
    pub values: Option<Vec<String>>,
    /// Effects. Absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 3))]
    pub effects: Option<Vec<TaintEffect>>,
}

/// How the policy treats a password in plain text.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[schemars(transform = crate::spec::without_description)]
pub enum PlainTextPasswords {
    /// The API server warns the user.
    #[default]
    Warn,
    /// It is refused.
    Deny,
}

/// Takes `null` out of the types of the fields: a bound that is written and says nothing is a mistake, which the API
/// server refuses.
fn without_null(schema: &mut schemars::Schema) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(Map::values_mut) {
        let Some(property) = property.as_object_mut() else {
            continue;
        };
        if let Some(Value::Array(types)) = property.get("type") {
            let other = types.iter().find(|name| *name != "null").cloned();
            property.insert("type".into(), other.into());
        }
        if let Some(Value::Array(any)) = property.remove("anyOf") {
            let fields = any.into_iter().filter_map(|one| match one {
                Value::Object(fields) if fields.get("type").is_none_or(|name| name != "null") => {
                    Some(fields)
                }
                _ => None,
            });
            property.extend(fields.flatten());
        }
    }
}
