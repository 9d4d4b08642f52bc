//! Applying manifest files of this repository.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::discovery::{Scope, pinned_kind};
use kube::{Api, Client, ResourceExt};

use super::upstream::{FIELD_MANAGER, establish};

/// A path in the source tree that the lab was built from.
pub fn repository(path: &str) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).join(path)
}

/// The objects of one file.
pub fn read(path: &Path) -> Result<Vec<DynamicObject>> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    serde_saphyr::from_multiple(&text)
        .with_context(|| format!("{} is not a Kubernetes manifest", path.display()))
}

/// Applies the objects of a file in their order. Objects without a namespace go to `namespace`.
pub async fn apply(client: &Client, path: &Path, namespace: &str) -> Result<Vec<DynamicObject>> {
    let mut applied = Vec::new();
    for object in read(path)? {
        let name = object.name_any();
        let types = object
            .types
            .as_ref()
            .with_context(|| format!("{name} in {} has no kind", path.display()))?;
        let gvk = GroupVersionKind::try_from(types)?;
        let (resource, capabilities) = pinned_kind(client, &gvk).await?;
        let api: Api<DynamicObject> = match capabilities.scope {
            Scope::Cluster => Api::all_with(client.clone(), &resource),
            Scope::Namespaced => {
                let namespace = object.namespace().unwrap_or_else(|| namespace.to_owned());
                Api::namespaced_with(client.clone(), &namespace, &resource)
            }
        };
        let params = PatchParams {
            field_validation: Some(kube::api::ValidationDirective::Strict),
            ..PatchParams::apply(FIELD_MANAGER).force()
        };
        let stored = api
            .patch(&name, &params, &Patch::Apply(&object))
            .await
            .with_context(|| format!("applying {} {name} of {}", gvk.kind, path.display()))?;
        applied.push(stored);
    }
    Ok(applied)
}

/// Applies every file of a directory in the order of their names.
pub(crate) async fn apply_dir(client: &Client, dir: &Path) -> Result<()> {
    for path in yaml_files(dir)? {
        apply(client, &path, "default").await?;
    }
    Ok(())
}

/// Installs every CRD of a directory.
pub(crate) async fn establish_dir(client: &Client, dir: &Path) -> Result<()> {
    for path in yaml_files(dir)? {
        let text = fs::read_to_string(&path)?;
        let crds: Vec<CustomResourceDefinition> = serde_saphyr::from_multiple(&text)
            .with_context(|| format!("{} is not a CRD", path.display()))?;
        for crd in crds {
            establish(client, &crd).await?;
        }
    }
    Ok(())
}

fn yaml_files(dir: &Path) -> Result<Vec<PathBuf>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
