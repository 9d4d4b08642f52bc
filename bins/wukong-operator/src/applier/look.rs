//! Looking at the pods and events of one Wukong: a bounded number of lists, from the API server's cache.

use serde_json::Value;
use wukong_api::Wukong;
use wukong_engine::environment::events::{Children, is_of};
use wukong_engine::facts::Fact;
use wukong_engine::{Presence, Store};

use super::exchange::{Exchange, Http};
use super::{JSON, Method};
use crate::port::Subject;
use crate::refusal::{Cause, Refusal};

/// Most objects that one list returns.
const LIST_MAX: u32 = 500;

/// The pods that work for the Wukong, and the warnings about its objects.
pub(super) async fn children(http: &Http, subject: &Subject, wukong: &Wukong) -> Children {
    let ours = |object: &Value, pointer: &str| {
        let name = object.pointer(pointer).and_then(Value::as_str);
        is_of(name.unwrap_or_default(), &subject.namespace, wukong)
    };
    let launcher = format!("labelSelector=vm.kubevirt.io%2Fname%3D{}", subject.name);
    let mut pods = list(http, subject, "Pod", "pods", &launcher).await;
    if !wukong.spec.disks.is_empty() {
        let importers = "labelSelector=cdi.kubevirt.io%3Dimporter";
        let importers = list(http, subject, "Pod", "pods", importers).await;
        if let (Ok(pods), Ok(importers)) = (&mut pods, importers) {
            let ours = |pod: &Value| ours(pod, "/metadata/name");
            pods.extend(importers.into_iter().filter(ours));
        }
    }
    let warnings = "fieldSelector=type%3DWarning";
    let events = list(http, subject, "Event", "events", warnings).await;
    let mut children = Children::default();
    fill(&mut children.pods, pods);
    match events {
        Ok(events) => {
            let about = events
                .iter()
                .filter(|event| ours(event, "/involvedObject/name"));
            children.hear(about.map(Fact::project).collect());
        }
        Err(refusal) => drop(children.events.clear(presence(&refusal))),
    }
    children
}

fn fill<F: Fact>(store: &mut Store<F>, objects: Result<Vec<Value>, Refusal>) {
    match objects {
        Ok(objects) => store.replace(objects.iter().map(F::project).collect()),
        Err(refusal) => store.clear(presence(&refusal)),
    };
}

fn presence(refusal: &Refusal) -> Presence {
    match refusal.cause {
        Cause::Unauthorized => Presence::Forbidden,
        _ => Presence::Unknown,
    }
}

async fn list(
    http: &Http,
    subject: &Subject,
    kind: &'static str,
    plural: &str,
    query: &str,
) -> Result<Vec<Value>, Refusal> {
    let namespace = &subject.namespace;
    let exchange = Exchange {
        verb: "look",
        kind,
        method: Method::GET,
        path: format!(
            "/api/v1/namespaces/{namespace}/{plural}?{query}&limit={LIST_MAX}&resourceVersion=0"
        ),
        content_type: JSON,
        accept: JSON,
        body: &Value::Null,
    };
    let mut answer = http.exchange(exchange).await?.success()?;
    let items = answer.get_mut("items").map(Value::take);
    Ok(match items {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    })
}
