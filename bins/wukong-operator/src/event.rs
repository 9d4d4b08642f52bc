//! Kubernetes events for users, with rate limits.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Resource;
use kube::core::ObjectMeta;
use serde_json::Value;
use tokio::time::Instant;
use wukong_api::{FIELD_MANAGER, Wukong};
use wukong_engine::Note;

use crate::port::Subject;

/// Maximum length of a note in the API, in bytes.
const NOTE_MAX: usize = 1024;
/// Maximum length of a reporting instance in the API, in bytes.
const INSTANCE_MAX: usize = 128;
/// Time in which the same event is not repeated.
const WINDOW: Duration = Duration::from_secs(600);
/// Maximum number of events for one Wukong within [`WINDOW`].
const EVENTS_MAX: usize = 20;

/// Builds the event for a note.
pub fn event(subject: &Subject, note: &Note, identity: &str) -> Value {
    let event = Event {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", subject.name)),
            namespace: Some(subject.namespace.clone()),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(Timestamp::now())),
        type_: Some(if note.warning { "Warning" } else { "Normal" }.into()),
        reason: Some(note.reason.clone()),
        action: Some("Reconcile".into()),
        note: Some(cut(&note.message, NOTE_MAX).to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some(Wukong::api_version(&()).into()),
            kind: Some(Wukong::kind(&()).into()),
            namespace: Some(subject.namespace.clone()),
            name: Some(subject.name.clone()),
            uid: Some(subject.uid.clone()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(format!("{}/{FIELD_MANAGER}", wukong_api::GROUP)),
        reporting_instance: Some(cut(identity, INSTANCE_MAX).to_owned()),
        ..Event::default()
    };
    // Serializing our own struct cannot fail; the API server would reject an empty event.
    serde_json::to_value(event).unwrap_or_default()
}

fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = (0..=max).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// Events that were published recently for one Wukong.
#[derive(Debug, Default)]
pub struct RecentEvents(VecDeque<(Instant, u64)>);

impl RecentEvents {
    /// Returns whether to publish a note now, and records it if so.
    pub fn admit(&mut self, note: &Note, now: Instant) -> bool {
        while self.0.front().is_some_and(|(at, _)| *at + WINDOW <= now) {
            self.0.pop_front();
        }
        let mut hasher = DefaultHasher::new();
        (&note.reason, &note.message).hash(&mut hasher);
        let hash = hasher.finish();
        let new = self.0.len() < EVENTS_MAX && !self.0.iter().any(|(_, recent)| *recent == hash);
        if new {
            self.0.push_back((now, hash));
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(message: &str) -> Note {
        Note {
            warning: true,
            reason: "ImportFailed".into(),
            message: message.into(),
        }
    }

    #[test]
    fn an_event_is_about_its_wukong() {
        let subject = Subject {
            namespace: "shop".into(),
            name: "web".into(),
            uid: "u1".into(),
        };
        let event = event(&subject, &note(&"ä".repeat(2000)), "pod-1");
        assert_eq!(event["regarding"]["uid"], "u1");
        assert_eq!(event["regarding"]["kind"], "Wukong");
        assert_eq!(event["type"], "Warning");
        assert!(event["note"].as_str().unwrap().len() <= NOTE_MAX);
    }

    #[test]
    fn the_same_event_is_not_repeated() {
        let (mut recent, now) = (RecentEvents::default(), Instant::now());
        assert!(recent.admit(&note("a"), now));
        assert!(!recent.admit(&note("a"), now));
        assert!(recent.admit(&note("b"), now));
        assert!(recent.admit(&note("a"), now + WINDOW));
    }

    #[test]
    fn a_wukong_that_never_settles_does_not_flood_events() {
        let (mut recent, now) = (RecentEvents::default(), Instant::now());
        let admitted = (0..1000).filter(|number| recent.admit(&note(&number.to_string()), now));
        assert_eq!(admitted.count(), EVENTS_MAX);
    }
}
