//! Implementation of [`Port`]: the requests of each operation.
//!
//! All applies are server-side and forced, with one field manager. Preconditions keep an apply from changing a foreign
//! object. This is how a kube-apiserver 1.36 treats them:
//!
//! * A body with a `resourceVersion` creates the object if it does not exist, whatever the version. If the object exists
//!   with another version, the response is 409. No object ever has version 1 (etcd's first revision is not one of our
//!   objects), so an apply with version 1 creates the object or fails.
//! * A body with a `uid` gets 422 if the object has another uid (the field is immutable), and 409 if the object does not
//!   exist. For the status subresource of a custom resource the API server does *not* compare the uid.
//! * A JSON patch with a `test` that fails gets 422 without a cause in the details.

mod exchange;
mod query;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use http::{Method, StatusCode};
use kube::Client;
use kube::core::{DynamicObject, Resource};
use serde_json::{Value, json};
use wukong_api::{
    FIELD_MANAGER, Wukong, WukongRestore, WukongSnapshot, WukongSnapshotSchedule, WukongStatus,
    labels,
};
use wukong_engine::facts::PodFact;
use wukong_engine::{
    Apply, Call, Event, Expand, Expect, Kind, Prune, Reported, StatusReport, Store, Target,
};

use crate::event::event_object;
use crate::leader::Leadership;
use crate::metrics::Metrics;
use crate::port::{Found, Port, Query, Subject};
use crate::write_error::{Cause, WriteError};
pub use exchange::DEADLINE;
use exchange::{Answer, Exchange, Http, JSON};

/// Number of owner references among which ours is searched.
const OWNERS_MAX: usize = 3;
/// A version that no object has.
const NO_VERSION: &str = "1";

const APPLY: &str = "application/apply-patch+yaml";
const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// Writes to the cluster, with a bounded number of concurrent requests, and only while this replica is the leader.
#[derive(Debug)]
pub struct Applier {
    http: Http,
    /// Reporting instance of the events.
    identity: String,
}

impl Applier {
    /// Creates an applier with at most `max_in_flight` concurrent requests.
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

    /// Sends no further requests. Those that are under way continue.
    pub fn close(&self) {
        self.http.close();
    }

