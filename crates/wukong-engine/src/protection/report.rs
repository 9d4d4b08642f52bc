//! Conditions and blocker of a snapshot or restore.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition as ApiCondition, Time};
use wukong_api::status::Blocker;
use wukong_api::{ConditionType, Reason};

use crate::diagnosis::condition::{Condition, Status};
use crate::status::{describe, entry};

/// Conditions and blocker, with the times of the last status.
pub(super) fn reported(
    mut conditions: Vec<Condition>,
    before: (&[ApiCondition], Option<&Blocker>),
    done: &str,
    now: Timestamp,
) -> (Vec<ApiCondition>, Option<Blocker>) {
    let now = Time(now);
    let first = conditions.iter().find(|condition| !condition.is_fine());
    let blocker = first.map(|first| describe(first, before.1, &now));
    let ready = match first {
        Some(first) => Condition {
            type_: ConditionType::Ready,
            ..first.clone()
        },
        None => Condition::ok(ConditionType::Ready, Reason::Ready, done),
    };
    conditions.push(ready);
    let entries = conditions
        .iter()
        .map(|condition| entry(condition, before.0, None, &now));
    (entries.collect(), blocker)
}

/// Whether the condition of this type is true.
pub(super) fn is_true(conditions: &[Condition], type_: ConditionType) -> bool {
    conditions
        .iter()
        .any(|condition| condition.type_ == type_ && condition.status == Status::True)
}
