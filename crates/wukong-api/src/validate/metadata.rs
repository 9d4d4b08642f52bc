//! Labels and annotations that users give to the VM and its pod.

use std::collections::BTreeMap;

use super::problem::Problems;
use super::{placement, text};
use crate::labels;
use crate::spec::WukongSpec;

const ANNOTATIONS_MAX: usize = 32;
const VALUE_MAX: usize = 4096;

/// Domains that belong to the operator, to KubeVirt and CDI. Their subdomains belong to them, too.
const RESERVED: [&str; 2] = ["vm.novasphere.dev", "kubevirt.io"];
/// Prefixes of Kubernetes itself. Subdomains such as `ovn.kubernetes.io` belong to other projects.
const KUBERNETES: [&str; 2] = ["kubernetes.io", "k8s.io"];
/// Prefixes of annotations that attach networks past `networks` and past the WukongPolicy.
const NETWORKS: [&str; 2] = ["k8s.v1.cni.cncf.io", "v1.multus-cni.io"];
/// Domains of annotations that weaken the security profile of the pod.
const SECURITY: [&str; 2] = [
    "security.alpha.kubernetes.io",
    "security.beta.kubernetes.io",
];

pub(super) fn check(spec: &WukongSpec, problems: &mut Problems) {
    placement::labels("spec.labels", &spec.labels, problems);
    reserved("spec.labels", &spec.labels, problems);
    let path = "spec.annotations";
    if spec.annotations.len() > ANNOTATIONS_MAX {
        problems.add(
            path,
            format!(
                "has {} entries; at most {ANNOTATIONS_MAX} are allowed",
                spec.annotations.len()
            ),
        );
        return;
    }
    for (key, value) in &spec.annotations {
        problems.check(path, text::label_key(key));
        if value.len() > VALUE_MAX {
            problems.add(
                format!("{path}[{key}]"),
                format!("has {} bytes; at most {VALUE_MAX} are allowed", value.len()),
            );
        }
    }
    reserved(path, &spec.annotations, problems);
}

fn reserved(path: &str, entries: &BTreeMap<String, String>, problems: &mut Problems) {
    for key in entries.keys() {
        let (prefix, _) = key.split_once('/').unwrap_or_default();
        let within = |domain: &str| {
            prefix
                .strip_suffix(domain)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let why = if key == labels::MANAGED_BY || RESERVED.iter().any(|it| within(it)) {
            "the operator and KubeVirt set it themselves"
        } else if KUBERNETES.contains(&prefix) {
            "it is reserved for Kubernetes"
        } else if NETWORKS.contains(&prefix) {
            "it attaches networks: add an entry to networks instead"
        } else if SECURITY.iter().any(|it| within(it)) {
            "it changes the security profile of the pod"
        } else {
            continue;
        };
        problems.add(format!("{path}[{key}]"), format!("is refused: {why}"));
    }
}
