//! The claim that a DataVolume clones.

use crate::field::Field;
use crate::world::{Kind, World};

/// The claim that is cloned; none where the source is something else. The error says what does not exist.
pub fn origin<'a>(world: &'a World, dv: &Field<'_>) -> Result<Option<Field<'a>>, String> {
    let home = dv.at("metadata.namespace").text();
    let reference = dv.at("spec.sourceRef");
    if !reference.is_set() {
        return claim(world, &dv.at("spec.source.pvc"));
    }
    let namespace = match reference.child("namespace").text() {
        "" => home,
        namespace => namespace,
    };
    let named = world.get(Kind::DataSource, namespace, reference.name());
    let Some(named) = named else {
        return Err(format!(
            "The source DataSource {namespace}/{} doesn't exist",
            reference.name()
        ));
    };
    claim(world, &named.at("spec.source.pvc"))
}

fn claim<'a>(world: &'a World, source: &Field<'_>) -> Result<Option<Field<'a>>, String> {
    let name = source.name();
    if name.is_empty() {
        return Ok(None);
    }
    match world.get(Kind::Claim, source.child("namespace").text(), name) {
        None => Err(format!("The source pvc {name} doesn't exist")),
        claim => Ok(claim),
    }
}
