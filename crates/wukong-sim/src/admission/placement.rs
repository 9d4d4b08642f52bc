//! Affinity, topology spread: the pod rules that KubeVirt copies from Kubernetes (`validate-k8s-utils.go`).
//!
//! Node selectors and combinations of toleration fields are not checked here: a bad one fails the launcher pod.

use std::collections::HashSet;

use super::names;
use super::verdict::Causes;
use crate::field::Field;

const IN_RANGE: std::ops::RangeInclusive<i64> = 1..=100;

pub fn check(vmi: &Field<'_>, causes: &mut Causes) {
    // KubeVirt leaves the affinity itself out of the paths that it tells.
    let affinity = Field::new(vmi.path(), vmi.child("affinity").value());
    node_affinity(&affinity.child("nodeAffinity"), causes);
    for kind in ["podAffinity", "podAntiAffinity"] {
        pod_affinity(&affinity.child(kind), causes);
    }
    topology_spread(&vmi.child("topologySpreadConstraints"), causes);
}

fn weight(term: &Field<'_>, causes: &mut Causes) {
    let weight = term.child("weight");
    causes.add_if(!IN_RANGE.contains(&weight.integer()), || {
        format!(
            "{}: Invalid value: {}: must be in the range 1-100",
            weight.path(),
            weight.integer()
        )
    });
}

fn invalid(field: &Field<'_>, wrong: Vec<String>, causes: &mut Causes) {
    let value = field.value();
    causes.extend(
        wrong
            .into_iter()
            .map(|wrong| format!("{}: Invalid value: {value}: {wrong}", field.path())),
    );
}

fn node_affinity(affinity: &Field<'_>, causes: &mut Causes) {
    let required = affinity.child("requiredDuringSchedulingIgnoredDuringExecution");
    if required.is_set() {
        let terms = required.child("nodeSelectorTerms");
        causes.add_if(terms.count() == 0, || {
            format!(
                "{}: Required value: must have at least one node selector term",
                terms.path()
            )
        });
        terms.items().for_each(|term| node_term(&term, causes));
    }
    for preferred in affinity
        .child("preferredDuringSchedulingIgnoredDuringExecution")
        .items()
    {
        weight(&preferred, causes);
        node_term(&preferred.child("preference"), causes);
    }
}

fn node_term(term: &Field<'_>, causes: &mut Causes) {
    for requirement in term.child("matchExpressions").items() {
        let values = requirement.child("values");
        let operator = requirement.child("operator");
        let wrong = match operator.text() {
            "In" | "NotIn" if values.count() == 0 => {
                Some("Required value: must be specified when `operator` is 'In' or 'NotIn'")
            }
            "Exists" | "DoesNotExist" if values.count() > 0 => Some(
                "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
            "Gt" | "Lt" if values.count() != 1 => Some(
                "Required value: must be specified single value when `operator` is 'Lt' or 'Gt'",
            ),
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => None,
            _ => Some("Invalid value: not a valid selector operator"),
        };
        causes.extend(wrong.map(|wrong| format!("{}: {wrong}", requirement.path())));
        let key = requirement.child("key");
        invalid(&key, names::qualified_name(key.text()), causes);
    }
    for requirement in term.child("matchFields").items() {
        let values = requirement.child("values");
        let wrong = match requirement.child("operator").text() {
            "In" | "NotIn" if values.count() == 1 => None,
            "In" | "NotIn" => Some(
                "Required value: must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
            ),
            _ => Some("Invalid value: not a valid selector operator"),
        };
        causes.extend(wrong.map(|wrong| format!("{}: {wrong}", requirement.path())));
        if requirement.child("key").text() == "metadata.name" {
            values
                .items()
                .for_each(|value| invalid(&value, names::dns_subdomain(value.text()), causes));
        } else {
            causes.add(format!(
                "{}.key: Invalid value: not a valid field selector key",
                requirement.path()
            ));
        }
    }
}

fn pod_affinity(affinity: &Field<'_>, causes: &mut Causes) {
    for term in affinity
        .child("requiredDuringSchedulingIgnoredDuringExecution")
        .items()
    {
        pod_term(&term, causes);
    }
    for preferred in affinity
        .child("preferredDuringSchedulingIgnoredDuringExecution")
        .items()
    {
        weight(&preferred, causes);
        pod_term(&preferred.child("podAffinityTerm"), causes);
    }
}

fn pod_term(term: &Field<'_>, causes: &mut Causes) {
    label_selector(&term.child("labelSelector"), causes);
    label_selector(&term.child("namespaceSelector"), causes);
    for namespace in term.child("namespaces").items() {
        invalid(&namespace, names::dns_label(namespace.text()), causes);
    }
    let key = term.child("topologyKey");
    causes.add_if(key.text().is_empty(), || {
        format!("{}: Required value: can not be empty", key.path())
    });
    invalid(&key, names::qualified_name(key.text()), causes);
}

fn label_selector(selector: &Field<'_>, causes: &mut Causes) {
    let labels = selector.child("matchLabels");
    for (key, value) in labels.entries() {
        let wrong = names::qualified_name(key);
        invalid(&labels, wrong, causes);
        invalid(
            &labels,
            names::label_value(value.as_str().unwrap_or_default()),
            causes,
        );
    }
    for requirement in selector.child("matchExpressions").items() {
        let values = requirement.child("values");
        let wrong = match requirement.child("operator").text() {
            "In" | "NotIn" if values.count() == 0 => {
                Some("Required value: must be specified when `operator` is 'In' or 'NotIn'")
            }
            "Exists" | "DoesNotExist" if values.count() > 0 => Some(
                "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => None,
            _ => Some("Invalid value: not a valid selector operator"),
        };
        causes.extend(wrong.map(|wrong| format!("{}: {wrong}", requirement.path())));
        let key = requirement.child("key");
        invalid(&key, names::qualified_name(key.text()), causes);
        values
            .items()
            .for_each(|value| invalid(&value, names::label_value(value.text()), causes));
    }
}

fn topology_spread(constraints: &Field<'_>, causes: &mut Causes) {
    let mut seen = HashSet::new();
    for constraint in constraints.items() {
        let (skew, key) = (constraint.child("maxSkew"), constraint.child("topologyKey"));
        causes.add_if(skew.integer() <= 0, || {
            format!(
                "{}: Invalid value: {}: must be greater than zero",
                skew.path(),
                skew.integer()
            )
        });
        if key.text().is_empty() {
            causes.add(format!("{}: Required value: can not be empty", key.path()));
        } else {
            invalid(&key, names::qualified_name(key.text()), causes);
        }
        let when = constraint.child("whenUnsatisfiable").text();
        causes.add_if(!["DoNotSchedule", "ScheduleAnyway"].contains(&when), || {
            format!(
                "{}.whenUnsatisfiable: Unsupported value: {when:?}",
                constraint.path()
            )
        });
        label_selector(&constraint.child("labelSelector"), causes);
        causes.add_if(!seen.insert((key.text(), when)), || {
            format!(
                "{}: Duplicate value: \"{{{}, {when}}}\"",
                constraint.path(),
                key.text()
            )
        });
    }
}
