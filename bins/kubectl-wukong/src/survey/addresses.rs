//! The Wukongs that have an address of a given Wukong.

use std::collections::BTreeSet;

use kube::api::ApiResource;
use serde::Deserialize;
use serde_json::{Value, json};
use wukong_api::{Wukong, WukongSpec};
use wukong_engine::environment::addresses::{Addresses, WukongName};
use wukong_engine::facts::Presence;

use super::about::{identity, key};
use super::read::Part;
use super::scope::WUKONGS;
use crate::cluster::{Cluster, denied, unseen};
use crate::items::{self, Name, Selection};

/// Finds the Wukongs that share an address with one of some Wukongs.
pub struct Sharing {
    wukongs: BTreeSet<WukongName>,
    /// Their addresses.
    index: Addresses,
}

impl Sharing {
    /// Shares with these; `None` if none of them names an address.
    pub fn with(wukongs: &[&Wukong]) -> Option<Self> {
        if !wukongs.iter().any(|wukong| names_any(wukong)) {
            return None;
        }
        let mut index = Addresses::default();
        index.replace(wukongs.iter().copied());
        Some(Self {
            wukongs: wukongs.iter().map(|wukong| key(wukong)).collect(),
            index,
        })
    }

    /// Whether another Wukong has an address of one of them.
    pub fn has(&mut self, other: &Wukong) -> bool {
        let (namespace, name) = key(other);
        if self.wukongs.contains(&(namespace.clone(), name.clone())) {
            return false;
        }
        self.index.note(other);
        let shares = self
            .index
            .rivals()
            .contains(&(namespace.clone(), name.clone()));
        self.index.forget(&namespace, &name);
        shares
    }
}

/// Whether a Wukong names an address: then another one with the same spec shares it.
fn names_any(wukong: &Wukong) -> bool {
    let mut twin = wukong.clone();
    let name = if identity(wukong).1 == "a" { "b" } else { "a" };
    twin.metadata.name = Some(name.into());
    let mut both = Addresses::default();
    both.replace([wukong, &twin]);
    !both.rivals().is_empty()
}

/// The parts of a Wukong on which its addresses depend. They are cheaper to parse and to validate than all of it.
#[derive(Deserialize)]
struct Outline {
    metadata: Name,
    spec: Addressed,
}

#[derive(Deserialize)]
struct Addressed {
    cpu: Value,
    memory: Value,
    #[serde(default)]
    networks: Vec<Value>,
}

impl Outline {
    /// The Wukong with these parts only; `None` if it has none of its own addresses, or cannot be read.
    fn wukong(self) -> Option<Wukong> {
        let Addressed {
            cpu,
            memory,
            networks,
        } = self.spec;
        let asks = |network: &Value| {
            ["macAddress", "ipConfig"].map(|field| network.get(field)) != [None; 2]
        };
        if !networks.iter().any(asks) {
            return None;
        }
        let spec = json!({"cpu": cpu, "memory": memory, "networks": networks});
        let mut wukong = Wukong::new(&self.metadata.name, WukongSpec::deserialize(spec).ok()?);
        wukong.metadata.namespace = Some(self.metadata.namespace);
        Some(wukong)
    }
}

/// Reads all Wukongs, and keeps those that share an address with one of these and these themselves; those of the namespace
/// where the others may not be read. `None` if none of them names an address: then no other matters.
///
/// # Errors
/// The API server cannot be reached.
pub async fn rivals(cluster: &Cluster, wukongs: &[&Wukong]) -> anyhow::Result<Option<Part>> {
    let Some(mut sharing) = Sharing::with(wukongs) else {
        return Ok(None);
    };
    let mut answer = list(cluster, None, &mut sharing).await;
    if let Err(error) = &answer
        && denied(error) == Some(Presence::Forbidden)
    {
        answer = list(cluster, Some(cluster.namespace.clone()), &mut sharing).await;
    }
    let (presence, objects) = match answer {
        Ok(objects) => (Presence::Served, objects),
        Err(error) => (unseen(error)?, Vec::new()),
    };
    Ok(Some(Part {
        plural: WUKONGS,
        presence,
        objects,
    }))
}

async fn list(
    cluster: &Cluster,
    namespace: Option<String>,
    sharing: &mut Sharing,
) -> Result<Vec<Value>, kube::Error> {
    let kind = ApiResource::erase::<Wukong>(&());
    let selection = Selection {
        namespace,
        ..Selection::default()
    };
    let mut found = Vec::new();
    items::each(&cluster.client, &kind, &selection, |json| {
        let outline = serde_json::from_slice::<Outline>(json).ok();
        let Some(wukong) = outline.and_then(Outline::wukong) else {
            return Ok(());
        };
        if sharing.wukongs.contains(&key(&wukong)) || sharing.has(&wukong) {
            found.push(serde_json::from_slice(json)?);
        }
        Ok(())
    })
    .await?;
    Ok(found)
}
