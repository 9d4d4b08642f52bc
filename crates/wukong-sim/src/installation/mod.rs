//! What an installed cluster looks like: KubeVirt, CDI, Multus, storage drivers, and the nodes on which they run.

mod component;
pub(crate) mod multus;
pub(crate) mod nmstate;
pub(crate) mod node;
pub(crate) mod storage;

use serde_json::{Value, json};

use super::change::{Change, Conditions, Manager, Moment, Step};
use super::field::{Field, put};
use super::kind::{Kind, Ref};
use super::scenario::Scenario;
use super::world::World;
pub use component::KUBEVIRT_NAMESPACE;
use component::{Component, Health};
pub use node::node as healthy_node;
pub use storage::LOCAL_PATH_NAMESPACE;

const KUBEVIRT_VERSION: &str = "v1.9.0";
const CDI_VERSION: &str = "v1.66.0";
const OPERATOR: &str = "virt-operator";
const API: &str = "virt-api";
const CONTROLLER: &str = "virt-controller";

/// The next step of what is installed as a whole: KubeVirt, CDI, or Multus by its kind.
pub(crate) fn next(world: &World, kind: Kind, moment: &Moment) -> Step {
    match kind {
        Kind::Nad => multus::next(world),
        Kind::Cdi => next_of(world, kind, Manager::CdiOperator, moment),
        _ => next_of(world, kind, Manager::VirtOperator, moment),
    }
}

/// Whether the controllers of KubeVirt or CDI are at work.
pub(crate) fn is_at_work(world: &World, kind: Kind) -> bool {
    found(world, kind).is_none_or(|found| {
        let scenario = Scenario::of(world, &found);
        let crashes = scenario.value("component-crash");
        !scenario.has("deploying") && crashes.is_none_or(|component| component == API)
    })
}

/// The resource of this kind, of which a cluster has one.
pub(crate) fn found(world: &World, kind: Kind) -> Option<Field<'_>> {
    let key = world.refs(kind).next()?;
    world.get(key.kind, &key.namespace, &key.name)
}

/// The KubeVirt or CDI resource: created when there is none, then its next step.
fn next_of(world: &World, kind: Kind, by: Manager, moment: &Moment) -> Step {
    let Some(found) = found(world, kind) else {
        if !world.serves(kind) {
            return Step::quiet();
        }
        let (at, object) = resource(kind);
        return Step::of([Change::Create { by, at, object }]);
    };
    let scenario = Scenario::of(world, &found);
    let mut changes = Vec::new();
    if kind == Kind::KubeVirt {
        changes.extend(components(world, &scenario, moment));
        // KubeVirt waits for virt-handler on every node before it calls itself deployed.
        let first = found.at("status.phase").text() != "Deployed";
        if first && !(changes.is_empty() && node::are_handled(world)) {
            return Step::of(changes);
        }
    }
    let status = status(kind, &found, &scenario, moment);
    changes.extend(Change::status(by, kind, &found, &status));
    Step::of(changes)
}

/// KubeVirt's pods that run once in a cluster, on its first node.
fn components(world: &World, scenario: &Scenario, moment: &Moment) -> Vec<Change> {
    let Some(node) = world.refs(Kind::Node).next() else {
        return Vec::new();
    };
    let crashing = scenario
        .value("component-crash")
        .map(|named| if named.is_empty() { CONTROLLER } else { named });
    let component = |name| {
        let component = Component {
            namespace: KUBEVIRT_NAMESPACE,
            name,
            image: &format!("quay.io/kubevirt/{name}:{KUBEVIRT_VERSION}"),
            labels: json!({"kubevirt.io": name}),
            node: &node.name,
        };
        let health = if crashing == Some(name) {
            Health::Crashes("unable to load the certificates of KubeVirt".into())
        } else {
            Health::Runs
        };
        component.next(world, &health, moment)
    };
    [OPERATOR, API, CONTROLLER]
        .into_iter()
        .filter_map(component)
        .collect()
}

fn status(kind: Kind, found: &Field<'_>, scenario: &Scenario, moment: &Moment) -> Value {
    let project = if kind == Kind::Cdi { "CDI" } else { "KubeVirt" };
    let deploying = format!("{project} is being deployed");
    let crashing = format!("{project} has pods that do not run");
    let (phase, [available, progressing, degraded], reason, message) = if scenario.has("deploying")
    {
        (
            "Deploying",
            ["False", "True", "False"],
            "DeploymentInProgress",
            deploying,
        )
    } else if scenario.has("component-crash") {
        (
            "Deployed",
            ["False", "False", "True"],
            "ComponentNotReady",
            crashing,
        )
    } else {
        let ready = ["True", "False", "False"];
        ("Deployed", ready, "AllComponentsReady", String::new())
    };
    let known = found.child("status");
    let mut conditions = Conditions::of(&known);
    for (name, status) in [
        ("Available", available),
        ("Progressing", progressing),
        ("Degraded", degraded),
    ] {
        conditions.set(name, status, reason, &message, &moment.now);
    }
    let mut status = match known.value() {
        Value::Null => json!({}),
        known => known.clone(),
    };
    put(&mut status, ["phase"], json!(phase));
    put(&mut status, ["conditions"], conditions.into_value());
    let versions = if kind == Kind::Cdi {
        [
            ("observedVersion", CDI_VERSION),
            ("operatorVersion", CDI_VERSION),
            ("targetVersion", CDI_VERSION),
        ]
    } else {
        [
            ("observedKubeVirtVersion", KUBEVIRT_VERSION),
            ("operatorVersion", KUBEVIRT_VERSION),
            ("targetKubeVirtVersion", KUBEVIRT_VERSION),
        ]
    };
    for (key, version) in versions {
        put(&mut status, [key], json!(version));
    }
    status
}

fn resource(kind: Kind) -> (Ref, Value) {
    if kind == Kind::Cdi {
        let object = json!({"apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "CDI", "metadata": {"name": "cdi"},
            "spec": {"config": {"featureGates": ["HonorWaitForFirstConsumer"]}}});
        return (Ref::new(kind, "", "cdi"), object);
    }
    let object = json!({"apiVersion": "kubevirt.io/v1", "kind": "KubeVirt",
        "metadata": {"name": "kubevirt", "namespace": KUBEVIRT_NAMESPACE},
        "spec": {"configuration": {"developerConfiguration": {}}}});
    (Ref::new(kind, KUBEVIRT_NAMESPACE, "kubevirt"), object)
}

/// Why the API server cannot ask KubeVirt's webhooks, when it cannot.
pub(crate) fn webhook_failure(world: &World) -> Option<&'static str> {
    let found = found(world, Kind::KubeVirt)?;
    let scenario = Scenario::of(world, &found);
    if scenario.has("webhook-expired") {
        return Some(
            "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time \
             2026-01-01T00:00:00Z is after 2025-12-01T00:00:00Z",
        );
    }
    scenario
        .has("webhook-down")
        .then_some("dial tcp 10.96.0.20:443: connect: connection refused")
}
