//! The claim that a DataVolume asks for, or why there is none.

use serde_json::{Value, json};

use crate::field::{Field, put};
use crate::storage::{self, Class};
use crate::world::World;

/// CDI's default filesystem overhead, in per cent.
const OVERHEAD: i128 = 6;
const SECTOR: i64 = 512;

/// A resolved target.
#[derive(Debug)]
pub struct Target {
    pub spec: Value,
    /// Whether the data gets in through a populator, as with CSI classes.
    pub populated: bool,
}

/// The claim's spec. The error is the text of `ErrClaimNotValid`.
pub fn resolve(world: &World, dv: &Field<'_>) -> Result<Target, String> {
    let (pvc, storage) = (dv.at("spec.pvc"), dv.at("spec.storage"));
    let form = if pvc.is_set() { &pvc } else { &storage };
    let named = form.child("storageClassName");
    let class = match named.value().as_str() {
        Some(name) => Class::named(world, name),
        None => Class::default(world),
    };
    let mut modes: Vec<String> = form
        .child("accessModes")
        .items()
        .map(|mode| mode.text().to_owned())
        .collect();
    let mut volume_mode = form.child("volumeMode").text().to_owned();
    if modes.is_empty() {
        let Some(class) = &class else {
            return Err(
                "PVC spec is missing accessMode and no storageClass to choose profile".into(),
            );
        };
        let Some((mode, profile_mode)) = storage::profile(world, &class.name) else {
            return Err(format!(
                "no accessMode specified in StorageProfile {}",
                class.name
            ));
        };
        if !volume_mode.is_empty() && volume_mode != profile_mode {
            return Err(format!(
                "no matching accessMode specified in StorageProfile {}",
                class.name
            ));
        }
        modes.push(mode);
        volume_mode = profile_mode;
    }
    if volume_mode.is_empty() {
        volume_mode = "Filesystem".into();
    }
    let size = form.at("resources.requests.storage");
    let no_class = named.value().as_str() == Some("");
    let request = if pvc.is_set() {
        size.value().clone()
    } else if volume_mode == "Filesystem" && !no_class {
        json!(with_overhead(size.quantity().value()).to_string())
    } else {
        json!(size.quantity().value().to_string())
    };
    let mut spec = json!({
        "accessModes": modes,
        "volumeMode": volume_mode,
        "resources": {"requests": {"storage": request}},
    });
    if let Some(name) = named
        .value()
        .as_str()
        .or(class.as_ref().map(|class| class.name.as_str()))
    {
        put(&mut spec, ["storageClassName"], json!(name));
    }
    Ok(Target {
        spec,
        populated: class.is_some_and(|class| class.csi),
    })
}

/// What a filesystem must have so that `bytes` fit, rounded up to a whole byte.
fn with_overhead(bytes: i64) -> i64 {
    let needed = i128::from(bytes) * (100 + OVERHEAD);
    i64::try_from(needed.div_euclid(100) + i128::from(needed.rem_euclid(100) != 0))
        .unwrap_or(i64::MAX)
}

/// What fits into a filesystem of `bytes`, in whole sectors.
pub fn without_overhead(bytes: i64) -> i64 {
    let fits = i128::from(bytes) * 100 / (100 + OVERHEAD);
    i64::try_from(fits).unwrap_or(i64::MAX) / SECTOR * SECTOR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gibibyte_on_a_filesystem_needs_six_per_cent_more() {
        assert_eq!(with_overhead(1 << 30), 1_138_166_334);
        assert_eq!(without_overhead(1_138_166_334), 1 << 30);
    }
}
