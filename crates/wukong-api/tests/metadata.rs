//! Labels and annotations of the VM and its pod: which are refused.

mod refusals;
use refusals::check;

#[test]
fn labels_and_annotations_of_other_projects_are_accepted() {
    check(
        "{cpu: 1, memory: 1Gi, labels: {app: api, app.kubernetes.io/name: api}, annotations: {
           ovn.kubernetes.io/ip_address: 10.16.0.77, cni.projectcalico.org/ipAddrs: '[\"10.244.7.7\"]'}}",
        &[],
    );
}

#[test]
fn reserved_keys_are_refused() {
    for (key, why) in [
        (
            "app.kubernetes.io/managed-by",
            "the operator and KubeVirt set it themselves",
        ),
        (
            "vm.novasphere.dev/wukong",
            "the operator and KubeVirt set it themselves",
        ),
        (
            "hooks.kubevirt.io/hookSidecars",
            "the operator and KubeVirt set it themselves",
        ),
        (
            "cdi.kubevirt.io/storage",
            "the operator and KubeVirt set it themselves",
        ),
        ("kubernetes.io/os", "it is reserved for Kubernetes"),
        (
            "k8s.v1.cni.cncf.io/networks",
            "it attaches networks: add an entry to networks instead",
        ),
        (
            "container.apparmor.security.beta.kubernetes.io/compute",
            "it changes the security profile of the pod",
        ),
    ] {
        for field in ["labels", "annotations"] {
            check(
                &format!("{{cpu: 1, memory: 1Gi, {field}: {{{key}: x}}}}"),
                &[&format!("spec.{field}[{key}]: is refused: {why}")],
            );
        }
    }
    check(
        "{cpu: 1, memory: 1Gi, labels: {app: 'a b'}}",
        &[
            "spec.labels[app]: \"a b\" is not a label value: use at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends",
        ],
    );
}
