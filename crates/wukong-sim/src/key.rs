//! What is simulated together, and which objects the next step of each depends on.

use serde_json::Value;

use crate::change::{Moment, Step};
use crate::field::Field;
use crate::installation::storage::LOCAL_PATH_NAMESPACE;
use crate::installation::{self, KUBEVIRT_NAMESPACE};
use crate::kind::{Kind, Ref};
use crate::world::World;
use crate::{cdi, kubevirt, snapshot};

/// A group of objects that is simulated together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// The DataVolume and the claim of a name.
    Disk(String, String),
    /// The VirtualMachine of a name, with its instance and launcher pod.
    Vm(String, String),
    /// The VirtualMachineSnapshot of a name, with its VolumeSnapshots.
    Snapshot(String, String),
    /// Any pod that is deleted.
    Pod(String, String),
    /// A storage class, its profile, and what makes its volumes.
    Class(String),
    /// What runs on a node.
    Node(String),
    /// What is to be made on nodes.
    NodePolicy(String),
    /// An installation of KubeVirt, CDI or Multus, by its kind.
    Installation(Kind),
}

impl Key {
    /// The key that an object itself belongs to.
    fn of(at: &Ref) -> Self {
        let (namespace, name) = (at.namespace.clone(), at.name.clone());
        match at.kind {
            Kind::Vm => Self::Vm(namespace, name),
            Kind::VmSnapshot => Self::Snapshot(namespace, name),
            Kind::Pod => Self::Pod(namespace, name),
            Kind::Node => Self::Node(name),
            Kind::NodePolicy => Self::NodePolicy(name),
            Kind::StorageClass => Self::Class(name),
            _ => Self::Disk(namespace, name),
        }
    }
}

/// Returns the next step of a key.
pub fn next(world: &World, key: &Key, moment: &Moment) -> Step {
    match key {
        Key::Disk(namespace, name) => cdi::next(world, namespace, name, moment),
        Key::Vm(namespace, name) => kubevirt::next(world, namespace, name, moment),
        Key::Snapshot(namespace, name) => snapshot::next(world, namespace, name, moment),
        Key::Pod(namespace, name) => kubevirt::next_pod(world, namespace, name),
        Key::Class(name) => installation::storage::next(world, name, moment),
        Key::Node(name) => installation::node::next(world, name, moment),
        Key::NodePolicy(name) => installation::nmstate::next(world, name, moment),
        Key::Installation(kind) => installation::next(world, *kind, moment),
    }
}

