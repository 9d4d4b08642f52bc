//! Queries the pods and events of a namespace: a bounded number of lists. Those of pods come from the API server's cache.
//!
//! Pods are queried with their status: the last words of an importer are evidence. Events are queried by their type, because
//! an import has events of more than four objects, and the API server reads all events of the namespace for each list.

use http::Method;
use serde_json::Value;
use wukong_engine::environment::is_provisioner;
use wukong_engine::facts::{EventFact, Fact, PodFact};
use wukong_engine::{Presence, Store};

use super::exchange::{Exchange, Http, JSON};
use crate::port::{Found, FoundPod, Query};
use crate::write_error::{Cause, WriteError};

/// Maximum number of objects in one list.
const LIST_MAX: u32 = 500;
/// Maximum number of lists of events, each of which continues the one before.
const EVENT_LISTS_MAX: usize = 4;
/// Maximum number of VMs that a selector names. With more, it selects the pods of all VMs.
const NAMES_MAX: usize = 100;
/// Label of the pods of a VM.
const VM: &str = "/metadata/labels/vm.kubevirt.io~1name";

/// Returns the pods of the VMs and of importers, and the warning events of a namespace.
pub(super) async fn namespace(http: &Http, query: &Query) -> Found {
    Found {
        pods: pods(http, query).await.map_err(|error| presence(&error)),
        events: events(http, query).await.map_err(|error| presence(&error)),
    }
}

async fn pods(http: &Http, query: &Query) -> Result<Vec<FoundPod>, WriteError> {
    let mut pods = Vec::new();
    if !query.vms.is_empty() {
        let launchers = list(http, query, "Pod", "pods", &of_vms(&query.vms)).await?;
        let of_vm = |pod: &Value| FoundPod {
            vm: pod.pointer(VM).and_then(Value::as_str).map(Into::into),
            fact: PodFact::project(pod),
        };
        pods.extend(launchers.iter().map(of_vm));
    }
    let importers = "labelSelector=cdi.kubevirt.io%3Dimporter";
    let importers = list(http, query, "Pod", "pods", importers).await?;
    let of_importer = |pod: &Value| FoundPod {
        vm: None,
        fact: PodFact::project(pod),
    };
    pods.extend(importers.iter().map(of_importer));
    Ok(pods)
}

/// Selector of the pods of these VMs.
fn of_vms(vms: &[String]) -> String {
    match vms.len() {
        0..=NAMES_MAX => format!(
            "labelSelector=vm.kubevirt.io%2Fname%20in%20%28{}%29",
            vms.join("%2C")
        ),
        _ => "labelSelector=vm.kubevirt.io%2Fname".to_owned(),
    }
}

async fn events(http: &Http, query: &Query) -> Result<Vec<EventFact>, WriteError> {
    let warnings = "fieldSelector=type%3DWarning";
    let mut path = path(query, "events", warnings, "&resourceVersion=0");
    let mut events = Vec::new();
    for _ in 0..EVENT_LISTS_MAX {
        let (page, more) = page(http, "Event", path).await?;
        events.extend(page.iter().map(EventFact::project));
        let Some(more) = more else { break };
        let more = format!("&continue={more}");
        path = self::path(query, "events", warnings, &more);
    }
    Ok(events)
}

/// Returns the pods of provisioners from all namespaces. Only their names identify them, and the API server cannot select by
/// part of a name. So this reads one page only, which is enough for the small clusters that use such provisioners.
pub(super) async fn provisioners(http: &Http) -> Store<PodFact> {
    let mut store = Store::default();
    let path = format!("/api/v1/pods?limit={LIST_MAX}");
    let (pods, more) = match page(http, "Pod", path).await {
        Ok(page) => page,
        Err(error) => {
            store.clear(presence(&error));
            return store;
        }
    };
    let name = |pod: &Value| pod.pointer("/metadata/name")?.as_str().map(is_provisioner);
    let found: Vec<PodFact> = pods
        .iter()
        .filter(|pod| name(pod) == Some(true))
        .map(PodFact::project)
        .collect();
    if more.is_none() || !found.is_empty() {
        store.replace(found);
    }
    store
}

