//! The objects of lists, one after the other: no list is ever in memory.

use futures::{AsyncBufReadExt, TryFutureExt};
use kube::Client;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::metadata::ListMeta;
use kube::core::{Request, Resource};
use serde::Deserialize;

use crate::split::Splitter;

/// Most objects in one page, as in kubectl.
const PAGE: u32 = 500;

/// Which objects of a kind are listed, and how.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Namespace; `None` for all.
    pub namespace: Option<String>,
    /// Label selector.
    pub labels: Option<String>,
    /// Field selector.
    pub fields: Option<String>,
    /// Whether the list is requested in pages. Without them, the API server answers from its cache, and sends object by object.
    /// With them it reads all but the first page from etcd, which takes it six times as long for Wukongs. So pages are for kinds
    /// without a cache, which are events.
    pub paged: bool,
}

/// Name and namespace of an object.
#[derive(Debug, Default, Deserialize)]
pub struct Name {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub namespace: String,
}

#[derive(Deserialize)]
struct Named {
    metadata: Name,
}

/// A list without its objects.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    metadata: ListMeta,
}

/// Passes every object of a list to `each`, as JSON.
///
/// # Errors
/// The API server refuses or cannot be reached, or `each` fails.
pub async fn each(
    client: &Client,
    kind: &ApiResource,
    selection: &Selection,
    each: impl FnMut(&[u8]) -> serde_json::Result<()>,
) -> Result<(), kube::Error> {
    walk(client, kind, selection, Request::list, each).await
}

/// Returns namespace and name of every object of a list that `keep` accepts. Only the metadata of objects is sent.
///
/// # Errors
/// The API server refuses or cannot be reached.
pub async fn names(
    client: &Client,
    kind: &ApiResource,
    selection: &Selection,
    keep: impl Fn(&Name) -> bool,
) -> Result<Vec<Name>, kube::Error> {
    let mut names = Vec::new();
    walk(client, kind, selection, Request::list_metadata, |json| {
        let Named { metadata } = serde_json::from_slice(json)?;
        if keep(&metadata) {
            names.push(metadata);
        }
        Ok(())
    })
    .await?;
    Ok(names)
}

/// Builds the request of a list.
type List = fn(&Request, &ListParams) -> Result<http::Request<Vec<u8>>, kube::core::request::Error>;

async fn walk(
    client: &Client,
    kind: &ApiResource,
    selection: &Selection,
    list: List,
    mut each: impl FnMut(&[u8]) -> serde_json::Result<()>,
) -> Result<(), kube::Error> {
    let of_kind = Request::new(DynamicObject::url_path(
        kind,
        selection.namespace.as_deref(),
    ));
    let mut params = ListParams {
        label_selector: selection.labels.clone(),
        field_selector: selection.fields.clone(),
        limit: selection.paged.then_some(PAGE),
        ..ListParams::default()
    };
    loop {
        let request = list(&of_kind, &params).map_err(kube::Error::BuildRequest)?;
        let mut body = std::pin::pin!(client.request_stream(request).await?);
        let mut splitter = Splitter::default();
        loop {
            let part = body.fill_buf().map_err(kube::Error::ReadEvents).await?;
            let length = part.len();
            if length == 0 {
                break;
            }
            splitter
                .feed(part, &mut each)
                .map_err(kube::Error::SerdeError)?;
            body.consume_unpin(length);
        }
        let list: Envelope =
            serde_json::from_slice(splitter.rest()).map_err(kube::Error::SerdeError)?;
        match list.metadata.continue_ {
            Some(token) if !token.is_empty() => params = params.continue_token(&token),
            _ => return Ok(()),
        }
    }
}
