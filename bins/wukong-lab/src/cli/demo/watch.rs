//! Watches all objects of a Wukong.

use std::pin::Pin;

use futures::stream::{Stream, StreamExt, select_all};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use wukong_api::labels;

/// The kinds, in the order in which a person would check them.
pub(super) const KINDS: [(&str, &str, &str, &str); 8] = [
    ("vm.novasphere.dev", "v1alpha1", "Wukong", "wukongs"),
    (
        "k8s.cni.cncf.io",
        "v1",
        "NetworkAttachmentDefinition",
        "network-attachment-definitions",
    ),
    ("cdi.kubevirt.io", "v1beta1", "DataVolume", "datavolumes"),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    ("", "v1", "Secret", "secrets"),
    ("kubevirt.io", "v1", "VirtualMachine", "virtualmachines"),
    (
        "kubevirt.io",
        "v1",
        "VirtualMachineInstance",
        "virtualmachineinstances",
    ),
    ("", "v1", "Pod", "pods"),
];

/// A change of one object.
pub(super) enum Change {
    Seen(&'static str, Box<DynamicObject>),
    Gone(&'static str, String),
}

/// Streams the changes in a namespace from now on, beginning with the existing objects.
pub(super) fn changes(
    client: &Client,
    namespace: &str,
) -> impl Stream<Item = Change> + Unpin + use<> {
    select_all(KINDS.map(|kind| changes_of(client, namespace, kind)))
}

fn changes_of(
    client: &Client,
    namespace: &str,
    (group, version, kind, plural): (&str, &str, &'static str, &str),
) -> Pin<Box<dyn Stream<Item = Change> + Send>> {
    let resource =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let mut config = watcher::Config::default();
    if kind == "Secret" {
        // Secrets are in a namespace for many reasons.
        config = config.labels(labels::WUKONG);
    }
    let events = watcher::watcher(api, config).default_backoff();
    Box::pin(events.filter_map(move |event| async move {
        match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => {
                Some(Change::Seen(kind, Box::new(object)))
            }
            Ok(Event::Delete(object)) => Some(Change::Gone(kind, object.metadata.name?)),
            // A kind that is not installed may be later.
            Ok(Event::Init | Event::InitDone) | Err(_) => None,
        }
    }))
}
