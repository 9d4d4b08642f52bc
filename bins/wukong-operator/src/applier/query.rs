//! Queries the pods and events of one Wukong: a bounded number of lists, most of them from the API server's cache.

use http::Method;
use serde_json::Value;
use wukong_engine::environment::is_provisioner;
use wukong_engine::facts::Fact;
use wukong_engine::facts::PodFact;
use wukong_engine::related::{Children, RelatedNames};
use wukong_engine::{Presence, Store};

use super::exchange::{Exchange, Http, JSON};
use crate::port::Subject;
use crate::write_error::{Cause, WriteError};

/// Maximum number of objects in one list.
const LIST_MAX: u32 = 500;

/// Returns the pods of the Wukong and the warning events of its objects.
pub(super) async fn children(http: &Http, subject: &Subject, related: &RelatedNames) -> Children {
    let ours = |object: &Value, pointer: &str| {
        let name = object.pointer(pointer).and_then(Value::as_str);
        related.has(name.unwrap_or_default(), &subject.namespace)
    };
    let launcher = format!("labelSelector=vm.kubevirt.io%2Fname%3D{}", subject.name);
    let mut pods = list(http, subject, "Pod", "pods", &launcher).await;
    if related.has_disks() {
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
            children.replace_events(about.map(Fact::project).collect());
        }
        Err(error) => drop(children.events.clear(presence(&error))),
    }
    if related.waits_for_provisioner() {
        provisioners(http, &mut children.provisioners).await;
    }
    children
}

/// Adds the pods of provisioners from all namespaces. Only their names identify them, and the API server cannot select by
/// part of a name. So this reads one page only, which is enough for the small clusters that use such provisioners.
async fn provisioners(http: &Http, store: &mut Store<PodFact>) {
    let path = format!("/api/v1/pods?limit={LIST_MAX}");
    let (pods, complete) = match page(http, "Pod", path).await {
        Ok(page) => page,
        Err(error) => return drop(store.clear(presence(&error))),
    };
    let name = |pod: &Value| pod.pointer("/metadata/name")?.as_str().map(is_provisioner);
    let found: Vec<PodFact> = pods
        .iter()
        .filter(|pod| name(pod) == Some(true))
        .map(PodFact::project)
        .collect();
    if complete || !found.is_empty() {
        store.replace(found);
    }
}

fn fill<F: Fact>(store: &mut Store<F>, objects: Result<Vec<Value>, WriteError>) {
    match objects {
        Ok(objects) => store.replace(objects.iter().map(F::project).collect()),
        Err(error) => store.clear(presence(&error)),
    };
}

fn presence(error: &WriteError) -> Presence {
    match error.cause {
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
) -> Result<Vec<Value>, WriteError> {
    let namespace = &subject.namespace;
    let path = format!(
        "/api/v1/namespaces/{namespace}/{plural}?{query}&limit={LIST_MAX}&resourceVersion=0"
    );
    Ok(page(http, kind, path).await?.0)
}

/// Returns the objects of one page, and whether the page is complete.
async fn page(
    http: &Http,
    kind: &'static str,
    path: String,
) -> Result<(Vec<Value>, bool), WriteError> {
    let exchange = Exchange {
        verb: "list",
        kind,
        method: Method::GET,
        path,
        content_type: JSON,
        accept: JSON,
        body: &Value::Null,
    };
    let mut answer = http.exchange(exchange).await?.success()?;
    let more = answer.pointer("/metadata/continue").and_then(Value::as_str);
    let complete = more.is_none_or(str::is_empty);
    let items = answer.get_mut("items").map(Value::take);
    Ok(match items {
        Some(Value::Array(items)) => (items, complete),
        _ => (Vec::new(), complete),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wukong_api::Wukong;
    use wukong_engine::World;

    use super::super::tests::{Server, answer, applier, subject};
    use super::*;
    use crate::port::Port;

    /// Related names of a Wukong with a disk that waits for local-path.
    fn related() -> RelatedNames {
        let mut world = World::default();
        world.claims.replace(vec![Fact::project(&json!({
            "metadata": {"name": "web.root", "namespace": "shop", "uid": "6f3a"},
            "spec": {"storageClassName": "local"}, "status": {"phase": "Pending"},
        }))]);
        let class = json!({"metadata": {"name": "local"}, "provisioner": "rancher.io/local-path"});
        let classes = &mut world.environment.storage_classes;
        classes.replace(vec![Fact::project(&class)]);
        let wukong = json!({
            "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"cpu": 1, "memory": "1Gi", "disks": [{"name": "root", "size": "1Gi"}]},
        });
        let wukong: Wukong = serde_json::from_value(wukong).unwrap();
        RelatedNames::of(&wukong, &world)
    }

    fn pod(name: &str) -> Value {
        json!({"metadata": {"name": name, "namespace": "shop", "uid": name}})
    }

    /// Answers the lists, the last one with `page`. Returns the request lines.
    async fn answers(mut server: Server, page: Value) -> Vec<String> {
        let importers = json!({"items": [pod("importer-prime-6f3a"), pod("importer-prime-77aa")]});
        let mut lines = Vec::new();
        for list in [json!({"items": []}), importers, json!({"items": []}), page] {
            lines.push(answer(&mut server, 200, list).await.line);
        }
        lines
    }

    #[tokio::test]
    async fn pods_of_a_waiting_claim_are_queried() {
        let (applier, server) = applier();
        let pods =
            json!({"metadata": {}, "items": [pod("coredns-1"), pod("local-path-provisioner-9")]});
        let (subject, related) = (subject(), related());
        let (children, lines) =
            tokio::join!(applier.query(&subject, &related), answers(server, pods));
        let names = |store: &Store<PodFact>| -> Vec<String> {
            store.iter().map(|pod| pod.meta.name.clone()).collect()
        };
        assert_eq!(names(&children.pods), ["importer-prime-6f3a"]);
        assert_eq!(names(&children.provisioners), ["local-path-provisioner-9"]);
        assert_eq!(lines[3], "GET /api/v1/pods?limit=500");
    }

    #[tokio::test]
    async fn an_incomplete_list_of_pods_is_unknown() {
        let (applier, server) = applier();
        let first = json!({"metadata": {"continue": "more"}, "items": [pod("coredns-1")]});
        let (subject, related) = (subject(), related());
        let (children, _) = tokio::join!(applier.query(&subject, &related), answers(server, first));
        assert_eq!(children.provisioners.presence(), Presence::Unknown);
    }
}
