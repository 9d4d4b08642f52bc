//! The port's implementation: the requests that each verb sends.
//!
//! Everything is applied server-side and with force, as the one manager of what we own. What keeps an apply from
//! touching a foreign object was tried on a kube-apiserver 1.36:
//!
//! * A body with a `resourceVersion` creates the object when there is none, whatever the version says, and is refused
//!   with 409 when there is one of another version. No object ever has version 1 (etcd's first revision is not an
//!   object of ours), so an apply of version 1 creates or fails.
//! * A body with a `uid` is refused with 422 when the object has another one (the field is immutable), and with 409
//!   when there is none. For a status subresource of a custom resource the uid is *not* looked at.
//! * A JSON patch whose `test` fails is refused with 422 without any cause in the details.

mod exchange;
mod look;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use http::{Method, StatusCode};
use kube::Client;
use kube::core::{DynamicObject, Resource};
use serde_json::{Value, json};
use wukong_api::{FIELD_MANAGER, Wukong, WukongStatus, labels};
use wukong_engine::related::{Children, RelatedNames};
use wukong_engine::{Apply, Call, Expand, Expect, Kind, Note, Prune, Target};

use crate::event::event;
use crate::leader::Leadership;
use crate::metrics::Metrics;
use crate::port::{Port, Subject};
use crate::refusal::{Cause, Refusal};
use exchange::{Answer, Exchange, Http};

/// How long a request may take, from when it is sent to the last byte of its answer, and how long it may wait before.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// Behind how many owner references of others ours is looked for.
const OWNERS_MAX: usize = 3;
/// A version that no object has.
const NO_VERSION: &str = "1";

const APPLY: &str = "application/apply-patch+yaml";
const JSON: &str = "application/json";
const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// Writes to the cluster, one bounded number of requests at a time, and only while this replica leads.
#[derive(Debug)]
pub struct Applier {
    http: Http,
    /// Who reports the events.
    identity: String,
}

impl Applier {
    /// At most `max_in_flight` requests are under way at once.
    pub fn new(
        client: Client,
        max_in_flight: u16,
        leadership: Leadership,
        identity: String,
        metrics: Metrics,
    ) -> Self {
        Self {
            http: Http::new(client, max_in_flight, leadership, metrics),
            identity,
        }
    }

    /// Server-side apply of a body with preconditions in its metadata.
    async fn server_side_apply(
        &self,
        subject: &Subject,
        apply: &Apply,
        preconditions: &[(&str, &str)],
    ) -> Result<Value, Refusal> {
        let mut body = apply.body.clone();
        if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
            for (field, value) in preconditions {
                metadata.insert((*field).to_owned(), json!(value));
            }
        }
        let query =
            format!("fieldManager={FIELD_MANAGER}&force=true&fieldValidation=Strict&{TIMEOUT}");
        self.write(subject, "apply", &apply.target, &query, APPLY, &body)
            .await
    }

    /// An apply that creates: it fails when the name is taken.
    async fn create(&self, subject: &Subject, apply: &Apply) -> Result<Value, Refusal> {
        let created = self
            .server_side_apply(subject, apply, &[("resourceVersion", NO_VERSION)])
            .await;
        created.map_err(|refusal| match refusal.cause {
            Cause::Stale => Refusal {
                cause: Cause::NameTaken,
                message: format!("{} exists already", apply.target),
                ..refusal
            },
            _ => refusal,
        })
    }

    /// Changes a Secret that a Wukong controls, without reading it. Labels and annotations of others stay.
    ///
    /// A JSON patch tests a place, and cannot search: our owner reference is looked for where it was made, then behind
    /// those of others. Labels are added one by one, and together where somebody has taken them all away.
    async fn update_controlled(
        &self,
        subject: &Subject,
        apply: &Apply,
        controller: &str,
    ) -> Result<Value, Refusal> {
        let places = (0..OWNERS_MAX).map(|place| (place, true));
        let mut outcome = Err(Refusal::outage("nothing was tried"));
        for (place, labelled) in places.chain([(0, false)]) {
            let patch = patch_of_controlled(apply, controller, place, labelled);
            let query = format!("fieldManager={FIELD_MANAGER}&{TIMEOUT}");
            let target = &apply.target;
            outcome = self
                .write(subject, "patch", target, &query, JSON_PATCH, &patch)
                .await;
            match &outcome {
                Err(refusal) if refusal.cause == Cause::TestFailed => {}
                _ => return outcome,
            }
        }
        outcome.map_err(|refusal| Refusal {
            cause: Cause::NameTaken,
            message: format!(
                "{} exists already and does not belong to this Wukong",
                apply.target
            ),
            ..refusal
        })
    }

    async fn write(
        &self,
        subject: &Subject,
        verb: &'static str,
        target: &Target,
        query: &str,
        content_type: &'static str,
        body: &Value,
    ) -> Result<Value, Refusal> {
        let secret = target.kind == Kind::Secret;
        let exchange = Exchange {
            verb,
            kind: target.kind.as_ref(),
            method: Method::PATCH,
            path: format!("{}?{query}", path(subject, target)),
            content_type,
            // No secret byte comes back.
            accept: if secret { METADATA_ONLY } else { JSON },
            body,
        };
        let answer = self.http.exchange(exchange).await?;
        answer.success().map_err(|refusal| {
            if secret {
                refusal.without_content(&target.to_string())
            } else {
                refusal
            }
        })
    }
}

