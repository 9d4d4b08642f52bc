//! The boot of a VM as a timeline.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use wukong_api::{ConditionType, Wukong};

/// The boot of a VM.
#[derive(Debug, Serialize)]
pub struct Timeline {
    /// When it began: with the Wukong, or with the latest instance of its VM.
    start: Timestamp,
    /// Whether it is not the first boot.
    again: bool,
    steps: Vec<Step>,
    /// The step that took longest.
    #[serde(skip_serializing_if = "Option::is_none")]
    slowest: Option<&'static str>,
}

/// A milestone.
#[derive(Debug, Serialize)]
struct Step {
    step: &'static str,
    /// `None` if it is still to come.
    at: Option<Timestamp>,
    /// Seconds since the milestone before.
    seconds: Option<i64>,
}

impl Timeline {
    /// Builds the timeline from the Wukong and the instance of its VM, if there is one.
    pub fn of(wukong: &Wukong, instance: Option<&Value>) -> Option<Self> {
        let begun = wukong.metadata.creation_timestamp.as_ref()?.0;
        let timings = wukong.status.as_ref().and_then(|it| it.timings.as_ref());
        let first_run = timings.and_then(|timings| timings.running.as_ref());
        let instance_begun =
            instance.and_then(|it| time(it.pointer("/metadata/creationTimestamp")));
        let again =
            matches!((instance_begun, first_run), (Some(now), Some(first)) if now > first.0);
        let start = match instance_begun {
            Some(now) if again => now,
            _ => begun,
        };
        let of_timings = |first: Option<Timestamp>| first.filter(|_| !again);
        let created = timings.and_then(|timings| Some(timings.created.as_ref()?.0));
        let running = first_run.map(|first| first.0);
        let ready = timings.and_then(|timings| Some(timings.ready.as_ref()?.0));
        let is_true = |condition| since_true(wukong, condition);
        let found = [
            ("created", of_timings(created)),
            ("imported", of_timings(is_true(ConditionType::VolumesBound))),
            (
                "scheduled",
                phase(instance, "Scheduled").or(of_timings(is_true(ConditionType::Scheduled))),
            ),
            (
                "started",
                phase(instance, "Running").or(of_timings(running)),
            ),
            ("agent", condition(instance, "AgentConnected")),
            (
                "ready",
                match again {
                    true => is_true(ConditionType::Ready),
                    false => ready,
                },
            ),
        ];
        Some(Self::sorted(start, again, found))
    }

    fn sorted(
        start: Timestamp,
        again: bool,
        found: impl IntoIterator<Item = (&'static str, Option<Timestamp>)>,
    ) -> Self {
        let (mut reached, mut ahead) = (Vec::new(), Vec::new());
        for (step, at) in found {
            match at {
                Some(at) if at >= start => reached.push((step, at)),
                // Of a later boot, nothing is imported or created.
                _ if again && matches!(step, "created" | "imported") => {}
                _ => ahead.push(step),
            }
        }
        reached.sort_by_key(|(_, at)| *at);
        let mut before = start;
        let mut slowest: Option<(&str, i64)> = None;
        let mut steps = Vec::new();
        for (step, at) in reached {
            let seconds = at.duration_since(before).as_secs();
            before = at;
            if slowest.is_none_or(|(_, most)| seconds > most) {
                slowest = Some((step, seconds));
            }
            steps.push(Step {
                step,
                at: Some(at),
                seconds: Some(seconds),
            });
        }
        steps.extend(ahead.into_iter().map(|step| Step {
            step,
            at: None,
            seconds: None,
        }));
        Self {
            start,
            again,
            steps,
            slowest: slowest
                .filter(|(_, seconds)| *seconds > 0)
                .map(|(step, _)| step),
        }
    }
}

fn time(value: Option<&Value>) -> Option<Timestamp> {
    value?.as_str()?.parse().ok()
}

fn since_true(wukong: &Wukong, type_: ConditionType) -> Option<Timestamp> {
    let conditions = &wukong.status.as_ref()?.conditions;
    let is = |condition: &&k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
        condition.type_ == type_.as_ref() && condition.status == "True"
    };
    Some(conditions.iter().find(is)?.last_transition_time.0)
}

