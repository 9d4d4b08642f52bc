//! Watches that begin with an old list, as from a watch cache that lags.

use anyhow::{Context, Result};
use axum::body::Body;
use futures::{StreamExt, TryStreamExt, stream};
use http::{Request, Response, Uri};
use kube::Client;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use tower::BoxError;

use crate::value::{at, set};

/// The present version of the cluster's objects.
pub(super) async fn version(client: &Client, namespace: &str) -> Result<String> {
    let path = format!("/apis/vm.novasphere.dev/v1alpha1/namespaces/{namespace}/wukongs?limit=1");
    let list: Value = client.request(Request::get(path).body(Vec::new())?).await?;
    let version = list.pointer("/metadata/resourceVersion");
    let version = version.and_then(Value::as_str);
    Ok(version.context("a list has a version")?.to_owned())
}

/// A watch at `uri` that begins with the list of this version, and continues from there after `until`.
pub(super) async fn watch(
    client: Client,
    uri: &Uri,
    version: &str,
    until: Instant,
) -> Result<Response<Body>> {
    let exact = query(
        uri,
        &["watch", "timeoutSeconds", "allowWatchBookmarks"],
        &[
            ("resourceVersion", version),
            ("resourceVersionMatch", "Exact"),
        ],
    )?;
    let list: Value = client
        .request(Request::get(exact).body(Vec::new())?)
        .await?;
    let first = initial_events(&list)?;
    let rest = query(uri, &[], &[("resourceVersion", version)])?;
    let rest = async move {
        sleep_until(until).await;
        let request = Request::get(rest).body(kube::client::Body::empty())?;
        let response = client.send(request).await?;
        Ok::<_, BoxError>(
            Body::new(response.into_body())
                .into_data_stream()
                .map_err(BoxError::from),
        )
    };
    let rest = stream::once(rest).try_flatten();
    let chunks = stream::once(async { Ok(first.into()) }).chain(rest);
    Ok(Response::builder()
        .header("content-type", "application/json")
        .body(Body::from_stream(chunks))?)
}

/// The events with which a streaming list begins, one a line.
fn initial_events(list: &Value) -> Result<String> {
    let kind = at(list, "/kind")
        .as_str()
        .and_then(|kind| kind.strip_suffix("List"));
    let kind = kind.context("the response is a list")?;
    let mut lines = String::new();
    let mut add = |type_: &str, mut object: Value| {
        set(&mut object, "kind", json!(kind));
        set(&mut object, "apiVersion", at(list, "/apiVersion").clone());
        lines.push_str(&json!({"type": type_, "object": object}).to_string());
        lines.push('\n');
    };
    for item in at(list, "/items").as_array().into_iter().flatten() {
        add("ADDED", item.clone());
    }
    let end = json!({"k8s.io/initial-events-end": "true"});
    let version = at(list, "/metadata/resourceVersion");
    add(
        "BOOKMARK",
        json!({"metadata": {"resourceVersion": version, "annotations": end}}),
    );
    Ok(lines)
}

/// A path with its query without some parameters, and with others.
fn query(uri: &Uri, without: &[&str], with: &[(&str, &str)]) -> Result<Uri> {
    let list = [
        "sendInitialEvents",
        "resourceVersion",
        "resourceVersionMatch",
    ];
    let dropped = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default();
        list.contains(&name) || without.contains(&name)
    };
    let kept = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !dropped(pair))
        .map(str::to_owned);
    let added = with.iter().map(|(name, value)| format!("{name}={value}"));
    let query: Vec<String> = kept.chain(added).filter(|pair| !pair.is_empty()).collect();
    Ok(format!("{}?{}", uri.path(), query.join("&")).parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_list_becomes_the_events_of_a_streaming_list() {
        let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"},
            "items": [{"metadata": {"name": "a"}}]});
        let events = initial_events(&list).unwrap();
        let lines: Vec<Value> = events
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            lines[0],
            json!({"type": "ADDED", "object": {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}}})
        );
        assert_eq!(lines[1]["type"], "BOOKMARK");
        assert_eq!(lines[1]["object"]["metadata"]["resourceVersion"], "7");
    }

    #[test]
    fn a_watch_becomes_a_list_of_one_version() {
        let uri: Uri =
            "https://server:1/api/v1/pods?watch=true&sendInitialEvents=true&labelSelector=a"
                .parse()
                .unwrap();
        let list = query(&uri, &["watch"], &[("resourceVersion", "7")]).unwrap();
        assert_eq!(
            list.to_string(),
            "/api/v1/pods?labelSelector=a&resourceVersion=7"
        );
    }
}
