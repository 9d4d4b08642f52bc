//! How much the operator may do, counted.

use std::collections::BTreeSet;

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use wukong_lab::cluster::manifests::{read, repository};

/// Group, resource and verb.
type Right = (String, String, String);

/// What the ClusterRoles of a manifest allow.
fn rights(path: &str) -> BTreeSet<Right> {
    let objects = read(&repository("deploy").join(path)).unwrap();
    let roles = objects.iter().filter_map(|object| {
        let role = serde_json::to_value(object).unwrap();
        (role["kind"] == "ClusterRole").then(|| serde_json::from_value(role).unwrap())
    });
    let rules = roles.flat_map(|role: ClusterRole| role.rules.unwrap());
    rules.flat_map(of_rule).collect()
}

fn of_rule(rule: PolicyRule) -> Vec<Right> {
    let mut rights = Vec::new();
    for group in rule.api_groups.iter().flatten() {
        for resource in rule.resources.iter().flatten() {
            for verb in &rule.verbs {
                assert!([group, resource, verb].iter().all(|text| *text != "*"));
                rights.push((group.clone(), resource.clone(), verb.clone()));
            }
        }
    }
    rights
}

fn writes((_, _, verb): &&Right) -> bool {
    !matches!(verb.as_str(), "get" | "list" | "watch")
}

#[test]
fn the_rights_are_as_many_as_the_security_guide_says() {
    let core = rights("rbac/10-cluster-role.yaml");
    let diagnosis = rights("rbac/11-diagnosis-role.yaml");
    assert_eq!(diagnosis.iter().filter(writes).count(), 0);
    assert_eq!(core.intersection(&diagnosis).count(), 0);
    let (all, writing) = (
        core.len() + diagnosis.len(),
        core.iter().filter(writes).count(),
    );
    // Every one more has to be worth it.
    assert!(
        all <= 55 && writing <= 26,
        "{all}, {writing} of them writing"
    );
    let guide = std::fs::read_to_string(repository("docs/security.md")).unwrap();
    let stated = format!("{all} pairs of resource and verb, {writing} of them for writes");
    assert!(guide.contains(&stated), "{stated}");
}
