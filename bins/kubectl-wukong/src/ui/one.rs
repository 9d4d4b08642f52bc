//! One VM, live.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt, stream};
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watch_object};
use serde_json::{Value, json};

use super::app::{App, Source, Vm};
use super::problem::Problem;
use super::timeline::Timeline;
use crate::cluster::{self, Cluster};
use crate::kubevirt::{self, Instance};
use crate::live;
use crate::redact::redact;

/// Changes within this time are sent together.
const TOGETHER: Duration = Duration::from_millis(150);

/// Streams a VM: its Wukong without secrets, and its timeline.
pub async fn stream(
    State(app): State<Arc<App>>,
    vm: Vm,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let held = (app.stream()?, app.activity.open());
    let states: BoxStream<'static, Value> = match &app.source {
        Source::Cluster { .. } => follow(&app.cluster(&vm.namespace)?, &vm.name).boxed(),
        Source::Bundle(bundle) => {
            let object = serde_json::to_value(&bundle.wukong).map_err(anyhow::Error::from)?;
            let instance = bundle
                .survey
                .object("VirtualMachineInstance", &vm.namespace, &vm.name);
            let shown = shown(object, instance);
            stream::once(async { shown })
                .chain(stream::pending())
                .boxed()
        }
    };
    let events = states.map(move |state| {
        let _held = &held;
        Ok(Event::default().data(state.to_string()))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// A change of one of the two objects that make up the state of a VM.
enum Change {
    Wukong(Result<Option<DynamicObject>, watcher::Error>),
    Instance(Result<Option<DynamicObject>, watcher::Error>),
}

/// The objects, as far as they are known.
#[derive(Default)]
struct Known {
    /// `None` before it was read, or after an error.
    wukong: Option<Result<Option<DynamicObject>, String>>,
    instance: Option<DynamicObject>,
}

impl Known {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Wukong(Ok(object)) => self.wukong = Some(Ok(object)),
            Change::Wukong(Err(error)) => {
                // The watch retries the other errors, and the state before stays.
                if let Err(error) = live::lasting(error) {
                    self.wukong = Some(Err(format!("{error:#}")));
                }
            }
            Change::Instance(Ok(object)) => self.instance = object,
            // The kind may not exist, or not be readable.
            Change::Instance(Err(_)) => {}
        }
    }

    fn shown(&self) -> Option<Value> {
        let instance = self.instance.as_ref();
        let instance = instance.and_then(|object| serde_json::to_value(object).ok());
        Some(match self.wukong.as_ref()? {
            Ok(Some(object)) => match serde_json::to_value(object) {
                Ok(object) => shown(object, instance.as_ref()),
                Err(error) => json!({"error": error.to_string()}),
            },
            Ok(None) => json!({"absent": true}),
            Err(error) => json!({"error": error}),
        })
    }
}

fn follow(cluster: &Cluster, name: &str) -> impl Stream<Item = Value> + use<> {
    let wukong = watch_object(cluster.wukongs(false), name).default_backoff();
    let instance = watch_object(kubevirt::instances(cluster), name).default_backoff();
    let changes = stream::select(
        wukong.map(Change::Wukong).boxed(),
        instance.map(Change::Instance).boxed(),
    );
    let state = (changes, Known::default());
    stream::unfold(state, |(mut changes, mut known)| async move {
        loop {
            known.apply(changes.next().await?);
            tokio::time::sleep(TOGETHER).await;
            while let Some(Some(change)) = changes.next().now_or_never() {
                known.apply(change);
            }
            if let Some(shown) = known.shown() {
                return Some((shown, (changes, known)));
            }
        }
    })
}

/// What the page shows of a VM.
fn shown(mut object: Value, instance: Option<&Value>) -> Value {
    let parsed: Option<DynamicObject> = serde_json::from_value(object.clone()).ok();
    let wukong = parsed.and_then(|parsed| cluster::decode(&parsed).ok());
    redact(&mut object);
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.remove("managedFields");
    }
    let running = instance.and_then(|it| serde_json::from_value::<DynamicObject>(it.clone()).ok());
    let running = running.as_ref().map(Instance::of);
    json!({
        "wukong": object,
        "readable": wukong.is_some(),
        "timeline": wukong.and_then(|wukong| Timeline::of(&wukong, instance)),
        "instance": running.map(|running| json!({
            "phase": running.phase,
            "node": running.node,
            "paused": running.paused,
            "migrating": running.migration.is_some_and(|it| !it.completed && !it.failed),
        })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_vm_has_no_secret() {
        let object = json!({
            "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong",
            "metadata": {
                "name": "web", "namespace": "shop", "managedFields": [{"manager": "canary"}],
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "canary"},
            },
            "spec": {"cpu": 1, "memory": "1Gi", "cloudInitUser": {"name": "me", "password": "canary", "passwordHash": "$6$canary"}},
        });
        let shown = shown(object, None);
        assert_eq!(shown["readable"], true);
        assert!(!shown.to_string().contains("canary"), "{shown}");
    }
}
