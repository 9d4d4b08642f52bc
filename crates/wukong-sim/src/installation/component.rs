//! Pods of what is installed: KubeVirt's components, provisioners.

use serde_json::{Map, Value, json};

use crate::change::{Change, Conditions, Manager, Moment, pick};
use crate::field::{Field, put};
use crate::kind::{Kind, Ref};
use crate::world::World;

/// The namespace of KubeVirt.
pub const KUBEVIRT_NAMESPACE: &str = "kubevirt";

/// Restarts that a component has behind it when it is seen to crash.
const RESTARTS: u32 = 7;

/// Bytes of a container's log that its status keeps.
const LOG_END: usize = 2048;

/// A pod that is to be there.
pub struct Component<'a> {
    pub namespace: &'a str,
    /// What it is called: the name of its container, and of the pod with a suffix.
    pub name: &'a str,
    pub image: &'a str,
    pub labels: Value,
    pub node: &'a str,
}

/// How a component does.
pub enum Health {
    Runs,
    /// It ends as soon as it is started, with these words.
    Crashes(String),
    /// Its node does not answer.
    Silent,
}

impl Component<'_> {
    /// The pod's name. A component has one pod on a node.
    pub fn pod(&self) -> String {
        let suffix = pick(&format!("{}{}", self.name, self.node), 0xf_ffff);
        format!("{}-{suffix:05x}", self.name)
    }

    /// The next write that leads to the pod being as it shall be.
    pub fn next(&self, world: &World, health: &Health, moment: &Moment) -> Option<Change> {
        let name = self.pod();
        let Some(pod) = world.get(Kind::Pod, self.namespace, &name) else {
            let by = Manager::KubeControllers;
            let at = Ref::new(Kind::Pod, self.namespace, name);
            let object = self.object(&at.name);
            return Some(Change::Create { by, at, object });
        };
        let status = self.status(&pod, health, moment);
        Change::status(Manager::Kubelet, Kind::Pod, &pod, &status)
    }

    fn object(&self, name: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": self.namespace, "labels": self.labels},
            "spec": {
                "nodeName": self.node,
                "containers": [{"name": self.name, "image": self.image}],
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "tolerations": [{"operator": "Exists"}],
            },
        })
    }

    fn status(&self, pod: &Field<'_>, health: &Health, moment: &Moment) -> Value {
        let mut status = pod.child("status").value().clone();
        let mut conditions = Conditions::of(&pod.child("status"));
        for kind in ["PodScheduled", "Initialized"] {
            conditions.set(kind, "True", "", "", &moment.now);
        }
        let (ready, reason) = match health {
            Health::Runs => ("True", ""),
            Health::Crashes(_) => ("False", "ContainersNotReady"),
            Health::Silent => ("False", "NodeNotReady"),
        };
        for kind in ["ContainersReady", "Ready"] {
            conditions.set(kind, ready, reason, "", &moment.now);
        }
        put(&mut status, ["phase"], json!("Running"));
        put(&mut status, ["conditions"], conditions.into_value());
        if let Some(container) = self.container(pod, health, moment) {
            put(&mut status, ["containerStatuses"], json!([container]));
        }
        status
    }

    /// What is to be said of the container, unless it is said already.
    fn container(&self, pod: &Field<'_>, health: &Health, moment: &Moment) -> Option<Value> {
        let known = pod.at("status.containerStatuses").items().next();
        let known = known.unwrap_or_else(|| Field::new("", &Value::Null));
        let ready = known.child("ready").is_true();
        let container = json!({"name": self.name, "image": self.image, "imageID": ""});
        let state_text = match health {
            Health::Silent => return None,
            Health::Runs if ready => return None,
            Health::Runs => json!({
                "ready": true,
                "restartCount": known.child("restartCount").integer(),
                "state": {"running": {"startedAt": moment.now}},
            }),
            Health::Crashes(words) => {
                let log = end_of_log(self.name, words);
                if !ready && known.at("lastState.terminated.message").text() == log {
                    return None;
                }
                let message = format!(
                    "back-off 5m0s restarting failed container={} pod={}",
                    self.name,
                    pod.child("metadata").name()
                );
                json!({
                    "ready": false,
                    "restartCount": RESTARTS,
                    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": message}},
                    "lastState": {"terminated": {"exitCode": 2, "reason": "Error", "message": log}},
                })
            }
        };
        let parts = [container, state_text].map(|part| match part {
            Value::Object(part) => part,
            _ => Map::new(),
        });
        Some(Value::Object(parts.into_iter().flatten().collect()))
    }
}

/// What a container's status keeps of its log when it ends: the last 2 KiB, and so the last words.
fn end_of_log(name: &str, words: &str) -> String {
    let line = |message: &str| {
        format!("{{\"component\":\"{name}\",\"level\":\"info\",\"msg\":\"{message}\"}}\n")
    };
    let log = format!(
        "{}{}{words}\n",
        line("set log verbosity to 2"),
        line("starting")
    );
    let mut start = log.len().saturating_sub(LOG_END);
    while !log.is_char_boundary(start) {
        start += 1;
    }
    log.get(start..).unwrap_or_default().to_owned()
}

/// Whether this pod is there and ready.
pub fn is_ready(pod: &Field<'_>) -> bool {
    let conditions = Conditions::of(&pod.child("status"));
    conditions.status("Ready") == "True"
}