/// The keys with a next step that may depend on an object.
pub fn concerned(world: &World, at: &Ref, object: &Value) -> Vec<Key> {
    let (namespace, name) = (at.namespace.clone(), at.name.clone());
    let object = Field::new("", object);
    match at.kind {
        Kind::DataVolume | Kind::Claim => {
            let mut keys = vms_of(world, &namespace, |vm| {
                kubevirt::claim_names(&vm.at("spec.template.spec")).any(|claim| claim == at.name)
                    || vm
                        .at("spec.dataVolumeTemplates")
                        .items()
                        .any(|dv| dv.child("metadata").name() == at.name)
            });
            keys.push(Key::Disk(namespace, name));
            keys
        }
        Kind::Vm => {
            let mut keys = snapshots(world, &namespace);
            keys.push(Key::Vm(namespace, name));
            keys
        }
        Kind::Vmi => vec![Key::Vm(namespace, name)],
        Kind::VmSnapshot => {
            let mut keys = snapshots(world, &namespace);
            keys.push(Key::Snapshot(namespace, name));
            keys
        }
        Kind::VolumeSnapshot => snapshots(world, &namespace),
        Kind::Migration => vec![Key::Vm(
            namespace,
            object.at("spec.vmiName").text().to_owned(),
        )],
        Kind::Pod => {
            let domain = object
                .at("metadata.annotations")
                .child("kubevirt.io/domain")
                .text()
                .to_owned();
            let mut keys = vec![
                Key::Pod(namespace.clone(), name),
                Key::Vm(namespace.clone(), domain),
            ];
            if kubevirt::is_attachment(&object) {
                keys.extend(vms_of(world, &namespace, |_| true));
            }
            keys.extend(of_components(
                world,
                &namespace,
                object.at("spec.nodeName").text(),
            ));
            keys.extend(object.at("spec.volumes").items().filter_map(|volume| {
                let claim = volume.at("persistentVolumeClaim.claimName").text();
                (!claim.is_empty()).then(|| Key::Disk(namespace.clone(), claim.to_owned()))
            }));
            keys
        }
        Kind::ConfigMap => in_namespace(world, &namespace),
        Kind::LimitRange | Kind::ResourceQuota => Vec::new(),
        Kind::Secret => {
            let mut keys = vms_of(world, &namespace, |_| true);
            keys.extend(in_namespace(world, &namespace));
            keys
        }
        Kind::Nad => vms_of(world, &namespace, |_| true),
        Kind::DataSource => all(world, Kind::DataVolume),
        Kind::Wukong => in_namespace(world, &namespace),
        Kind::Namespace => in_namespace(world, &name),
        Kind::Node => {
            let mut keys = all(world, Kind::Vm);
            keys.extend(pods_of(world, &name));
            keys.push(Key::Installation(Kind::Nad));
            keys.push(Key::Installation(Kind::KubeVirt));
            keys.extend(all(world, Kind::NodePolicy));
            keys.push(Key::Node(name));
            keys
        }
        Kind::CsiNode | Kind::NodeNetwork => vec![Key::Node(name)],
        Kind::NodePolicy => {
            let mut keys = all(world, Kind::Node);
            keys.push(Key::NodePolicy(name));
            keys
        }
        Kind::Enactment => {
            let (policy, node) = installation::nmstate::of_enactment(&object);
            vec![Key::NodePolicy(policy.into()), Key::Node(node.into())]
        }
        Kind::DaemonSet => {
            let mut keys = all(world, Kind::Vm);
            keys.push(Key::Installation(Kind::Nad));
            keys
        }
        Kind::CsiDriver => all(world, Kind::StorageClass),
        Kind::KubeVirt | Kind::Cdi => {
            let mut keys = all(world, Kind::Vm);
            keys.extend(all(world, Kind::DataVolume));
            keys.extend(all(world, Kind::Node));
            keys.push(Key::Installation(at.kind));
            keys
        }
        Kind::StorageClass | Kind::StorageProfile => {
            let mut keys = all(world, Kind::DataVolume);
            keys.extend(all(world, Kind::Claim));
            keys.extend(all(world, Kind::StorageClass));
            keys.extend(all(world, Kind::Node));
            keys.push(Key::Class(name));
            keys
        }
    }
}

fn vms_of(world: &World, namespace: &str, concerned: impl Fn(&Field<'_>) -> bool) -> Vec<Key> {
    world
        .list(Kind::Vm, namespace)
        .filter(concerned)
        .map(|vm| Key::Vm(namespace.to_owned(), vm.child("metadata").name().to_owned()))
        .collect()
}

/// The keys of all snapshots of VMs in a namespace: one locks the VM of another.
fn snapshots(world: &World, namespace: &str) -> Vec<Key> {
    let all = world.list(Kind::VmSnapshot, namespace);
    all.map(|it| Key::Snapshot(namespace.to_owned(), it.child("metadata").name().to_owned()))
        .collect()
}

/// The key of the pods of installed components in a namespace.
fn of_components(world: &World, namespace: &str, node: &str) -> Vec<Key> {
    match namespace {
        KUBEVIRT_NAMESPACE => vec![
            Key::Installation(Kind::KubeVirt),
            Key::Node(node.to_owned()),
        ],
        LOCAL_PATH_NAMESPACE => all(world, Kind::StorageClass),
        _ => Vec::new(),
    }
}

fn pods_of(world: &World, node: &str) -> Vec<Key> {
    let pods = world.refs(Kind::Pod).filter(|at| {
        let pod = world.get(at.kind, &at.namespace, &at.name);
        pod.is_some_and(|pod| pod.at("spec.nodeName").text() == node)
    });
    pods.map(Key::of).collect()
}

/// The keys of all objects of a kind.
pub fn all(world: &World, kind: Kind) -> Vec<Key> {
    world.refs(kind).map(Key::of).collect()
}

fn in_namespace(world: &World, namespace: &str) -> Vec<Key> {
    [Kind::DataVolume, Kind::Claim, Kind::Vm]
        .into_iter()
        .flat_map(|kind| {
            world
                .list(kind, namespace)
                .map(move |object| (kind, object))
        })
        .map(|(kind, object)| Key::of(&Ref::new(kind, namespace, object.child("metadata").name())))
        .collect()
}
