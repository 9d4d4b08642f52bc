//! Kubernetes events for the user.

use std::collections::BTreeSet;

use wukong_api::status::Phase;
use wukong_api::{ConditionType, WukongStatus};

use super::assembly::reason;
use crate::decision::Event;

/// The events about the change from one status to the next.
pub(crate) fn events(before: Option<&WukongStatus>, after: &WukongStatus) -> Vec<Event> {
    let event = |reason: &str, message: String| Event {
        warning: false,
        reason: reason.into(),
        message,
    };
    let holds = |status: Option<&WukongStatus>, type_: ConditionType| {
        status.is_some_and(|status| {
            status
                .conditions
                .iter()
                .any(|condition| condition.type_ == type_.as_ref() && condition.status == "True")
        })
    };
    let mut events = Vec::new();
    let listed = |status: Option<&WukongStatus>| -> BTreeSet<(String, String)> {
        let resources = status.into_iter().flat_map(|status| &status.resources);
        resources
            .map(|resource| {
                (
                    format!("{}/{}", resource.kind, resource.name),
                    resource.hash.clone(),
                )
            })
            .collect()
    };
    let (old, new) = (listed(before), listed(Some(after)));
    let names = |entries: &BTreeSet<(String, String)>| {
        entries
            .iter()
            .map(|(name, _)| name.clone())
            .collect::<BTreeSet<_>>()
    };
    let (old_names, new_names) = (names(&old), names(&new));
    let join = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>().join(", ");
    let created = join(new_names.difference(&old_names).collect());
    if !created.is_empty() {
        events.push(event("Created", format!("created {created}")));
    }
    let updated = join(
        new.difference(&old)
            .map(|(name, _)| name)
            .filter(|name| old_names.contains(*name))
            .collect(),
    );
    if !updated.is_empty() {
        events.push(event("Updated", format!("updated {updated}")));
    }
    let removed = join(old_names.difference(&new_names).collect());
    if !removed.is_empty() {
        events.push(event("Removed", format!("no longer needed: {removed}")));
    }
    if holds(Some(after), ConditionType::Running) && !holds(before, ConditionType::Running) {
        events.push(event(
            "Running",
            format!(
                "the guest runs on {}",
                after.node_name.as_deref().unwrap_or("a node")
            ),
        ));
    }
    if after.phase == Some(Phase::Stopped)
        && before.is_some_and(|before| before.phase != Some(Phase::Stopped))
    {
        events.push(event("Stopped", "the guest is stopped".into()));
    }
    if let Some(blocker) = &after.blocker
        && reason(after) != before.and_then(reason)
        && after.phase.is_some_and(|phase| {
            matches!(phase, Phase::Error | Phase::Pending)
                || before.is_some_and(|before| before.phase == Some(phase))
        })
        && !matches!(
            after.phase,
            Some(Phase::Creating | Phase::Starting | Phase::Stopping)
        )
    {
        events.push(Event {
            warning: true,
            reason: blocker.reason.clone(),
            message: blocker.message.clone(),
        });
    }
    events
}
