//! Facts of Deployments, and of the webhooks that they serve.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::json::{list, number, text, text_map, texts};
use super::selector::{Requirements, label_selector};
use super::text::Text;
use super::{ConditionFact, Fact, Meta, conditions, same_but};

/// Most webhooks that are kept of one configuration.
const WEBHOOKS_MAX: usize = 64;

/// A Deployment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeploymentFact {
    /// Who it is.
    pub meta: Meta,
    /// Labels of its pods.
    pub labels: BTreeMap<Text, Text>,
    /// Pods that it should have.
    pub replicas: u64,
    /// Pods that are ready; `None` until its controller saw it.
    pub available: Option<u64>,
    /// Conditions `Available`, `Progressing` and `ReplicaFailure`.
    pub conditions: Box<[ConditionFact]>,
}

impl Fact for DeploymentFact {
    fn project(object: &Value) -> Self {
        let observed = object
            .pointer("/status/observedGeneration")
            .is_some_and(|seen| {
                let generation = object.pointer("/metadata/generation");
                generation.is_none_or(|generation| seen.as_u64() >= generation.as_u64())
            });
        Self {
            meta: Meta::project(object),
            labels: text_map(object, "/spec/template/metadata/labels"),
            replicas: object
                .pointer("/spec/replicas")
                .and_then(Value::as_u64)
                .unwrap_or(1),
            available: observed.then(|| {
                // A pod that is ready answers before it counts as available.
                let count = |field: &str| number(object, &format!("/status/{field}"));
                count("availableReplicas").max(count("readyReplicas"))
            }),
            conditions: conditions(object, &["Available", "Progressing", "ReplicaFailure"]),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn says_the_same(&self, other: &Self) -> bool {
        same_but(self, other, |fact| fact.meta = other.meta.clone())
    }
}

impl DeploymentFact {
    /// Whether none of its pods is available.
    pub(crate) fn is_down(&self) -> bool {
        self.available == Some(0)
    }
}

/// A Service: only which pods serve it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServiceFact {
    /// Who it is.
    pub meta: Meta,
    /// Labels of its pods; empty where it selects none.
    pub selector: BTreeMap<Text, Text>,
}

impl Fact for ServiceFact {
    fn project(object: &Value) -> Self {
        Self {
            meta: Meta::project(object),
            selector: text_map(object, "/spec/selector"),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

/// Group and plural of the kinds that a VM is made of: what a webhook rejects of these, the VM lacks.
pub const WRITTEN: [(&str, &str); 7] = [
    ("kubevirt.io", "virtualmachines"),
    ("kubevirt.io", "virtualmachineinstances"),
    ("cdi.kubevirt.io", "datavolumes"),
    ("k8s.cni.cncf.io", "network-attachment-definitions"),
    ("", "persistentvolumeclaims"),
    ("", "pods"),
    ("", "secrets"),
];

/// A ValidatingWebhookConfiguration or MutatingWebhookConfiguration.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WebhookConfigurationFact {
    /// Who it is.
    pub meta: Meta,
    /// Its webhooks that are called for a kind of [`WRITTEN`].
    pub webhooks: Vec<WebhookFact>,
}

/// A webhook.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WebhookFact {
    /// Its name.
    pub name: Text,
    /// Namespace and name of the Service that answers; `None` where a URL does.
    pub service: Option<(Text, Text)>,
    /// Whether the API server rejects an object when the webhook does not answer.
    pub required: bool,
    /// Whether it is called only for some objects, by a selector or an expression that is not kept.
    pub narrowed: bool,
    /// Which namespaces it is called for.
    pub namespaces: Requirements,
    /// Plurals of the kinds of [`WRITTEN`] for the creation of which it is called.
    pub kinds: BTreeSet<&'static str>,
}

impl Fact for WebhookConfigurationFact {
    fn project(object: &Value) -> Self {
        let webhooks = list(object, "/webhooks").map(webhook);
        Self {
            meta: Meta::project(object),
            webhooks: webhooks
                .filter(|webhook| !webhook.kinds.is_empty())
                .take(WEBHOOKS_MAX)
                .collect(),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

fn webhook(object: &Value) -> WebhookFact {
    let service = object.pointer("/clientConfig/service");
    let selects = |pointer: &str| {
        object
            .pointer(pointer)
            .is_some_and(|selector| selector.as_object().is_none_or(|all| !all.is_empty()))
    };
    WebhookFact {
        name: text(object, "/name"),
        service: service.map(|service| (text(service, "/namespace"), text(service, "/name"))),
        required: text(object, "/failurePolicy") != "Ignore",
        narrowed: selects("/objectSelector") || list(object, "/matchConditions").next().is_some(),
        namespaces: label_selector(object, "/namespaceSelector"),
        kinds: list(object, "/rules").flat_map(kinds_of_rule).collect(),
    }
}

/// The kinds of [`WRITTEN`] that a rule of a webhook names for creation.
fn kinds_of_rule(rule: &Value) -> impl Iterator<Item = &'static str> {
    let has = |pointer: &str, wanted: &[&str]| {
        texts(rule, pointer)
            .iter()
            .any(|text| wanted.contains(&text.as_str()))
    };
    let creates = has("/operations", &["CREATE", "*"]) && text(rule, "/scope") != "Cluster";
    WRITTEN
        .into_iter()
        .filter(|(group, plural)| {
            creates && has("/apiGroups", &[group, "*"]) && has("/resources", &[plural, "*", "*/*"])
        })
        .map(|(_, plural)| plural)
        .collect::<Vec<_>>()
        .into_iter()
}

/// Whether a webhook configuration is called for a kind that a VM is made of.
pub fn concerns_vms(configuration: &Value) -> bool {
    list(configuration, "/webhooks")
        .flat_map(|webhook| list(webhook, "/rules"))
        .any(|rule| kinds_of_rule(rule).next().is_some())
}
