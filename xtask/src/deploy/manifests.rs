//! The manifests below `deploy/`.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

/// A file with objects.
pub struct Manifest {
    /// Relative to `deploy/`.
    pub path: String,
    pub objects: Vec<Value>,
}

/// Every manifest of some folders: the folders in the order given, the files by name.
pub fn read_folders(deploy: &Path, folders: &[&str]) -> anyhow::Result<Vec<Manifest>> {
    let mut manifests = Vec::new();
    for folder in folders {
        let mut names = Vec::new();
        let entries = fs::read_dir(deploy.join(folder))
            .with_context(|| format!("cannot read deploy/{folder}"))?;
        for entry in entries {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        for name in names.iter().filter(|name| name.ends_with(".yaml")) {
            manifests.push(read(deploy, &format!("{folder}/{name}"))?);
        }
    }
    Ok(manifests)
}

/// One manifest.
pub fn read(deploy: &Path, path: &str) -> anyhow::Result<Manifest> {
    let text = fs::read_to_string(deploy.join(path))
        .with_context(|| format!("cannot read deploy/{path}"))?;
    let objects =
        serde_saphyr::from_multiple(&text).with_context(|| format!("deploy/{path} is not YAML"))?;
    Ok(Manifest {
        path: path.to_owned(),
        objects,
    })
}

pub fn kind(object: &Value) -> &str {
    object
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default()
}
