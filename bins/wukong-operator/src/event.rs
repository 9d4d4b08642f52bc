//! Kubernetes events for users, with rate limits.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Resource;
use kube::core::ObjectMeta;
use serde_json::Value;
use tokio::time::Instant;
use wukong_api::{FIELD_MANAGER, Wukong};
use wukong_engine::Event;

use crate::port::Subject;

/// Maximum length of a note in the API, in bytes.
const NOTE_MAX: usize = 1024;
/// Maximum length of a reporting instance in the API, in bytes.
const INSTANCE_MAX: usize = 128;
/// Time in which the same event is not repeated.
const WINDOW: Duration = Duration::from_secs(600);
/// Maximum number of events for one Wukong within [`WINDOW`].
const EVENTS_MAX: usize = 20;

/// Builds the API object of an event.
pub fn event_object(subject: &Subject, event: &Event, identity: &str) -> Value {
    let object = v1::Event {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", subject.name)),
            namespace: Some(subject.namespace.clone()),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(Timestamp::now())),
        type_: Some(if event.warning { "Warning" } else { "Normal" }.into()),
        reason: Some(event.reason.clone()),
        action: Some("Reconcile".into()),
        note: Some(cut(&event.message, NOTE_MAX).to_owned()),
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
        ..v1::Event::default()
    };
    // Serializing our own struct cannot fail; the API server would reject an empty event.
    serde_json::to_value(object).unwrap_or_default()
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
    /// Returns whether to publish an event now. If `publish` then succeeds, records it.
    pub fn admit(&mut self, event: &Event, now: Instant, publish: impl FnOnce() -> bool) -> bool {
        while self.0.front().is_some_and(|(at, _)| *at + WINDOW <= now) {
            self.0.pop_front();
        }
        let mut hasher = DefaultHasher::new();
        (&event.reason, &event.message).hash(&mut hasher);
        let hash = hasher.finish();
        let new = self.0.len() < EVENTS_MAX && !self.0.iter().any(|(_, recent)| *recent == hash);
        let published = new && publish();
        if published {
            self.0.push_back((now, hash));
        }
        published
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(message: &str) -> Event {
        Event {
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
        let object = event_object(&subject, &event(&"ä".repeat(2000)), "pod-1");
        assert_eq!(object["regarding"]["uid"], "u1");
        assert_eq!(object["regarding"]["kind"], "Wukong");
        assert_eq!(object["type"], "Warning");
        assert!(object["note"].as_str().unwrap().len() <= NOTE_MAX);
    }

    #[test]
    fn the_same_event_is_not_repeated() {
        let (mut recent, now) = (RecentEvents::default(), Instant::now());
        assert!(recent.admit(&event("a"), now, || true));
        assert!(!recent.admit(&event("a"), now, || true));
        assert!(recent.admit(&event("b"), now, || true));
        assert!(recent.admit(&event("a"), now + WINDOW, || true));
    }

    #[test]
    fn a_dropped_event_is_published_the_next_time() {
        let (mut recent, now) = (RecentEvents::default(), Instant::now());
        assert!(!recent.admit(&event("a"), now, || false));
        assert!(recent.admit(&event("a"), now, || true));
    }

    #[test]
    fn a_wukong_that_never_settles_does_not_flood_events() {
        let (mut recent, now) = (RecentEvents::default(), Instant::now());
        let admitted =
            (0..1000).filter(|number| recent.admit(&event(&number.to_string()), now, || true));
        assert_eq!(admitted.count(), EVENTS_MAX);
    }
}
