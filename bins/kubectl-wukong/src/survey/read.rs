//! Requests of a survey.

use futures::stream::{self, StreamExt};
use kube::Api;
use kube::api::DynamicObject;
use serde_json::Value;
use wukong_engine::catalogue::Watched;
use wukong_engine::facts::Presence;

use super::scope;
use super::trim::trim;
use crate::cluster::{Cluster, denied, readable, unseen};
use crate::items::{self, Name, Selection};

/// How many requests of a kind are sent at the same time.
pub const AT_ONCE: usize = 8;

/// The objects of one kind.
#[derive(Debug)]
pub struct Part {
    pub plural: &'static str,
    pub presence: Presence,
    pub objects: Vec<Value>,
}

impl Part {
    /// A kind of which nothing was read.
    fn unread(plural: &'static str) -> Self {
        Self {
            plural,
            presence: Presence::Unknown,
            objects: Vec::new(),
        }
    }
}

/// Some objects of a kind.
#[derive(Debug)]
pub enum Wanted {
    /// The one of this name, in a namespace or in none.
    One(Option<String>, String),
    /// Those of a list.
    List(Selection),
}

/// Reads some objects of a kind, and keeps those that `keep` accepts. What does not exist is left out. If some may not be
/// read, the others are known all the same. Without any wanted, nothing is known.
///
/// # Errors
/// The API server cannot be reached.
pub async fn read(
    cluster: &Cluster,
    plural: &'static str,
    wanted: Vec<Wanted>,
    keep: impl Fn(&Value) -> bool,
) -> anyhow::Result<Part> {
    let mut part = Part::unread(plural);
    let Some(row) = scope::row(plural) else {
        return Ok(part);
    };
    let answers: Vec<Result<Vec<Value>, kube::Error>> = stream::iter(wanted)
        .map(|wanted| request(cluster, row, wanted, &keep))
        .buffered(AT_ONCE)
        .collect()
        .await;
    for answer in answers {
        match answer {
            Ok(objects) => {
                part.objects.extend(objects);
                if part.presence == Presence::Unknown {
                    part.presence = Presence::Served;
                }
            }
            Err(error) => part.presence = denied(&error).ok_or_else(|| readable(error))?,
        }
    }
    Ok(part)
}

/// Reads whether the API server serves the kind. Every authenticated user may read the discovery documents.
///
/// # Errors
/// The API server cannot be reached.
pub async fn presence(cluster: &Cluster, row: &'static Watched) -> anyhow::Result<Part> {
    let client = &cluster.client;
    let presence = match client.list_api_group_resources(&row.api_version()).await {
        Ok(found) => match found.resources.iter().any(|kind| kind.name == row.plural) {
            true => Presence::Served,
            false => Presence::Missing,
        },
        Err(error) => unseen(error)?,
    };
    Ok(Part {
        plural: row.plural,
        presence,
        objects: Vec::new(),
    })
}

/// Reads the objects of a list of which `keep` accepts the name. First only the metadata of all is read.
///
/// # Errors
/// The API server cannot be reached.
pub async fn by_name(
    cluster: &Cluster,
    plural: &'static str,
    selection: &Selection,
    keep: impl Fn(&Name) -> bool,
) -> anyhow::Result<Part> {
    let mut part = Part::unread(plural);
    let Some(row) = scope::row(plural) else {
        return Ok(part);
    };
    match items::names(&cluster.client, &row.api_resource(), selection, keep).await {
        Ok(names) => {
            let wanted = names.into_iter();
            let wanted = wanted.map(|name| Wanted::One(Some(name.namespace), name.name));
            read(cluster, plural, wanted.collect(), |_| true).await
        }
        Err(error) => {
            part.presence = unseen(error)?;
            Ok(part)
        }
    }
}

async fn request(
    cluster: &Cluster,
    row: &Watched,
    wanted: Wanted,
    keep: impl Fn(&Value) -> bool,
) -> Result<Vec<Value>, kube::Error> {
    let kind = row.api_resource();
    match wanted {
        Wanted::One(namespace, name) => {
            let client = cluster.client.clone();
            let api: Api<DynamicObject> = match &namespace {
                Some(namespace) => Api::namespaced_with(client, namespace, &kind),
                None => Api::all_with(client, &kind),
            };
            match api.get(&name).await {
                Ok(object) => {
                    let object = serde_json::to_value(object).map_err(kube::Error::SerdeError)?;
                    Ok(Vec::from_iter(Some(object).filter(keep)))
                }
                Err(error) if is_absent(&error) => Ok(Vec::new()),
                Err(error) => Err(error),
            }
        }
        Wanted::List(selection) => {
            let mut objects = Vec::new();
            items::each(&cluster.client, &kind, &selection, |json| {
                let mut object: Value = serde_json::from_slice(json)?;
                if !keep(&object) {
                    return Ok(());
                }
                // The objects in lists of built-in kinds have no type.
                if let Some(fields) = object.as_object_mut() {
                    fields.insert("apiVersion".into(), row.api_version().into());
                    fields.insert("kind".into(), row.kind.into());
                }
                trim(row.plural, &mut object);
                objects.push(object);
                Ok(())
            })
            .await?;
            Ok(objects)
        }
    }
}

/// Whether the kind exists and the object does not: only then the API server names the object.
fn is_absent(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else {
        return false;
    };
    let object = status.details.as_ref().map(|details| &details.name);
    status.code == 404 && object.is_some_and(|name| !name.is_empty())
}
