//! An API server over a cluster of any size, and the requests that it answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use url::Url;

use crate::objects::{Cluster, Identity, served, with_parts};

/// A request and the size of its answer.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Path and query, without the position in a list.
    pub request: String,
    /// Plural of the kind; empty for a discovery document.
    pub plural: String,
    /// Name of the object; empty for a list.
    pub name: String,
    /// Whether only metadata was requested.
    pub metadata_only: bool,
    /// Number of objects in the answer.
    pub objects: usize,
}

/// A running API server.
#[derive(Debug)]
pub struct Server {
    /// `host:port`.
    pub address: String,
    answered: Arc<Mutex<Vec<Answered>>>,
}

impl Server {
    /// Starts a server, which ends with the process.
    pub fn start(cluster: Cluster) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answered = Arc::default();
        let state = (cluster, Arc::clone(&answered));
        let serve = async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let router = Router::new().fallback(answer).with_state(state);
            axum::serve(listener, router).await.unwrap();
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        std::thread::spawn(move || runtime.unwrap().block_on(serve));
        Self { address, answered }
    }

    /// Returns the requests since the last call.
    pub fn answered(&self) -> Vec<Answered> {
        std::mem::take(&mut *self.answered.lock().unwrap())
    }
}

/// What a request asks for.
struct Asked {
    version: String,
    namespace: Option<String>,
    plural: String,
    name: String,
    query: BTreeMap<String, String>,
}

fn asked(uri: &Uri) -> Asked {
    let mut parts = uri.path().trim_matches('/').split('/');
    let mut version = match parts.next() {
        Some("apis") => format!("{}/", parts.next().unwrap_or_default()),
        _ => String::new(),
    };
    version += parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let (namespace, rest) = match rest.as_slice() {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
        rest => (None, rest),
    };
    let url = Url::parse(&format!("http://cluster{uri}")).unwrap();
    let part = |index: usize| {
        rest.get(index)
            .map_or(String::new(), |part| (*part).to_owned())
    };
    Asked {
        version,
        namespace: namespace.map(Into::into),
        plural: part(0),
        name: part(1),
        query: url.query_pairs().into_owned().collect(),
    }
}

async fn answer(
    State((cluster, answered)): State<(Cluster, Arc<Mutex<Vec<Answered>>>)>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let mut asked = asked(&uri);
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    let metadata_only = accept.is_some_and(|accept| accept.contains("PartialObjectMetadata"));
    let (status, body, objects) = body(cluster, &asked, metadata_only);
    asked.query.remove("continue");
    let query: Vec<String> = asked
        .query
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    answered.lock().unwrap().push(Answered {
        request: format!("{}?{}", uri.path(), query.join("&")),
        plural: asked.plural,
        name: asked.name,
        metadata_only,
        objects,
    });
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        with_parts(&body),
    )
        .into_response()
}

/// The answer, and how many objects it has.
fn body(cluster: Cluster, asked: &Asked, metadata_only: bool) -> (StatusCode, Value, usize) {
    let kinds = served(&asked.version);
    if asked.plural.is_empty() {
        let resource = |plural: &&str| json!({"name": plural, "singularName": "", "namespaced": true, "kind": plural, "verbs": ["list"]});
        let resources: Vec<Value> = kinds.iter().map(resource).collect();
        let body = json!({"kind": "APIResourceList", "groupVersion": asked.version, "resources": resources});
        return (StatusCode::OK, body, 0);
    }
    let missing = |details: Value| {
        let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": "not found", "details": details});
        (StatusCode::NOT_FOUND, body, 0)
    };
    if !kinds.contains(&asked.plural.as_str()) {
        return missing(json!({}));
    }
    let count = cluster.count(&asked.plural);
    if !asked.name.is_empty() {
        let mut all = 0..count;
        let found = all.find(|index| cluster.identity(&asked.plural, *index).name == asked.name);
        return match found {
            Some(index) => {
                let mut object = cluster.object(&asked.plural, index, metadata_only);
                if asked.plural != "wukongs" {
                    object["apiVersion"] = json!(asked.version);
                    object["kind"] = json!(match asked.plural.as_str() {
                        "namespaces" => "Namespace",
                        _ => "Any",
                    });
                }
                (StatusCode::OK, object, 1)
            }
            None => missing(json!({"name": asked.name, "kind": asked.plural})),
        };
    }
    let query = |key: &str| asked.query.get(key).map(String::as_str);
    // The cache ignores a limit.
    let limit = query("limit").filter(|_| query("resourceVersion") != Some("0"));
    let limit: usize = limit.map_or(usize::MAX, |limit| limit.parse().unwrap());
    let from: usize = query("continue").map_or(0, |from| from.parse().unwrap());
    let mut items = Vec::new();
    let mut more = None;
    for index in from..count {
        let identity = cluster.identity(&asked.plural, index);
        let inside = asked
            .namespace
            .as_deref()
            .is_none_or(|namespace| identity.namespace == Some(namespace));
        if !inside || !selects(query("labelSelector").unwrap_or_default(), &identity) {
            continue;
        }
        if items.len() == limit {
            more = Some(index.to_string());
            break;
        }
        items.push(cluster.object(&asked.plural, index, metadata_only));
    }
    let objects = items.len();
    // As of an API server, which writes an empty list of Go so.
    let items = (objects > 0).then_some(items);
    let body = json!({"kind": "List", "apiVersion": asked.version, "metadata": {"continue": more, "resourceVersion": "1"}, "items": items});
    (StatusCode::OK, body, objects)
}

/// Whether a label selector selects an object: `key`, `!key`, `key=value`, `key in (a,b)`.
fn selects(selector: &str, object: &Identity) -> bool {
    if let Some((key, values)) = selector.split_once(" in ") {
        let mut values = values.trim_matches(['(', ')']).split(',');
        return values.any(|value| object.labels.get(key).is_some_and(|label| label == value));
    }
    let mut requirements = selector
        .split(',')
        .filter(|requirement| !requirement.is_empty());
    requirements.all(|requirement| {
        let value = |key: &str| object.labels.get(key);
        match (requirement.strip_prefix('!'), requirement.split_once('=')) {
            (Some(key), _) => value(key).is_none(),
            (_, Some((key, wanted))) => value(key).is_some_and(|value| value == wanted),
            _ => value(requirement).is_some(),
        }
    })
}
