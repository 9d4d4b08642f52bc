//! Every signature has a case, matches its texts, and leads the status to its cause.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;
use wukong_api::ConditionType;
use wukong_engine::diagnosis::evidence::Source;
use wukong_engine::diagnosis::matching;
use wukong_engine::diagnosis::signature::{PLACES, Signature};
use wukong_engine::diagnosis::signatures::AREAS;
use wukong_engine::{Decision, FailureKind};

use crate::scenario::{Scenario, claim, data_volume, event, filled, instance, pod, vm};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// Texts in the form in which programs print them.
    examples: Vec<Example>,
    /// The expected status for the first text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<Expected>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Example {
    version: String,
    text: String,
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    condition: String,
    reason: String,
    message: String,
    hint: String,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/signatures")
}

/// Where the case of a signature is.
fn file(row: &Signature) -> PathBuf {
    let area = row.id.split('-').next().unwrap();
    directory().join(area).join(row.id).join("case.yaml")
}

fn case(row: &Signature) -> Case {
    let file = file(row);
    let text = fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{} has no case {}: {error}", row.id, file.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[test]
fn every_signature_has_a_name_of_its_own_and_every_case_has_a_signature() {
    let mut ids = BTreeSet::new();
    for row in matching::all() {
        assert!(ids.insert(row.id), "two signatures are called {}", row.id);
    }
    for area in fs::read_dir(directory()).unwrap() {
        for case in fs::read_dir(area.unwrap().path()).unwrap() {
            let name = case.unwrap().file_name().into_string().unwrap();
            assert!(ids.contains(name.as_str()), "case {name} has no signature");
        }
    }
}

#[test]
fn every_text_is_matched_by_its_signature_first() {
    let mut wrong = Vec::new();
    for row in matching::all() {
        for example in case(row).examples {
            for source in row.sources {
                let reason = row.reasons.first().copied().unwrap_or_default();
                let found = matching::matching(*source, reason, &example.text);
                if found.map(|found| found.id) != Some(row.id) {
                    let found = found.map(|found| found.id);
                    wrong.push(format!(
                        "{} ({source}): matched by {found:?}: {}",
                        row.id, example.text
                    ));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn words_name_only_what_is_known() {
    for row in matching::all() {
        let captures = row.pattern.split("(?<").skip(1);
        let captures: Vec<&str> = captures.filter_map(|rest| rest.split('>').next()).collect();
        let hints = row.platforms.iter().map(|(_, hint)| *hint);
        for template in [row.message, row.hint].into_iter().chain(hints) {
            for name in template
                .split('{')
                .skip(1)
                .filter_map(|rest| rest.split_once('}'))
            {
                let name = name.0;
                let word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                assert!(
                    !word || captures.contains(&name) || PLACES.contains(&name),
                    "{}: nothing is called {{{name}}}",
                    row.id
                );
            }
        }
        for text in [row.message, row.hint, row.source, row.doc] {
            assert!(!text.is_empty(), "{}", row.id);
        }
        assert!(!row.needle.is_empty(), "{}", row.id);
    }
}

/// The status when a program prints the text; `None` for sources that are about a running VM.
fn decision(row: &Signature, text: &str) -> Option<Decision> {
    let source = *row.sources.first()?;
    let launcher = "virt-launcher-web-x7k2p";
    let importer = "importer-prime-uid-web.root";
    let of_import = row.id.starts_with("import-");
    let reason = row.reasons.first().copied().unwrap_or_default();
    let importing = |pods: Vec<serde_json::Value>| {
        let mut objects = vec![
            data_volume("ImportInProgress", "Pending", ""),
            claim("Pending", json!([])),
            vm("Provisioning", json!([])),
        ];
        objects.extend(pods);
        Scenario::of(objects)
    };
    let starting = |phase: &str, conditions, more: Vec<serde_json::Value>| {
        let mut objects = filled();
        let printable = if phase == "Scheduling" {
            "ErrorUnschedulable"
        } else {
            "Starting"
        };
        objects.extend([vm(printable, json!([])), instance(phase, conditions)]);
        objects.extend(more);
        Scenario::of(objects)
    };
    let waits = |name: &str, state| {
        pod(
            name,
            json!({"phase": "Pending", "containerStatuses": [{"name": "compute", "ready": false, "restartCount": 3, "state": state}]}),
        )
    };
    let scenario = match source {
        Source::Importer => importing(vec![waits(
            importer,
            json!({"terminated": {"exitCode": 1, "reason": "Error", "message": text, "finishedAt": "2026-08-01T11:58:00Z"}}),
        )]),
        Source::DataVolume => {
            let mut scenario = importing(Vec::new());
            let conditions = &mut scenario.objects[1]["status"]["conditions"][0];
            conditions["reason"] = json!("Error");
            conditions["message"] = json!(text);
            scenario
        }
        Source::Claim => {
            let mut objects = filled();
            objects[1]["spec"]["resources"]["requests"]["storage"] = json!("30Gi");
            objects[1]["status"]["conditions"] = json!([{"type": "ControllerResizeError", "status": "True", "reason": "x", "message": text}]);
            Scenario::of(objects)
        }
        Source::Snapshot => {
            let mut scenario = Scenario::of(vec![json!({
                "kind": "VolumeSnapshot", "metadata": {"name": "golden", "namespace": "default", "uid": "s"},
                "status": {"readyToUse": false, "error": {"message": text}},
            })]);
            let disk = &mut scenario.objects[0]["spec"]["disks"][0];
            disk.as_object_mut().unwrap().remove("image");
            disk["source"] = json!({"snapshot": {"name": "golden"}});
            scenario
        }
        Source::Event if of_import || reason.contains("Provisioning") || reason.contains("Err") => {
            importing(vec![event(
                "PersistentVolumeClaim",
                "web.root",
                reason,
                text,
            )])
        }
        Source::Event if row.id.starts_with("guest-") || row.id.starts_with("migration-") => {
            return None;
        }
        Source::Event => starting(
            "Scheduling",
            json!([]),
            vec![
                waits(
                    launcher,
                    json!({"waiting": {"reason": "ContainerCreating"}}),
                ),
                event(
                    "Pod",
                    launcher,
                    if reason.is_empty() {
                        "FailedMount"
                    } else {
                        reason
                    },
                    text,
                ),
            ],
        ),
        Source::PodWaiting | Source::PodTerminated => {
            let state = if source == Source::PodWaiting {
                let reason = if text.contains("pull") {
                    "ErrImagePull"
                } else {
                    "CreateContainerConfigError"
                };
                json!({"waiting": {"reason": reason, "message": text}})
            } else {
                json!({"terminated": {"exitCode": 1, "reason": "Error", "message": text}})
            };
            if of_import {
                importing(vec![waits(importer, state)])
            } else {
                starting("Scheduling", json!([]), vec![waits(launcher, state)])
            }
        }
        Source::PodStatus => starting(
            "Scheduling",
            json!([]),
            vec![pod(
                launcher,
                json!({"phase": "Failed", "reason": reason, "message": text}),
            )],
        ),
        Source::Scheduler => {
            let message = if text.contains("PreBind") || text.contains("nodes are available") {
                text.to_owned()
            } else {
                format!(
                    "0/3 nodes are available: 3 {text}. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
                )
            };
            let unplaced = json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]);
            starting(
                "Scheduling",
                unplaced.clone(),
                vec![pod(
                    launcher,
                    json!({"phase": "Pending", "conditions": unplaced}),
                )],
            )
        }
        Source::Synchronized if row.condition == ConditionType::ConfigurationApplied => {
            let mut objects = filled();
            objects.extend([
                vm("Running", json!([])),
                instance("Running", json!([
                    {"type": "Ready", "status": "True"}, {"type": "AgentConnected", "status": "True"},
                    {"type": "Synchronized", "status": "False", "reason": "FailedSync", "message": text},
                ])),
            ]);
            Scenario::of(objects)
        }
        Source::Synchronized => starting(
            "Scheduled",
            json!([{"type": "Synchronized", "status": "False", "reason": "Synchronizing with the Domain failed.", "message": text}]),
            Vec::new(),
        ),
        Source::VmFailure => {
            let mut objects = filled();
            objects.push(vm("Stopped", json!([{"type": "Failure", "status": "True", "reason": "FailedCreate", "message": text}])));
            Scenario::of(objects)
        }
        Source::RejectedWrite => {
            let mut scenario = Scenario::of(Vec::new());
            scenario.rejects = Some((FailureKind::Denied, text.to_owned()));
            scenario
        }
        Source::Instance | Source::Migration | Source::NodeNetwork | Source::Component => {
            return None;
        }
    };
    Some(scenario.decision())
}

#[test]
fn the_status_names_the_cause_of_every_signature() {
    let update = std::env::var_os("UPDATE_CASES").is_some();
    let mut wrong: Vec<String> = Vec::new();
    let mut judged = Vec::new();
    for row in matching::all() {
        let mut case = case(row);
        let Some(decision) = decision(row, &case.examples[0].text) else {
            continue;
        };
        judged.push(row.id);
        // The blocker; for a running VM, its other problems.
        let Some(found) = decision.findings.first() else {
            wrong.push(format!("{}: no finding", row.id));
            continue;
        };
        let reported = Expected {
            condition: found.condition.to_string(),
            reason: found.reason.to_string(),
            message: found.message.clone(),
            hint: found.hint.clone().unwrap_or_default(),
        };
        let end = found.chain.last().and_then(|link| link.text.as_deref());
        if end.is_none() {
            wrong.push(format!("{}: the chain has no words: {found:?}", row.id));
        }
        if update {
            case.status = Some(reported);
            fs::write(file(row), serde_saphyr::to_string(&case).unwrap()).unwrap();
        } else if case.status.as_ref() != Some(&reported) {
            wrong.push(format!(
                "{}: expected {:#?}\n  said {reported:#?}",
                row.id, case.status
            ));
        }
    }
    for (area, families) in AREAS {
        let rows = families.iter().flat_map(|rows| rows.iter());
        let of = rows.filter(|row| judged.contains(&row.id));
        let (right, bad): (Vec<_>, Vec<_>) = of
            .map(|row| format!("{}: ", row.id))
            .partition(|id| !wrong.iter().any(|line| line.starts_with(id)));
        let all = right.len() + bad.len();
        if all > 0 {
            println!("signatures, {area}: {} of {all} right", right.len());
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
