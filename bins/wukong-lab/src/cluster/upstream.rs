//! The projects around a VM, as the schemas that they bring: what a lab installs, leaves out, or installs later.

use anyhow::{Context, Result};
use futures::future::try_join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams};

use kube::runtime::wait::{
    await_condition,
    conditions::{is_crd_established, is_deleted},
};
use kube::{Api, Client, ResourceExt};
use serde::Deserialize;
use wukong_sim::UPSTREAM_CRDS;

use super::wait::{CONTROL_PLANE_DEADLINE, eventually, within};

/// The field manager of what the lab itself sets up.
pub(crate) const FIELD_MANAGER: &str = "wukong-lab";

/// A project. A cluster may have or lack its CRDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Upstream {
    /// KubeVirt: virtual machines, their instances, migrations and snapshots.
    #[value(name = "kubevirt")]
    KubeVirt,
    /// The Containerized Data Importer: DataVolumes and their sources.
    Cdi,
    /// Multus: NetworkAttachmentDefinitions.
    Multus,
    /// NMState: node network policies.
    #[value(name = "nmstate")]
    NmState,
    /// The external snapshotter: VolumeSnapshots.
    Snapshots,
}

impl Upstream {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::KubeVirt,
        Self::Cdi,
        Self::Multus,
        Self::NmState,
        Self::Snapshots,
    ];

    fn groups(self) -> &'static [&'static str] {
        match self {
            Self::KubeVirt => &["kubevirt.io", "snapshot.kubevirt.io"],
            Self::Cdi => &["cdi.kubevirt.io"],
            Self::Multus => &["k8s.cni.cncf.io"],
            Self::NmState => &["nmstate.io"],
            Self::Snapshots => &["snapshot.storage.k8s.io"],
        }
    }

    fn crds(self) -> Result<Vec<CustomResourceDefinition>> {
        #[derive(Deserialize)]
        struct File {
            items: Vec<CustomResourceDefinition>,
        }
        let file: File = serde_json::from_str(UPSTREAM_CRDS)?;
        let mine =
            |crd: &CustomResourceDefinition| self.groups().contains(&crd.spec.group.as_str());
        Ok(file.items.into_iter().filter(mine).collect())
    }
}

/// Installs the CRDs of these projects and waits until the API server serves them.
pub(crate) async fn install(client: &Client, projects: &[Upstream]) -> Result<()> {
    let crds: Vec<_> = projects
        .iter()
        .map(|project| project.crds())
        .collect::<Result<Vec<_>>>()?
        .concat();
    try_join_all(crds.iter().map(|crd| establish(client, crd))).await?;
    Ok(())
}

/// Removes the CRDs of a project, and with them all objects of its kinds.
pub(crate) async fn remove(client: &Client, project: Upstream) -> Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for crd in project.crds()? {
        let name = crd.name_any();
        let Some(stored) = api.get_opt(&name).await? else {
            continue;
        };
        let uid = stored.uid().context("a stored object has a uid")?;
        api.delete(&name, &DeleteParams::default()).await?;
        within(
            &format!("{name} is gone"),
            await_condition(api.clone(), &name, is_deleted(&uid)),
        )
        .await??;
    }
    Ok(())
}

/// Applies one CRD and waits until the API server serves it, discovery included.
pub(crate) async fn establish(client: &Client, crd: &CustomResourceDefinition) -> Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = crd.name_any();
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch(&name, &params, &Patch::Apply(crd))
        .await
        .with_context(|| format!("installing {name}"))?;
    within(
        &format!("{name} is established"),
        await_condition(api, &name, is_crd_established()),
    )
    .await??;
    for version in crd.spec.versions.iter().filter(|version| version.served) {
        let group_version = format!("{}/{}", crd.spec.group, version.name);
        // Discovery follows a moment later.
        eventually(
            &format!("{name} is discovered"),
            CONTROL_PLANE_DEADLINE,
            async || {
                let found = client.list_api_group_resources(&group_version).await;
                let served = found.as_ref().is_ok_and(|list| {
                    list.resources
                        .iter()
                        .any(|kind| kind.name == crd.spec.names.plural)
                });
                if served {
                    Ok(())
                } else {
                    Err(found.map(|list| list.resources.len()))
                }
            },
        )
        .await?;
    }
    Ok(())
}