fn presence(error: &WriteError) -> Presence {
    match error.cause {
        Cause::Unauthorized => Presence::Forbidden,
        _ => Presence::Unknown,
    }
}

fn path(query: &Query, plural: &str, selector: &str, position: &str) -> String {
    let namespace = &query.namespace;
    format!("/api/v1/namespaces/{namespace}/{plural}?{selector}&limit={LIST_MAX}{position}")
}

async fn list(
    http: &Http,
    query: &Query,
    kind: &'static str,
    plural: &str,
    selector: &str,
) -> Result<Vec<Value>, WriteError> {
    let path = path(query, plural, selector, "&resourceVersion=0");
    Ok(page(http, kind, path).await?.0)
}

/// Returns the objects of one page, and the token of the next page if there is one.
async fn page(
    http: &Http,
    kind: &'static str,
    path: String,
) -> Result<(Vec<Value>, Option<String>), WriteError> {
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
    let more = more.filter(|more| !more.is_empty()).map(Into::into);
    let items = answer.get_mut("items").map(Value::take);
    Ok(match items {
        Some(Value::Array(items)) => (items, more),
        _ => (Vec::new(), more),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wukong_api::Wukong;
    use wukong_engine::World;
    use wukong_engine::related::RelatedNames;

    use super::super::tests::{Server, answer, applier, subject};
    use super::*;
    use crate::port::{Port, Subject};

    fn related(name: &str) -> RelatedNames {
        let wukong: Wukong = serde_json::from_value(json!({
            "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"cpu": 1, "memory": "1Gi", "disks": [{"name": "root", "size": "1Gi"}]},
        }))
        .unwrap();
        let mut world = World::default();
        world.claims.replace(vec![Fact::project(&json!({
            "metadata": {"name": format!("{name}.root"), "namespace": "shop", "uid": format!("uid-{name}")},
        }))]);
        RelatedNames::of(&wukong, &world)
    }

    fn pod(name: &str, vm: Option<&str>) -> Value {
        json!({"metadata": {"name": name, "namespace": "shop", "uid": name, "labels": {"vm.kubevirt.io/name": vm}}})
    }

    fn event(about: &str) -> Value {
        json!({"metadata": {"name": format!("{about}.1"), "namespace": "shop", "uid": about}, "type": "Warning",
            "reason": "Failed", "involvedObject": {"kind": "Pod", "name": about}})
    }

    /// Answers one list after the other. Returns the request lines.
    async fn answers(server: &mut Server, lists: Vec<Value>) -> Vec<String> {
        let mut lines = Vec::new();
        for list in lists {
            lines.push(answer(server, 200, list).await.line);
        }
        lines
    }

    fn query(vms: &[&str]) -> Query {
        Query {
            namespace: "shop".into(),
            vms: vms.iter().map(|vm| (*vm).to_owned()).collect(),
        }
    }

    #[tokio::test]
    async fn one_query_has_the_evidence_of_each_vm() {
        let (applier, mut server) = applier();
        let launchers = [
            pod("virt-launcher-web-x7k2p", Some("web")),
            pod("virt-launcher-db-9q4zt", Some("db")),
        ];
        let importers = ["importer-prime-uid-web", "importer-prime-uid-db"];
        let first = ["web.root", "db.root", importers[0]].map(event);
        let lists = vec![
            json!({"items": launchers}),
            json!({"items": importers.map(|name| pod(name, None))}),
            json!({"items": first, "metadata": {"continue": "t1"}}),
            json!({"items": [event("db")]}),
        ];
        let query = query(&["db", "web"]);
        let (found, lines) = tokio::join!(applier.query(&query), answers(&mut server, lists));
        const PODS: &str = "GET /api/v1/namespaces/shop/pods";
        const EVENTS: &str =
            "GET /api/v1/namespaces/shop/events?fieldSelector=type%3DWarning&limit=500";
        assert_eq!(
            lines,
            [
                format!(
                    "{PODS}?labelSelector=vm.kubevirt.io%2Fname%20in%20%28db%2Cweb%29&limit=500&resourceVersion=0"
                ),
                format!(
                    "{PODS}?labelSelector=cdi.kubevirt.io%3Dimporter&limit=500&resourceVersion=0"
                ),
                format!("{EVENTS}&resourceVersion=0"),
                format!("{EVENTS}&continue=t1"),
            ]
        );
        for (name, pods, events) in [
            (
                "web",
                ["importer-prime-uid-web", "virt-launcher-web-x7k2p"],
                vec!["importer-prime-uid-web", "web.root"],
            ),
            (
                "db",
                ["importer-prime-uid-db", "virt-launcher-db-9q4zt"],
                vec!["db", "db.root"],
            ),
        ] {
            let subject = Subject {
                name: name.into(),
                ..subject()
            };
            let children = found.of(&subject, &related(name));
            let found: Vec<_> = children
                .pods
                .iter()
                .map(|pod| pod.meta.name.as_str())
                .collect();
            assert_eq!(found, pods, "{name}");
            let mut found: Vec<_> = children
                .events
                .iter()
                .map(|event| event.name.as_str())
                .collect();
            found.sort_unstable();
            assert_eq!(found, events, "{name}");
        }
    }

    #[tokio::test]
    async fn a_query_is_a_bounded_number_of_lists() {
        let (applier, mut server) = applier();
        let endless = json!({"items": [], "metadata": {"continue": "more"}});
        let lists = vec![endless; 1 + EVENT_LISTS_MAX];
        let query = query(&[]);
        let (_, lines) = tokio::join!(applier.query(&query), answers(&mut server, lists));
        assert!(
            lines[0].contains("importer"),
            "without a VM, no VM has pods: {lines:?}"
        );
        drop(applier);
        assert!(server.next_request().await.is_none(), "no further list");
    }

    #[test]
    fn a_selector_never_becomes_too_long_for_a_request() {
        let name = "a".repeat(63);
        let selectors = [1, NAMES_MAX, 10_000].map(|vms| of_vms(&vec![name.clone(); vms]));
        assert!(selectors.iter().all(|selector| selector.len() < 8000));
        assert!(
            !selectors[2].contains(&name),
            "it selects the pods of all VMs"
        );
    }

    #[tokio::test]
    async fn pods_without_permission_are_forbidden() {
        let (applier, mut server) = applier();
        let no = json!({"kind": "Status", "reason": "Forbidden",
            "message": "pods is forbidden: User \"u\" cannot list resource \"pods\" in API group \"\" in the namespace \"shop\""});
        let serve = async {
            answer(&mut server, 403, no.clone()).await;
            answer(&mut server, 403, no).await;
        };
        let query = query(&["web"]);
        let (found, ()) = tokio::join!(applier.query(&query), serve);
        let children = found.of(&subject(), &related("web"));
        assert_eq!(children.pods.presence(), Presence::Forbidden);
        assert_eq!(children.events.presence(), Presence::Forbidden);
    }

    #[tokio::test]
    async fn provisioners_are_found_by_their_names() {
        let (applier, mut server) = applier();
        let names = ["coredns-1", "local-path-provisioner-9"];
        let list = json!({"metadata": {}, "items": names.map(|name| pod(name, None))});
        let (pods, seen) = tokio::join!(applier.provisioners(), answer(&mut server, 200, list));
        assert_eq!(seen.line, "GET /api/v1/pods?limit=500");
        let found: Vec<_> = pods.iter().map(|pod| pod.meta.name.as_str()).collect();
        assert_eq!(found, ["local-path-provisioner-9"]);
    }

    #[tokio::test]
    async fn an_incomplete_list_of_pods_is_unknown() {
        let (applier, mut server) = applier();
        let list = json!({"metadata": {"continue": "more"}, "items": [pod("coredns-1", None)]});
        let (pods, _) = tokio::join!(applier.provisioners(), answer(&mut server, 200, list));
        assert_eq!(pods.presence(), Presence::Unknown);
    }
}
