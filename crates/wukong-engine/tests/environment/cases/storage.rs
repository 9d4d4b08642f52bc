//! Disks: CDI, classes, and who provisions.

use serde_json::{Value, json};
use wukong_api::Reason;
use wukong_engine::Presence;
use wukong_engine::diagnosis::CheckStatus::{Fail, Warn};

use super::{Case, plain};
use crate::cluster::Cluster;

fn on_local_path() -> Value {
    json!({"disks": [{"name": "root", "size": "20Gi", "storageClassName": "local-path"}]})
}

pub const CASES: &[Case] = &[
    Case {
        rule: "cdi-installed",
        cluster: || Cluster::healthy().presence("DataVolume", Presence::Missing),
        spec: plain,
        status: Fail,
        reason: Reason::CDINotInstalled,
        words: &["disks root"],
    },
    Case {
        rule: "cdi-available",
        cluster: || {
            Cluster::healthy().change("CDI", "cdi", |cdi| {
                cdi["status"] = json!({"phase": "Deploying", "conditions": [
                    {"type": "Available", "status": "False", "reason": "DeployStarted", "message": "Started Deployment"}]});
            })
        },
        spec: plain,
        status: Fail,
        reason: Reason::CDINotAvailable,
        words: &["Deploying", "Started Deployment"],
    },
    Case {
        rule: "default-class",
        cluster: || {
            Cluster::healthy().change("StorageClass", "ceph-block", |class| {
                class["metadata"]["annotations"] = json!({});
            })
        },
        spec: plain,
        status: Fail,
        reason: Reason::NoDefaultStorageClass,
        words: &["disks root name none"],
    },
    Case {
        rule: "storage-class",
        cluster: Cluster::healthy,
        spec: || json!({"disks": [{"name": "root", "size": "20Gi", "storageClassName": "fast"}]}),
        status: Fail,
        reason: Reason::StorageClassNotFound,
        words: &["no StorageClass fast", "ceph-block, local-path"],
    },
    Case {
        rule: "provisioner",
        cluster: || {
            Cluster::healthy()
                .without("CSIDriver", "rook")
                .without("CSINode", "worker")
        },
        spec: plain,
        status: Fail,
        reason: Reason::ProvisionerNotReady,
        words: &["ceph-block", "rook-ceph.rbd.csi.ceph.com is not installed"],
    },
    Case {
        rule: "provisioner",
        cluster: || Cluster::healthy().without("CSINode", "worker"),
        spec: plain,
        status: Fail,
        reason: Reason::ProvisionerNotReady,
        words: &["registered on no node"],
    },
    Case {
        rule: "provisioner",
        cluster: || Cluster::healthy().without("Pod", "local-path"),
        spec: on_local_path,
        status: Fail,
        reason: Reason::ProvisionerNotReady,
        words: &["rancher.io/local-path has no pod"],
    },
    Case {
        rule: "provisioner",
        cluster: || Cluster::healthy().crashing("local-path", "forbidden: configmaps"),
        spec: on_local_path,
        status: Fail,
        reason: Reason::ProvisionerNotReady,
        words: &["forbidden: configmaps"],
    },
    Case {
        rule: "storage-profile",
        cluster: || {
            Cluster::healthy().change("StorageProfile", "ceph-block", |profile| {
                profile["status"]["claimPropertySets"] = json!([]);
            })
        },
        spec: plain,
        status: Fail,
        reason: Reason::StorageProfileIncomplete,
        words: &["disk root", "ceph-block"],
    },
    Case {
        rule: "shared-disks",
        cluster: Cluster::healthy,
        spec: on_local_path,
        status: Warn,
        reason: Reason::DisksNotShared,
        words: &["disk root", "ReadWriteOnce"],
    },
];