/// A change of a Secret whose owner reference at `place` makes this controller its own, and that has labels or not.
fn patch_of_controlled(apply: &Apply, controller: &str, place: usize, labelled: bool) -> Value {
    let owner = format!("/metadata/ownerReferences/{place}");
    let mut patch = vec![
        json!({"op": "test", "path": format!("{owner}/uid"), "value": controller}),
        json!({"op": "test", "path": format!("{owner}/controller"), "value": true}),
    ];
    let labels = apply.body.pointer("/metadata/labels");
    let labels = labels.and_then(Value::as_object);
    if labelled {
        patch.extend(labels.into_iter().flatten().map(|(key, value)| {
            let key = key.replace('~', "~0").replace('/', "~1");
            json!({"op": "add", "path": format!("/metadata/labels/{key}"), "value": value})
        }));
    } else {
        patch.push(json!({"op": "test", "path": "/metadata/labels", "value": null}));
        patch.push(json!({"op": "add", "path": "/metadata/labels", "value": labels}));
    }
    let nothing = json!({});
    let data = apply.body.get("data").unwrap_or(&nothing);
    patch.push(json!({"op": "add", "path": "/data", "value": data}));
    Value::Array(patch)
}

/// What the server is asked to keep to: it gives up shortly before we do, so that little is written behind our back.
const TIMEOUT: &str = "timeout=9s";

fn path(subject: &Subject, target: &Target) -> String {
    let resource = target.kind.api_resource();
    let namespace = target.kind.is_namespaced().then_some(&*subject.namespace);
    let collection = DynamicObject::url_path(&resource, namespace);
    format!("{collection}/{}", target.name)
}

#[async_trait]
impl Port for Applier {
    async fn apply(&self, subject: &Subject, apply: &Apply) -> Result<Value, Refusal> {
        match &apply.expect {
            Expect::Present {
                uid,
                resource_version,
            } => {
                let version = resource_version
                    .as_deref()
                    .map(|version| ("resourceVersion", version));
                let preconditions: Vec<_> =
                    [("uid", uid.as_str())].into_iter().chain(version).collect();
                self.server_side_apply(subject, apply, &preconditions).await
            }
            Expect::Absent => self.create(subject, apply).await,
            Expect::AbsentOrControlledBy(uid) => match self.create(subject, apply).await {
                Err(refusal) if refusal.cause == Cause::NameTaken => {
                    self.update_controlled(subject, apply, uid).await
                }
                created => created,
            },
        }
    }

