//! Which objects of each kind of the catalogue a survey reads.

use serde_json::Value;
use wukong_engine::Kind;
use wukong_engine::catalogue::{self, Reader, Wakes, Watched};

/// Which objects of a kind a survey of the cluster reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// Those of the whole cluster. No kind of these grows with the number of VMs.
    Everywhere,
    /// Those of one namespace.
    Namespace,
    /// None: it only matters whether there is such a kind.
    Kind,
}

/// Plurals of kinds that a survey reads in a way of their own.
pub const WUKONGS: &str = "wukongs";
pub const PODS: &str = "pods";
pub const EVENTS: &str = "events";
pub const MACHINES: &str = "virtualmachines";
pub const INSTANCES: &str = "virtualmachineinstances";
pub const DATA_VOLUMES: &str = "datavolumes";
pub const CLAIMS: &str = "persistentvolumeclaims";
pub const NADS: &str = "network-attachment-definitions";
pub const VOLUME_SNAPSHOTS: &str = "volumesnapshots";
pub const DATA_SOURCES: &str = "datasources";
pub const MIGRATIONS: &str = "virtualmachineinstancemigrations";
pub const SNAPSHOTS: &str = "virtualmachinesnapshots";
pub const RESTORES: &str = "virtualmachinerestores";
pub const WUKONG_SNAPSHOTS: &str = "wukongsnapshots";
pub const WUKONG_RESTORES: &str = "wukongrestores";
pub const POLICIES: &str = "nodenetworkconfigurationpolicies";
pub const ENACTMENTS: &str = "nodenetworkconfigurationenactments";
pub const NAMESPACES: &str = "namespaces";
pub const VOLUMES: &str = "persistentvolumes";
pub const VALIDATING: &str = "validatingwebhookconfigurations";
pub const MUTATING: &str = "mutatingwebhookconfigurations";
pub const SERVICES: &str = "services";
pub const DEPLOYMENTS: &str = "deployments";
pub const NODES: &str = "nodes";
pub const NODE_NETWORKS: &str = "nodenetworkstates";
pub const CLASSES: &str = "storageclasses";

/// Returns the row of a kind.
pub fn row(plural: &str) -> Option<&'static Watched> {
    let mut rows = catalogue::all(Reader::Plugin).into_iter();
    rows.find(|row| row.plural == plural)
}

/// Returns the row of a kind by its name, such as `Node`.
pub fn kind(name: &str) -> Option<&'static Watched> {
    let mut rows = catalogue::all(Reader::Plugin).into_iter();
    rows.find(|row| row.kind == name)
}

/// Returns the kinds that a survey of the cluster reads, except Wukongs and the pods of provisioners.
pub fn of_cluster() -> impl Iterator<Item = (&'static Watched, Scope)> {
    let rows = catalogue::all(Reader::Operator).into_iter();
    rows.filter_map(|row| Some((row, scope(row)?)))
}

/// Returns the objects of a kind that the rules read; `None` if they read none and need not know whether the kind exists.
fn scope(row: &Watched) -> Option<Scope> {
    if row.plural == WUKONGS {
        return None;
    }
    // Those of one Wukong are read with its children, and no rule needs the schedules.
    if matches!(row.wakes, Wakes::Named | Wakes::Itself) {
        return None;
    }
    if row.namespaced && row.wakes == Wakes::Affected {
        let made = row.custom && Kind::ALL.iter().any(|kind| kind.as_ref() == row.kind);
        return made.then_some(Scope::Kind);
    }
    Some(match row.wakes {
        Wakes::BlockedByQuota => Scope::Namespace,
        _ => Scope::Everywhere,
    })
}

/// Whether an object is of this kind, whatever the version.
pub fn is_kind_of(row: &Watched, object: &Value) -> bool {
    let version = object.get("apiVersion").and_then(Value::as_str);
    let group = version
        .and_then(|version| version.rsplit_once('/'))
        .map_or("", |(group, _)| group);
    object.get("kind").is_some_and(|kind| kind == row.kind) && group == row.group
}

/// Whether the operator watches the object.
pub fn is_watched(plural: &str, object: &Value) -> bool {
    let mut rows = catalogue::all(Reader::Operator).into_iter();
    rows.any(|row| row.plural == plural && row.objects.has(object))
}
