//! `SpecValid`: a CustomResourceDefinition that is older than the operator, told by what the API server keeps of a status.

use std::collections::BTreeSet;

use serde_json::Value;
use wukong_api::{ConditionType, Reason, WukongStatus};

use crate::observed::Observed;
use crate::status;
use crate::verdict::{Status, Verdict};

const TYPE: ConditionType = ConditionType::SpecValid;
/// Most fields that one message lists.
const DROPPED_MAX: usize = 5;

/// A status that the API server cuts: the CustomResourceDefinition does not know all of its fields. What was said of that
/// stays until a status was written again.
pub(crate) fn verdict(observed: &Observed) -> Option<Verdict> {
    let Some((wanted, kept)) = &observed.memory.status_cut else {
        return status::said_before(observed.wukong, TYPE)
            .filter(|said| said.reason == Reason::CRDOutdated && said.status == Status::True)
            .filter(|_| observed.memory.status_written.is_none());
    };
    let dropped = dropped(wanted, kept);
    (!dropped.is_empty()).then(|| {
        let message = format!(
            "The installed CustomResourceDefinition is older than the operator: the API server drops {}, and whatever is newer in manifests",
            dropped.join(", ")
        );
        Verdict::ok(TYPE, Reason::CRDOutdated, message)
            .hint("install the CustomResourceDefinition of the operator's release")
    })
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
