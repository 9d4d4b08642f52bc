//! Kubernetes events for the user.

use std::collections::BTreeSet;

use wukong_api::status::Phase;
use wukong_api::{ConditionType, WukongStatus};

use crate::decision::Note;
use crate::status::reason;

/// The events about the change from one status to the next.
pub(crate) fn notes(before: Option<&WukongStatus>, after: &WukongStatus) -> Vec<Note> {
    let note = |reason: &str, message: String| Note {
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
    let mut notes = Vec::new();
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
        notes.push(note("Created", format!("created {created}")));
    }
    let updated = join(
        new.difference(&old)
            .map(|(name, _)| name)
            .filter(|name| old_names.contains(*name))
            .collect(),
    );
    if !updated.is_empty() {
        notes.push(note("Updated", format!("updated {updated}")));
    }
    let removed = join(old_names.difference(&new_names).collect());
    if !removed.is_empty() {
        notes.push(note("Removed", format!("no longer needed: {removed}")));
    }
    if holds(Some(after), ConditionType::Running) && !holds(before, ConditionType::Running) {
        notes.push(note(
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
        notes.push(note("Stopped", "the guest is stopped".into()));
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
        notes.push(Note {
            warning: true,
            reason: blocker.reason.clone(),
            message: blocker.message.clone(),
        });
    }
    notes
}