/// When the instance came into a phase.
fn phase(instance: Option<&Value>, phase: &str) -> Option<Timestamp> {
    let phases = instance?.pointer("/status/phaseTransitionTimestamps")?;
    let of = |entry: &&Value| entry.get("phase").is_some_and(|known| known == phase);
    let entry = phases.as_array()?.iter().find(of)?;
    time(entry.get("phaseTransitionTimestamp"))
}

/// Since when a condition of the instance is true.
fn condition(instance: Option<&Value>, type_: &str) -> Option<Timestamp> {
    let conditions = instance?.pointer("/status/conditions")?.as_array()?;
    let is = |condition: &&Value| {
        condition.get("type").is_some_and(|known| known == type_)
            && condition
                .get("status")
                .is_some_and(|status| status == "True")
    };
    time(conditions.iter().find(is)?.get("lastTransitionTime"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wukong(status: Value) -> Wukong {
        serde_json::from_value(json!({
            "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong",
            "metadata": {"name": "web", "creationTimestamp": "2026-01-20T12:00:00Z"},
            "spec": {"cpu": 1, "memory": "1Gi"},
            "status": status,
        }))
        .unwrap()
    }

    fn first_boot() -> Value {
        json!({
            "conditions": [
                {"type": "VolumesBound", "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-20T12:01:30Z"},
                {"type": "Ready", "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-20T12:02:00Z"},
            ],
            "timings": {
                "created": "2026-01-20T12:00:02Z", "running": "2026-01-20T12:01:40Z", "ready": "2026-01-20T12:02:00Z",
            },
        })
    }

    fn shown(timeline: &Timeline) -> Vec<String> {
        let seconds = |step: &Step| step.seconds.map_or("-".to_owned(), |it| it.to_string());
        let steps = timeline.steps.iter();
        steps
            .map(|step| format!("{} {}", step.step, seconds(step)))
            .collect()
    }

    #[test]
    fn a_first_boot_names_its_slowest_step() {
        let instance = json!({
            "metadata": {"creationTimestamp": "2026-01-20T12:01:31Z"},
            "status": {
                "phaseTransitionTimestamps": [{"phase": "Scheduled", "phaseTransitionTimestamp": "2026-01-20T12:01:35Z"}],
                "conditions": [{"type": "AgentConnected", "status": "False", "lastTransitionTime": "2026-01-20T12:01:35Z"}],
            },
        });
        let timeline = Timeline::of(&wukong(first_boot()), Some(&instance)).unwrap();
        assert_eq!(
            shown(&timeline),
            [
                "created 2",
                "imported 88",
                "scheduled 5",
                "started 5",
                "ready 20",
                "agent -"
            ]
        );
        assert_eq!(
            (timeline.slowest, timeline.again),
            (Some("imported"), false)
        );
    }

    #[test]
    fn a_later_boot_begins_with_its_instance() {
        let instance = json!({
            "metadata": {"creationTimestamp": "2026-01-21T12:00:00Z"},
            "status": {"phaseTransitionTimestamps": [
                {"phase": "Scheduled", "phaseTransitionTimestamp": "2026-01-21T12:00:03Z"},
                {"phase": "Running", "phaseTransitionTimestamp": "2026-01-21T12:00:10Z"},
            ]},
        });
        let timeline = Timeline::of(&wukong(first_boot()), Some(&instance)).unwrap();
        assert_eq!(
            shown(&timeline),
            ["scheduled 3", "started 7", "agent -", "ready -"]
        );
        assert!(timeline.again);
    }

    #[test]
    fn a_vm_that_waits_has_its_steps_ahead() {
        let timeline = Timeline::of(&wukong(json!({})), None).unwrap();
        assert_eq!(timeline.steps.len(), 6);
        assert_eq!(timeline.slowest, None);
    }
}
