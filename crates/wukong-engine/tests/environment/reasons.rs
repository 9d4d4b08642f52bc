//! Every reason is documented, and those of this module are reached.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;
use strum::IntoEnumIterator;
use wukong_api::Reason;
use wukong_engine::Presence;
use wukong_engine::World;
use wukong_engine::diagnosis::rules::RULES;
use wukong_engine::diagnosis::{self, CheckStatus, silent};
use wukong_engine::environment::Environment;
use wukong_engine::reasons::{Severity, doc};

use crate::cases::cases;
use crate::cases::control_plane::deployment;
use crate::cluster::{Cluster, NOW, OF_THE_CLUSTER, manifest, wukong};
use crate::events;

#[test]
fn every_reason_says_what_it_means_and_what_to_do() {
    for reason in Reason::iter() {
        let doc = doc(reason);
        assert_eq!(doc.reason, reason);
        assert!(
            doc.meaning.ends_with('.') && !doc.conditions.is_empty(),
            "{reason}"
        );
        assert_eq!(doc.fix.is_empty(), doc.severity == Severity::Ok, "{reason}");
        let mut platforms: Vec<_> = doc.platforms.iter().map(|(platform, _)| platform).collect();
        platforms.dedup();
        assert_eq!(platforms.len(), doc.platforms.len(), "{reason}");
    }
}

#[test]
fn rules_and_reasons_agree_on_their_conditions() {
    for rule in RULES {
        assert!(
            doc(rule.reason).conditions.contains(&rule.condition),
            "{}",
            rule.id
        );
    }
}

#[test]
fn every_rule_has_a_reason_that_a_case_reaches() {
    for rule in RULES {
        assert!(
            cases().any(|case| case.reason == rule.reason),
            "{}",
            rule.reason
        );
    }
}

#[test]
fn every_reason_of_the_cluster_is_reached() {
    let mut reached: Vec<Reason> = cases()
        .map(|case| {
            let cluster = (case.cluster)();
            let wukong = cluster.wukong((case.spec)());
            cluster.check(case.rule, Some(&wukong)).reason
        })
        .chain(events::reached())
        .collect();
    let healthy = Cluster::healthy();
    reached.push(healthy.verdict(&wukong(json!({}))).reason);
    let hidden = healthy.presence("Node", Presence::Forbidden);
    reached.push(hidden.check("placement", None).reason);
    let untouched = manifest(json!({}));
    assert!(silent(&untouched, &World::default(), NOW.parse().unwrap()).is_none());
    let mut untouched = untouched;
    untouched.metadata.creation_timestamp = Some(Time("2026-08-01T11:00:00Z".parse().unwrap()));
    let silent = silent(&untouched, &World::default(), NOW.parse().unwrap()).unwrap();
    assert_eq!(silent.reason, Reason::OperatorNotReady);
    // Its Deployment tells why.
    let mut operator = deployment("wukong-system", "wukong", 0);
    operator["spec"]["template"]["metadata"]["labels"] =
        json!({"app.kubernetes.io/name": "wukong-operator"});
    let world = World {
        environment: Cluster::healthy().with(operator).environment(),
        ..World::default()
    };
    let silent = diagnosis::silent(&untouched, &world, NOW.parse().unwrap()).unwrap();
    assert!(
        silent
            .message
            .contains("Deployment wukong in namespace wukong-system has no available pod"),
        "{silent:#?}"
    );
    let hint = silent.hint.as_deref();
    assert_eq!(
        hint,
        Some("kubectl describe deployment wukong -n wukong-system")
    );
    for reason in OF_THE_CLUSTER {
        assert!(reached.contains(&reason), "{reason}");
    }
}

#[test]
fn a_cluster_of_which_nothing_is_known_is_not_blamed() {
    let checks = diagnosis::preflight(&Environment::default(), None, NOW.parse().unwrap());
    assert!(!checks.is_empty());
    for check in checks {
        assert_eq!(
            (check.status, check.reason),
            (CheckStatus::Unknown, Reason::NotObserved),
            "{check:#?}"
        );
    }
}
