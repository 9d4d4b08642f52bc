//! Placement and run strategy: what the validation rejects, with its messages.

mod refusals;

#[track_caller]
fn check(spec: &str, expected: &[&str]) {
    refusals::check(&format!("{{cpu: 1, memory: 1Gi, {spec}}}"), expected);
}

#[track_caller]
fn check_placement(placement: &str, expected: &[&str]) {
    check(&format!("highAvailability: {{{placement}}}"), expected);
}

#[test]
fn a_start_strategy_does_not_contradict_itself() {
    for accepted in [
        "{}",
        "{autoStart: false}",
        "{runStrategy: Always}",
        "{runStrategy: Always, autoStart: true}",
        "{runStrategy: Manual, autoStart: false}",
        "{runStrategy: Halted, autoStart: true}",
    ] {
        check(&format!("startStrategy: {accepted}"), &[]);
    }
    check(
        "startStrategy: {runStrategy: Always, autoStart: false}",
        &[
            "spec.startStrategy: runStrategy: Always starts the VM at once, autoStart: false does not: drop one of the two, or use runStrategy: Manual",
        ],
    );
}

#[test]
fn node_selectors_are_labels() {
    check_placement(
        "nodeSelector: {node-role.kubernetes.io/worker: '', disktype: ssd, example.org/zone_1: a.b-c}",
        &[],
    );
    check_placement(
        r#"nodeSelector: {"a/b/c": x, zone: "-a", "x\ny": "b c"}"#,
        &[
            "spec.highAvailability.nodeSelector: \"a/b/c\" is not a label key such as node-role.kubernetes.io/worker",
            "spec.highAvailability.nodeSelector: \"x\\ny\" is not a label key such as node-role.kubernetes.io/worker",
            "spec.highAvailability.nodeSelector[zone]: \"-a\" is not a label value: use at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends",
        ],
    );
    let many: String = (0..33).map(|number| format!("l{number}: x, ")).collect();
    check_placement(
        &format!("nodeSelector: {{{many}}}"),
        &["spec.highAvailability.nodeSelector: has 33 entries; at most 32 are allowed"],
    );
}

#[test]
fn tolerations_follow_the_rules_of_a_pod() {
    for accepted in [
        "{operator: Exists}",
        "{key: gpu}",
        "{key: gpu, value: ''}",
        "{key: example.org/gpu, operator: Equal, value: a100, effect: NoSchedule}",
        "{key: gpu, operator: Exists, effect: NoExecute, tolerationSeconds: 300}",
        "{key: gpu, operator: Exists, effect: NoExecute, tolerationSeconds: -1}",
    ] {
        check_placement(&format!("tolerations: [{accepted}]"), &[]);
    }
    for (refused, problem) in [
        (
            "{value: x}",
            ".operator: a toleration without a key needs operator: Exists",
        ),
        (
            "{key: '', operator: Equal}",
            ".operator: a toleration without a key needs operator: Exists",
        ),
        (
            "{key: gpu, operator: Exists, value: x}",
            ".value: operator: Exists compares no value: drop it, or use operator: Equal",
        ),
        (
            "{key: gpu, effect: NoSchedule, tolerationSeconds: 5}",
            ".tolerationSeconds: applies only to effect: NoExecute: add that effect, or remove tolerationSeconds",
        ),
        (
            "{key: gpu, tolerationSeconds: 5}",
            ".tolerationSeconds: applies only to effect: NoExecute: add that effect, or remove tolerationSeconds",
        ),
        (
            "{key: 'g pu'}",
            ".key: \"g pu\" is not a label key such as node-role.kubernetes.io/worker",
        ),
        (
            "{key: gpu, value: 'a b'}",
            ".value: \"a b\" is not a label value: use at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends",
        ),
    ] {
        check_placement(
            &format!("tolerations: [{{operator: Exists}}, {refused}]"),
            &[&format!("spec.highAvailability.tolerations[1]{problem}")],
        );
    }
    let many = "{operator: Exists}, ".repeat(33);
    check_placement(
        &format!("tolerations: [{many}]"),
        &["spec.highAvailability.tolerations: has 33 entries; at most 32 are allowed"],
    );
}

#[test]
fn a_group_is_a_label_value() {
    check_placement("group: web_tier.1", &[]);
    for group in ["web tier", "-web", "a/b"] {
        check_placement(
            &format!("group: '{group}'"),
            &[&format!(
                "spec.highAvailability.group: {group:?} is not a label value: use at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends"
            )],
        );
    }
}