    /// Applies a body with preconditions in its metadata.
    async fn server_side_apply(
        &self,
        subject: &Subject,
        apply: &Apply,
        preconditions: &[(&str, &str)],
    ) -> Result<Value, WriteError> {
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

    /// Creates an object by an apply. Fails if the name is taken.
    async fn create(&self, subject: &Subject, apply: &Apply) -> Result<Value, WriteError> {
        let created = self
            .server_side_apply(subject, apply, &[("resourceVersion", NO_VERSION)])
            .await;
        created.map_err(|error| match error.cause {
            Cause::Stale => WriteError {
                cause: Cause::NameTaken,
                message: format!("{} exists already", apply.target),
                ..error
            },
            _ => error,
        })
    }

    /// Creates an object that never changes afterwards. In contrast to an apply, it needs no permission to patch.
    async fn create_once(&self, subject: &Subject, apply: &Apply) -> Result<Value, WriteError> {
        let collection = collection(subject, &apply.target);
        let exchange = Exchange {
            verb: "create",
            kind: apply.target.kind.as_ref(),
            method: Method::POST,
            path: format!(
                "{collection}?fieldManager={FIELD_MANAGER}&fieldValidation=Strict&{TIMEOUT}"
            ),
            content_type: JSON,
            accept: JSON,
            body: &apply.body,
        };
        self.http.exchange(exchange).await?.success()
    }

    /// Changes a Secret that a Wukong controls, without reading it. Labels and annotations of others stay.
    ///
    /// A JSON patch can test a position but cannot search. So this tries the first positions of our owner reference one
    /// after the other. It adds labels one by one, or all together if the Secret has no labels.
    async fn update_controlled(
        &self,
        subject: &Subject,
        apply: &Apply,
        controller: &str,
    ) -> Result<Value, WriteError> {
        let places = (0..OWNERS_MAX).map(|place| (place, true));
        let mut outcome = Err(WriteError::outage("no attempt was made"));
        for (place, labelled) in places.chain([(0, false)]) {
            let patch = patch_of_controlled(apply, controller, place, labelled);
            let query = format!("fieldManager={FIELD_MANAGER}&{TIMEOUT}");
            let target = &apply.target;
            outcome = self
                .write(subject, "patch", target, &query, JSON_PATCH, &patch)
                .await;
            match &outcome {
                Err(error) if error.cause == Cause::TestFailed => {}
                _ => return outcome,
            }
        }
        outcome.map_err(|error| WriteError {
            cause: Cause::NameTaken,
            message: format!(
                "{} exists already and does not belong to this Wukong",
                apply.target
            ),
            ..error
        })
    }

    /// Replaces the status of the object at this path, unless it has another uid.
    async fn replace_status(
        &self,
        kind: &str,
        path: &str,
        uid: &str,
        status: &Value,
    ) -> Result<Value, WriteError> {
        let patch = json!([
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "add", "path": "/status", "value": status},
        ]);
        let exchange = Exchange {
            verb: "status",
            kind,
            method: Method::PATCH,
            path: format!("{path}/status?fieldManager={FIELD_MANAGER}&{TIMEOUT}"),
            content_type: JSON_PATCH,
            accept: JSON,
            body: &patch,
        };
        let answer = self.http.exchange(exchange).await?;
        answer.success().map_err(|error| match error.cause {
            Cause::TestFailed => WriteError {
                cause: Cause::Gone,
                message: format!("another {kind} has this name"),
                ..error
            },
            _ => error,
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
    ) -> Result<Value, WriteError> {
        let secret = target.kind == Kind::Secret;
        let exchange = Exchange {
            verb,
            kind: target.kind.as_ref(),
            method: Method::PATCH,
            path: format!("{}?{query}", path(subject, target)),
            content_type,
            // The response must not contain the data.
            accept: if secret { METADATA_ONLY } else { JSON },
            body,
        };
        let answer = self.http.exchange(exchange).await?;
        answer.success().map_err(|error| {
            if secret {
                error.without_content(&target.to_string())
            } else {
                error
            }
        })
    }
}

/// Builds a JSON patch of a Secret with an owner reference at `place` that names this controller. `labelled`: whether the
/// Secret has labels.
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

/// Timeout for the API server: shorter than ours, so that it rarely writes after we have given up.
const TIMEOUT: &str = "timeout=9s";

fn collection(subject: &Subject, target: &Target) -> String {
    let resource = target.kind.api_resource();
    let namespace = target.kind.is_namespaced().then_some(&*subject.namespace);
    DynamicObject::url_path(&resource, namespace)
}

fn path(subject: &Subject, target: &Target) -> String {
    format!("{}/{}", collection(subject, target), target.name)
}

#[async_trait]
impl Port for Applier {
    async fn apply(&self, subject: &Subject, apply: &Apply) -> Result<Value, WriteError> {
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
            Expect::Absent if apply.target.kind == Kind::WukongSnapshot => {
                self.create_once(subject, apply).await
            }
            Expect::Absent => self.create(subject, apply).await,
            Expect::AbsentOrControlledBy(uid) => match self.create(subject, apply).await {
                Err(error) if error.cause == Cause::NameTaken => {
                    self.update_controlled(subject, apply, uid).await
                }
                created => created,
            },
        }
    }

    async fn expand(&self, subject: &Subject, expand: &Expand) -> Result<Value, WriteError> {
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

    async fn call(&self, subject: &Subject, call: Call) -> Result<(), WriteError> {
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
        if already_done(&answer) {
            return Ok(());
        }
        answer.success().map(drop)
    }

    async fn prune(&self, subject: &Subject, prune: &Prune) -> Result<(), WriteError> {
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

    /// Replaces the whole status by a JSON patch, which also tests the uid. An apply of a status would not compare it.
    async fn write_status(
        &self,
        subject: &Subject,
        status: &WukongStatus,
    ) -> Result<Value, WriteError> {
        let collection = Wukong::url_path(&(), Some(&subject.namespace));
        let path = format!("{collection}/{}", subject.name);
        self.replace_status("Wukong", &path, &subject.uid, &json!(status))
            .await
    }

    async fn write_report(
        &self,
        subject: &Subject,
        report: &StatusReport,
    ) -> Result<Value, WriteError> {
        let namespace = Some(&*subject.namespace);
        let collection = match report.kind {
            Reported::WukongSnapshot => WukongSnapshot::url_path(&(), namespace),
            Reported::WukongRestore => WukongRestore::url_path(&(), namespace),
            Reported::WukongSnapshotSchedule => WukongSnapshotSchedule::url_path(&(), namespace),
        };
        let path = format!("{collection}/{}", report.name);
        self.replace_status(report.kind.as_ref(), &path, &report.uid, &report.status)
            .await
    }

    async fn query(&self, query: &Query) -> Found {
        query::namespace(&self.http, query).await
    }

    async fn provisioners(&self) -> Store<PodFact> {
        query::provisioners(&self.http).await
    }

    async fn publish(&self, subject: &Subject, event: &Event) -> Result<(), WriteError> {
        let body = event_object(subject, event, &self.identity);
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

/// Returns whether the VM already has the requested state, or is about to have it: 409, unless KubeVirt does not support
/// the call, or 500 with this text.
fn already_done(answer: &Answer) -> bool {
    (answer.code == StatusCode::CONFLICT && !answer.text().contains("does not support"))
        || (answer.code == StatusCode::INTERNAL_SERVER_ERROR
            && answer.text().contains("already underway"))
}