    async fn expand(&self, subject: &Subject, expand: &Expand) -> Result<Value, Refusal> {
        let body = json!({
            "metadata": {
                "uid": expand.uid,
                "annotations": {labels::GUEST_SIZE: expand.guest_size.to_string()},
            },
            "spec": {"resources": {"requests": {"storage": expand.to.to_string()}}},
        });
        let query = format!("fieldManager={FIELD_MANAGER}&{TIMEOUT}");
        self.write(
            subject,
            "expand",
            &expand.target,
            &query,
            MERGE_PATCH,
            &body,
        )
        .await
    }

    async fn call(&self, subject: &Subject, call: Call) -> Result<(), Refusal> {
        let resource = match call {
            Call::Start | Call::Restart => "virtualmachines",
            Call::Pause | Call::Unpause => "virtualmachineinstances",
        };
        let Subject {
            namespace, name, ..
        } = subject;
        let exchange = Exchange {
            verb: "call",
            kind: call.as_ref(),
            method: Method::PUT,
            path: format!(
                "/apis/subresources.kubevirt.io/v1/namespaces/{namespace}/{resource}/{name}/{call}"
            ),
            content_type: JSON,
            // virt-api answers 406 to anything narrower.
            accept: "*/*",
            body: &json!({}),
        };
        let answer = self.http.exchange(exchange).await?;
        if is_so_already(&answer) {
            return Ok(());
        }
        answer.success().map(drop)
    }

    async fn prune(&self, subject: &Subject, prune: &Prune) -> Result<(), Refusal> {
        let body = json!({
            "apiVersion": "v1", "kind": "DeleteOptions",
            "preconditions": {"uid": prune.uid, "resourceVersion": prune.resource_version},
            "propagationPolicy": "Background",
        });
        let exchange = Exchange {
            verb: "delete",
            kind: prune.target.kind.as_ref(),
            method: Method::DELETE,
            path: path(subject, &prune.target),
            content_type: JSON,
            accept: METADATA_ONLY,
            body: &body,
        };
        let answer = self.http.exchange(exchange).await?;
        if answer.code == StatusCode::NOT_FOUND {
            return Ok(());
        }
        answer.success().map(drop)
    }

    /// By JSON patch: it replaces the status as a whole, so that nothing old stays in it, and tests the uid, which an
    /// apply of a status does not.
    async fn write_status(
        &self,
        subject: &Subject,
        status: &WukongStatus,
    ) -> Result<Value, Refusal> {
        let patch = json!([
            {"op": "test", "path": "/metadata/uid", "value": subject.uid},
            {"op": "add", "path": "/status", "value": status},
        ]);
        let collection = Wukong::url_path(&(), Some(&subject.namespace));
        let exchange = Exchange {
            verb: "status",
            kind: "Wukong",
            method: Method::PATCH,
            path: format!(
                "{collection}/{}/status?fieldManager={FIELD_MANAGER}&{TIMEOUT}",
                subject.name
            ),
            content_type: JSON_PATCH,
            accept: JSON,
            body: &patch,
        };
        let answer = self.http.exchange(exchange).await?;
        answer.success().map_err(|refusal| match refusal.cause {
            Cause::TestFailed => Refusal {
                cause: Cause::Gone,
                message: "another Wukong has the name".to_owned(),
                ..refusal
            },
            _ => refusal,
        })
    }

    async fn look(&self, subject: &Subject, related: &RelatedNames) -> Children {
        look::children(&self.http, subject, related).await
    }

    async fn publish(&self, subject: &Subject, note: &Note) -> Result<(), Refusal> {
        let body = event(subject, note, &self.identity);
        let exchange = Exchange {
            verb: "create",
            kind: "Event",
            method: Method::POST,
            path: format!(
                "/apis/events.k8s.io/v1/namespaces/{}/events",
                subject.namespace
            ),
            content_type: JSON,
            accept: METADATA_ONLY,
            body: &body,
        };
        self.http.exchange(exchange).await?.success().map(drop)
    }
}

/// 409: the VM is in the state that was asked for (unless KubeVirt says that it cannot be). 500 with that text: it is on
/// its way.
fn is_so_already(answer: &Answer) -> bool {
    (answer.code == StatusCode::CONFLICT && !answer.text().contains("does not support"))
        || (answer.code == StatusCode::INTERNAL_SERVER_ERROR
            && answer.text().contains("already underway"))
}
