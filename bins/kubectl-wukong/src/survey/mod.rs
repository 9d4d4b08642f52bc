//! A survey: everything that the rules read, from the cluster or from a file.

mod about;
mod addresses;
mod children;
mod kept;
mod named;
mod read;
mod reduce;
mod rivals;
mod scope;
mod trim;

use futures::stream::{self, StreamExt};
use serde::Deserialize;
use serde_json::Value;
use wukong_api::Wukong;
use wukong_engine::catalogue::{self, Reader, StoreOf, Visitor, Watched};
use wukong_engine::environment::{Environment, is_in_cluster, is_provisioner};
use wukong_engine::facts::{Fact, Presence, StorageClassFact, Store};
use wukong_engine::world::World;

use crate::cluster::Cluster;
use crate::items::Selection;
use about::{any, name, namespace};
pub use kept::{Kept, is_known};
use read::{AT_ONCE, Part, Wanted, presence, read};
pub use scope::kind;
use scope::{CLASSES, PODS, Scope, WUKONGS};

/// Labels of pods that are not of VMs: their number does not grow with VMs.
const OF_NO_VM: &str = "!kubevirt.io,!cdi.kubevirt.io";

/// The objects of the kinds that the rules read.
#[derive(Debug, Default)]
pub struct Survey {
    parts: Vec<Part>,
}

impl Survey {
    /// Reads the cluster, and the Wukongs that have an address of one of `wukongs`. Quotas and limits are those of the cluster's
    /// namespace. A kind that does not exist or may not be read is recorded as such.
    ///
    /// # Errors
    /// The API server cannot be reached.
    pub async fn of_cluster(cluster: &Cluster, wukongs: &[&Wukong]) -> anyhow::Result<Self> {
        // In a vector, they are futures that another thread may continue.
        let rows: Vec<_> = scope::of_cluster()
            .map(|(row, scope)| of_row(cluster, row, scope))
            .collect();
        let (parts, rivals) = futures::join!(
            stream::iter(rows)
                .buffered(AT_ONCE)
                .collect::<Vec<anyhow::Result<Part>>>(),
            addresses::rivals(cluster, wukongs)
        );
        let mut parts = parts.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        parts.extend(rivals?);
        let mut survey = Self { parts };
        survey.read_provisioners(cluster).await?;
        Ok(survey)
    }

    /// Reads only the Wukongs that have an address of one of these.
    ///
    /// # Errors
    /// The API server cannot be reached.
    pub async fn of_addresses(cluster: &Cluster, wukongs: &[&Wukong]) -> anyhow::Result<Self> {
        let parts = addresses::rivals(cluster, wukongs).await?;
        Ok(Self {
            parts: parts.into_iter().collect(),
        })
    }

    /// Reads the objects of the cluster's namespace; they replace those of another namespace.
    ///
    /// # Errors
    /// The API server cannot be reached.
    pub async fn read_namespace(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        for (row, scope) in scope::of_cluster().filter(|(_, scope)| *scope == Scope::Namespace) {
            self.put(of_row(cluster, row, scope).await?);
        }
        Ok(())
    }

    /// Reads the pods of provisioners that are no CSI drivers, where a class has one. Only their names identify them, and the
    /// API server cannot select by part of a name: so the metadata of the pods of no VM is read.
    async fn read_provisioners(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        let classes = self.facts::<StorageClassFact>(CLASSES, any);
        if !classes
            .iter()
            .any(|class| is_in_cluster(&class.provisioner))
        {
            return Ok(());
        }
        let selection = Selection {
            labels: Some(OF_NO_VM.into()),
            ..Selection::default()
        };
        let found = read::by_name(cluster, PODS, &selection, |pod| is_provisioner(&pod.name));
        let found = found.await?;
        self.add(found);
        Ok(())
    }

    /// Returns the survey of a dump. A kind without objects is unknown: the dump may not include it.
    pub fn of_objects(objects: &[Value]) -> Self {
        let rows = catalogue::all(Reader::Plugin).into_iter();
        let parts = rows.map(|row| {
            let of_kind = |object: &&Value| scope::is_kind_of(row, object);
            let found: Vec<Value> = objects.iter().filter(of_kind).cloned().collect();
            Part {
                plural: row.plural,
                presence: match found.is_empty() {
                    true => Presence::Unknown,
                    false => Presence::Served,
                },
                objects: found,
            }
        });
        Self {
            parts: parts.collect(),
        }
    }

