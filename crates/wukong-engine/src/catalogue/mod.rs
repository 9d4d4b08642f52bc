//! Catalogue of the kinds that the operator watches or the plugin reads: one row for each. The operator's watches and the plugin's
//! survey follow from it, and a test compares it with the roles in `deploy`.

mod watched;

use crate::environment::is_multus;
use crate::facts::{CRD, Fact, Store};
use crate::world::World;
pub use watched::{Objects, Reader, Role, Wakes, Watched};

/// Selects the store of a kind in the world.
pub type StoreOf<F> = fn(&mut World) -> &mut Store<F>;

/// Receives the rows of the catalogue.
pub trait Visitor {
    /// Receives a row: a kind, its projection, and where its facts are kept.
    fn kind<F: Fact>(&mut self, watched: &'static Watched, store: StoreOf<F>);
}

/// The Wukongs themselves, which are no facts.
pub static WUKONG: Watched = Watched::custom(wukong_api::GROUP, "v1alpha1", "Wukong", "wukongs");

/// Events, which are kept beside the world.
pub static EVENT: Watched = Watched::built_in("", "v1", "Event", "events").plugin_only();

/// Passes the rows of a reader to a visitor, except [`WUKONG`] and [`EVENT`].
pub fn visit(reader: Reader, visitor: &mut impl Visitor) {
    struct Of<'a, V> {
        reader: Reader,
        visitor: &'a mut V,
    }

    impl<V: Visitor> Visitor for Of<'_, V> {
        fn kind<F: Fact>(&mut self, watched: &'static Watched, store: StoreOf<F>) {
            if watched.is_read_by(self.reader) {
                self.visitor.kind(watched, store);
            }
        }
    }

    rows(&mut Of { reader, visitor });
}

