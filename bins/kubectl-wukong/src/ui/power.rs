//! The buttons of a VM, and whether their user may press them.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use futures::future::join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::{DynamicObject, PostParams};
use kube::runtime::wait::await_condition;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::app::{App, Source, Vm};
use super::problem::Problem;
use crate::action::{self, DesiredPower};
use crate::cluster::Cluster;
use crate::subresource::{self, On, Outcome};

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Action {
    Start,
    Stop,
    Pause,
    Unpause,
    Restart,
    Migrate,
}

#[derive(Deserialize)]
pub struct Press {
    action: Action,
    /// Of a restart after a change: the generation that the operator has to have applied before.
    #[serde(default)]
    generation: Option<i64>,
}

/// Longest wait for the operator before a restart.
const APPLIED: Duration = Duration::from_secs(60);

/// Waits until the operator has applied a generation. A guest that restarts earlier starts with the old configuration.
async fn applied(cluster: &Cluster, name: &str, generation: i64) -> Result<(), Problem> {
    let is_applied = |object: Option<&DynamicObject>| {
        let observed = object.and_then(|object| object.data.pointer("/status/observedGeneration"));
        observed.and_then(Value::as_i64) >= Some(generation)
    };
    let waiting = await_condition(cluster.wukongs(false), name, is_applied);
    let in_time = tokio::time::timeout(APPLIED, waiting).await;
    match in_time {
        Ok(Ok(_)) => Ok(()),
        _ => Err(Problem::new(
            http::StatusCode::GATEWAY_TIMEOUT,
            "the operator has not applied the change yet: restart the VM later",
        )),
    }
}

/// Requests an action. The page sees its progress in the VM.
pub async fn post(
    State(app): State<Arc<App>>,
    vm: Vm,
    Json(press): Json<Press>,
) -> Result<Json<Value>, Problem> {
    let cluster = app.cluster(&vm.namespace)?;
    let power = match press.action {
        Action::Start => DesiredPower::Start,
        Action::Stop => DesiredPower::Stop,
        Action::Pause => DesiredPower::Pause,
        Action::Unpause => DesiredPower::Unpause,
        Action::Restart => {
            if let Some(generation) = press.generation {
                applied(&cluster, &vm.name, generation).await?;
            }
            return call(&cluster, &vm.name, "restart").await;
        }
        Action::Migrate => return call(&cluster, &vm.name, "migrate").await,
    };
    let requested = action::request(&cluster, &vm.name, power).await?;
    let notes = requested.map(|requested| requested.notes);
    Ok(Json(json!({"notes": notes.unwrap_or_default()})))
}

async fn call(cluster: &Cluster, name: &str, call: &str) -> Result<Json<Value>, Problem> {
    match subresource::call(cluster, On::Machine, name, call).await? {
        Outcome::Accepted => Ok(Json(json!({"notes": []}))),
        Outcome::Conflict(why) => Err(Problem::new(http::StatusCode::CONFLICT, why)),
    }
}

/// What a button needs: its name, and verb, group, resource and subresource.
type Right = (&'static str, [&'static str; 4]);

const SUBRESOURCES: &str = "subresources.kubevirt.io";
const OURS: &str = wukong_api::GROUP;

const RIGHTS: [Right; 12] = [
    ("power", ["patch", OURS, "wukongs", ""]),
    ("edit", ["update", OURS, "wukongs", ""]),
    ("create", ["create", OURS, "wukongs", ""]),
    ("delete", ["delete", OURS, "wukongs", ""]),
    ("snapshot", ["create", OURS, "wukongsnapshots", ""]),
    ("dropSnapshot", ["delete", OURS, "wukongsnapshots", ""]),
    ("restore", ["create", OURS, "wukongrestores", ""]),
    (
        "restart",
        ["update", SUBRESOURCES, "virtualmachines", "restart"],
    ),
    (
        "migrate",
        ["update", SUBRESOURCES, "virtualmachines", "migrate"],
    ),
    (
        "console",
        ["get", SUBRESOURCES, "virtualmachineinstances", "console"],
    ),
    (
        "vnc",
        ["get", SUBRESOURCES, "virtualmachineinstances", "vnc"],
    ),
    (
        "screen",
        [
            "get",
            SUBRESOURCES,
            "virtualmachineinstances",
            "vnc/screenshot",
        ],
    ),
];

/// Answers with what the user may do to a VM. What the API server does not answer counts as permitted: it is asked again
/// when the button is pressed.
pub async fn access(State(app): State<Arc<App>>, vm: Vm) -> Result<Json<Value>, Problem> {
    if matches!(app.source, Source::Bundle(_)) {
        let nothing = RIGHTS.map(|(button, _)| (button.to_owned(), Value::Bool(false)));
        return Ok(Json(Value::Object(Map::from_iter(nothing))));
    }
    let cluster = app.cluster(&vm.namespace)?;
    let answers = RIGHTS.map(|(button, right)| {
        let (cluster, name) = (&cluster, &vm.name);
        async move {
            (
                button.to_owned(),
                Value::Bool(may(cluster, name, right).await),
            )
        }
    });
    let answers = join_all(answers).await;
    Ok(Json(Value::Object(Map::from_iter(answers))))
}

async fn may(cluster: &Cluster, name: &str, right: [&str; 4]) -> bool {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let [verb, group, resource, subresource] = right;
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                verb: text(verb),
                group: text(group),
                resource: text(resource),
                subresource: text(subresource),
                namespace: Some(cluster.namespace.clone()),
                name: Some(name.to_owned())
                    .filter(|_| resource != "wukongsnapshots" && verb != "create"),
                ..ResourceAttributes::default()
            }),
            non_resource_attributes: None,
        },
        ..SelfSubjectAccessReview::default()
    };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(cluster.client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await;
    let status = answer.ok().and_then(|answer| answer.status);
    status.is_none_or(|status| status.allowed)
}
