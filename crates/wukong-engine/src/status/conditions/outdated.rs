//! `SpecValid`: a CRD that is older than the operator. The operator compares its schema. Without permission to read it, the
//! operator compares a written status with the status that the API server kept.

use std::collections::BTreeSet;

use serde_json::Value;
use wukong_api::{ConditionType, Reason, WukongStatus};

use crate::diagnosis::condition::{Condition, Status, reported_before};
use crate::diagnosis::rules::outdated;
use crate::observed::Observed;

const TYPE: ConditionType = ConditionType::SpecValid;
/// Most fields that one message lists.
const DROPPED_MAX: usize = 5;

/// Reports the fields that the CRD lacks, or else that the API server drops fields of a status: that report stays until
/// the next write of a status.
pub(crate) fn condition(observed: &Observed) -> Option<Condition> {
    if let Some(definition) = observed.world.environment.own_crd() {
        return outdated(definition).map(reported);
    }
    let Some((wanted, kept)) = observed.memory.status_cut.as_deref() else {
        return reported_before(observed.wukong, TYPE)
            .filter(|reported| {
                reported.reason == Reason::CRDOutdated && reported.status == Status::True
            })
            .filter(|_| observed.memory.status_written.is_none());
    };
    let dropped = dropped(wanted, kept);
    (!dropped.is_empty()).then(|| {
        let message = format!(
            "The installed CustomResourceDefinition is older than the operator: the API server drops {}, and every other field that its CRD does not define",
            dropped.join(", ")
        );
        reported(message)
    })
}

fn reported(message: String) -> Condition {
    Condition::ok(TYPE, Reason::CRDOutdated, message)
        .hint("install the CustomResourceDefinition of the operator's release")
}

/// The fields of a status that were not kept, at most [`DROPPED_MAX`].
fn dropped(wanted: &WukongStatus, kept: &WukongStatus) -> Vec<String> {
    let json = |status: &WukongStatus| serde_json::to_value(status).unwrap_or_default();
    let mut paths = BTreeSet::new();
    lacking("status", &json(wanted), &json(kept), &mut paths);
    paths.into_iter().take(DROPPED_MAX).collect()
}

fn lacking(path: &str, wanted: &Value, kept: &Value, paths: &mut BTreeSet<String>) {
    match (wanted, kept) {
        (Value::Object(wanted), Value::Object(kept)) => {
            for (name, wanted) in wanted {
                let path = format!("{path}.{name}");
                match kept.get(name) {
                    Some(kept) => lacking(&path, wanted, kept, paths),
                    None => drop(paths.insert(path)),
                }
            }
        }
        (Value::Array(wanted), Value::Array(kept)) => {
            let path = format!("{path}[]");
            for (wanted, kept) in wanted.iter().zip(kept) {
                lacking(&path, wanted, kept, paths);
            }
        }
        _ => {}
    }
}