fn rows(visitor: &mut impl Visitor) {
    use Watched as W;

    // Objects that Wukongs own or reference, or on which all of them depend.
    visitor.kind(
        const { &W::custom("kubevirt.io", "v1", "VirtualMachine", "virtualmachines") },
        |world| &mut world.virtual_machines,
    );
    visitor.kind(
        const {
            &W::custom(
                "kubevirt.io",
                "v1",
                "VirtualMachineInstance",
                "virtualmachineinstances",
            )
        },
        |world| &mut world.instances,
    );
    visitor.kind(
        const { &W::custom("cdi.kubevirt.io", "v1beta1", "DataVolume", "datavolumes") },
        |world| &mut world.data_volumes,
    );
    visitor.kind(
        const {
            &W::custom(
                "k8s.cni.cncf.io",
                "v1",
                "NetworkAttachmentDefinition",
                "network-attachment-definitions",
            )
        },
        |world| &mut world.nads,
    );
    visitor.kind(
        const {
            &W::custom(
                "snapshot.storage.k8s.io",
                "v1",
                "VolumeSnapshot",
                "volumesnapshots",
            )
        },
        |world| &mut world.snapshots,
    );
    visitor.kind(
        const {
            &W::custom(
                "snapshot.kubevirt.io",
                "v1beta1",
                "VirtualMachineSnapshot",
                "virtualmachinesnapshots",
            )
            .wakes(Wakes::Named)
        },
        |world| &mut world.vm_snapshots,
    );
    visitor.kind(
        const {
            &W::custom(
                wukong_api::GROUP,
                "v1alpha1",
                "WukongSnapshot",
                "wukongsnapshots",
            )
            .wakes(Wakes::Named)
        },
        |world| &mut world.wukong_snapshots,
    );
    visitor.kind(
        const {
            &W::custom(
                wukong_api::GROUP,
                "v1alpha1",
                "WukongSnapshotSchedule",
                "wukongsnapshotschedules",
            )
            .wakes(Wakes::Itself)
        },
        |world| &mut world.snapshot_schedules,
    );
    visitor.kind(
        const {
            &W::custom(
                wukong_api::GROUP,
                "v1alpha1",
                "WukongRestore",
                "wukongrestores",
            )
            .wakes(Wakes::Named)
        },
        |world| &mut world.wukong_restores,
    );
    visitor.kind(
        const { &W::custom("cdi.kubevirt.io", "v1beta1", "DataSource", "datasources") },
        |world| &mut world.data_sources,
    );
    visitor.kind(
        const { &W::built_in("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims") },
        |world| &mut world.claims,
    );
    visitor.kind(
        const {
            &W::built_in("storage.k8s.io", "v1", "StorageClass", "storageclasses").cluster_scoped()
        },
        |world| &mut world.environment.storage_classes,
    );
    visitor.kind(
        const {
            &W {
                needed: false,
                ..W::built_in(
                    "apiextensions.k8s.io",
                    "v1",
                    "CustomResourceDefinition",
                    "customresourcedefinitions",
                )
                .cluster_scoped()
                .only(Objects::Named(CRD))
            }
        },
        |world| &mut world.environment.own_crds,
    );

    // The cluster itself.
    visitor.kind(
        const {
            &W::custom("kubevirt.io", "v1", "KubeVirt", "kubevirts").diagnosis(Wakes::Blocked)
        },
        |world| &mut world.environment.kubevirts,
    );
    visitor.kind(
        const {
            &W::built_in("", "v1", "Pod", "pods")
                .only(Objects::Labelled(
                    "kubevirt.io",
                    &[
                        "virt-api",
                        "virt-controller",
                        "virt-handler",
                        "virt-operator",
                    ],
                ))
                .diagnosis(Wakes::Blocked)
        },
        |world| &mut world.environment.kubevirt_pods,
    );
    visitor.kind(
        const {
            &W::built_in("", "v1", "Node", "nodes")
                .cluster_scoped()
                .diagnosis(Wakes::Blocked)
        },
        |world| &mut world.environment.nodes,
    );
    visitor.kind(
        const {
            &W::custom("cdi.kubevirt.io", "v1beta1", "CDI", "cdis")
                .cluster_scoped()
                .diagnosis(Wakes::Blocked)
        },
        |world| &mut world.environment.cdis,
    );
    visitor.kind(
        const {
            &W::custom(
                "cdi.kubevirt.io",
                "v1beta1",
                "StorageProfile",
                "storageprofiles",
            )
            .cluster_scoped()
            .diagnosis(Wakes::Blocked)
        },
        |world| &mut world.environment.storage_profiles,
    );
    visitor.kind(
        const {
            &W::built_in("storage.k8s.io", "v1", "CSIDriver", "csidrivers")
                .cluster_scoped()
                .diagnosis(Wakes::Blocked)
        },
        |world| &mut world.environment.csi_drivers,
    );
    visitor.kind(
        const {
            &W::built_in("storage.k8s.io", "v1", "CSINode", "csinodes")
                .cluster_scoped()
                .diagnosis(Wakes::Blocked)
        },
        |world| &mut world.environment.csi_nodes,
    );
    visitor.kind(
        const {
            &W::built_in("apps", "v1", "DaemonSet", "daemonsets")
                .only(Objects::WithName(is_multus))
                .diagnosis(Wakes::Blocked)
        },
        |world| &mut world.environment.multus,
    );
    visitor.kind(
        const {
            &W::custom(
                "nmstate.io",
                "v1beta1",
                "NodeNetworkState",
                "nodenetworkstates",
            )
            .cluster_scoped()
            .diagnosis(Wakes::Blocked)
        },
        |world| &mut world.environment.node_networks,
    );
    visitor.kind(
        const {
            &W::built_in("", "v1", "ResourceQuota", "resourcequotas")
                .diagnosis(Wakes::BlockedByQuota)
        },
        |world| &mut world.environment.quotas,
    );
    visitor.kind(
        const {
            &W::built_in("", "v1", "LimitRange", "limitranges").diagnosis(Wakes::BlockedByQuota)
        },
        |world| &mut world.environment.limit_ranges,
    );

    // Bridges on nodes.
    visitor.kind(
        const {
            &W::custom(
                "nmstate.io",
                "v1",
                "NodeNetworkConfigurationPolicy",
                "nodenetworkconfigurationpolicies",
            )
            .cluster_scoped()
            .node_networks()
        },
        |world| &mut world.environment.node_policies,
    );
    visitor.kind(
        const {
            &W::custom(
                "nmstate.io",
                "v1beta1",
                "NodeNetworkConfigurationEnactment",
                "nodenetworkconfigurationenactments",
            )
            .cluster_scoped()
            .node_networks()
        },
        |world| &mut world.environment.enactments,
    );

    // Only for the plugin: what KubeVirt does with a VM on request.
    visitor.kind(
        const {
            &W::custom(
                "kubevirt.io",
                "v1",
                "VirtualMachineInstanceMigration",
                "virtualmachineinstancemigrations",
            )
            .plugin_only()
        },
        |world| &mut world.migrations,
    );
    visitor.kind(
        const {
            &W::custom(
                "snapshot.kubevirt.io",
                "v1beta1",
                "VirtualMachineRestore",
                "virtualmachinerestores",
            )
            .plugin_only()
        },
        |world| &mut world.vm_restores,
    );

    // Only for the plugin: what surrounds a VM.
    visitor.kind(
        const {
            &W::built_in("", "v1", "Namespace", "namespaces")
                .cluster_scoped()
                .plugin_only()
        },
        |world| &mut world.environment.namespaces,
    );
    visitor.kind(
        const {
            &W::built_in("", "v1", "PersistentVolume", "persistentvolumes")
                .cluster_scoped()
                .plugin_only()
        },
        |world| &mut world.volumes,
    );
    visitor.kind(
        const { &W::built_in("", "v1", "Service", "services").plugin_only() },
        |world| &mut world.environment.services,
    );
    visitor.kind(
        const { &W::built_in("apps", "v1", "Deployment", "deployments").plugin_only() },
        |world| &mut world.environment.deployments,
    );
    visitor.kind(
        const {
            &W::built_in(
                "admissionregistration.k8s.io",
                "v1",
                "ValidatingWebhookConfiguration",
                "validatingwebhookconfigurations",
            )
            .cluster_scoped()
            .plugin_only()
        },
        |world| &mut world.environment.validating_webhooks,
    );
    visitor.kind(
        const {
            &W::built_in(
                "admissionregistration.k8s.io",
                "v1",
                "MutatingWebhookConfiguration",
                "mutatingwebhookconfigurations",
            )
            .cluster_scoped()
            .plugin_only()
        },
        |world| &mut world.environment.mutating_webhooks,
    );
}

/// Every row of a reader, the Wukongs first.
pub fn all(reader: Reader) -> Vec<&'static Watched> {
    struct Rows(Vec<&'static Watched>);

    impl Visitor for Rows {
        fn kind<F: Fact>(&mut self, watched: &'static Watched, _: StoreOf<F>) {
            self.0.push(watched);
        }
    }

    let mut rows = Rows(vec![&WUKONG, &EVENT]);
    rows.0.retain(|row| row.is_read_by(reader));
    visit(reader, &mut rows);
    rows.0
}