    /// Returns the input of the rules.
    pub fn environment(&self) -> Environment {
        self.world().environment
    }

    /// Returns the input of the operator's decision.
    pub fn world(&self) -> World {
        let mut fill = Fill {
            survey: self,
            world: World::default(),
        };
        catalogue::visit(Reader::Plugin, &mut fill);
        let mut world = fill.world;
        world.update_environment();
        let environment = &mut world.environment;
        self.fill(&mut environment.provisioner_pods, PODS, |pod| {
            is_provisioner(name(pod))
        });
        match self.presence(WUKONGS) {
            Presence::Served => drop(environment.addresses.replace(self.wukongs())),
            other => environment.addresses.clear(other),
        }
        world
    }

    /// The Wukongs, those that this version can read.
    fn wukongs(&self) -> Vec<Wukong> {
        let objects = self.objects(WUKONGS);
        objects
            .filter_map(|object| Wukong::deserialize(object).ok())
            .collect()
    }

    fn part(&self, plural: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.plural == plural)
    }

    fn objects(&self, plural: &str) -> impl Iterator<Item = &Value> {
        self.part(plural).into_iter().flat_map(|part| &part.objects)
    }

    /// Returns the objects of a kind.
    pub fn of_kind(&self, name: &str) -> impl Iterator<Item = &Value> {
        kind(name)
            .into_iter()
            .flat_map(|row| self.objects(row.plural))
    }

    /// Returns an object; the namespace of one without a namespace is empty.
    pub fn object(&self, kind: &str, namespace: &str, name: &str) -> Option<&Value> {
        let is =
            |object: &&Value| about::name(object) == name && about::namespace(object) == namespace;
        self.of_kind(kind).find(is)
    }

    fn presence(&self, plural: &str) -> Presence {
        self.part(plural)
            .map_or(Presence::Unknown, |part| part.presence)
    }

    /// Replaces the objects of a kind.
    fn put(&mut self, part: Part) {
        self.parts.retain(|known| known.plural != part.plural);
        self.parts.push(part);
    }

    /// Adds objects of a kind to those that are known.
    fn add(&mut self, more: Part) {
        let known = self.parts.iter_mut();
        let Some(part) = known.into_iter().find(|part| part.plural == more.plural) else {
            self.parts.push(more);
            return;
        };
        let key = |object: &Value| (namespace(object).to_owned(), name(object).to_owned());
        let known: std::collections::BTreeSet<_> = part.objects.iter().map(key).collect();
        let new = more.objects.into_iter();
        part.objects
            .extend(new.filter(|object| !known.contains(&key(object))));
    }

    /// Fills a store. Of a kind that may not be read everywhere, some objects may be known.
    fn fill<F: Fact>(&self, store: &mut Store<F>, plural: &str, keep: impl Fn(&Value) -> bool) {
        let facts = self.facts(plural, keep);
        match self.presence(plural) {
            Presence::Served => drop(store.replace(facts)),
            other => {
                store.clear(other);
                for fact in facts {
                    store.insert(fact);
                }
            }
        }
    }

    fn facts<F: Fact>(&self, plural: &str, keep: impl Fn(&Value) -> bool) -> Vec<F> {
        let objects = self.objects(plural);
        objects
            .filter(|object| keep(object))
            .map(F::project)
            .collect()
    }
}

/// Fills the stores with what a survey has.
struct Fill<'a> {
    survey: &'a Survey,
    world: World,
}

impl Visitor for Fill<'_> {
    fn kind<F: Fact>(&mut self, watched: &'static Watched, store: StoreOf<F>) {
        let has = |object: &Value| watched.objects.has(object);
        self.survey
            .fill(store(&mut self.world), watched.plural, has);
    }
}

/// Reads the objects of a row of the catalogue.
async fn of_row(cluster: &Cluster, row: &'static Watched, scope: Scope) -> anyhow::Result<Part> {
    if scope == Scope::Kind {
        return presence(cluster, row).await;
    }
    let objects = &row.objects;
    let selection = Selection {
        namespace: (scope == Scope::Namespace).then(|| cluster.namespace.clone()),
        labels: objects.label_selector(),
        fields: objects.field_selector(),
        ..Selection::default()
    };
    let kept = |object: &Value| objects.has(object);
    read(cluster, row.plural, vec![Wanted::List(selection)], kept).await
}
