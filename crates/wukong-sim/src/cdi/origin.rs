//! The claim that a DataVolume clones.

use crate::field::Field;
use crate::kind::Kind;
use crate::world::World;

/// What a DataVolume is to be made from and does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The DataSource.
    DataSource,
    /// The claim of this name.
    Claim(String),
}

/// The claim that is cloned; none where the source is something else.
///
/// # Errors
/// What does not exist.
pub fn origin<'a>(world: &'a World, dv: &Field<'_>) -> Result<Option<Field<'a>>, Absent> {
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
    claim(
        world,
        &named.ok_or(Absent::DataSource)?.at("spec.source.pvc"),
    )
}

fn claim<'a>(world: &'a World, source: &Field<'_>) -> Result<Option<Field<'a>>, Absent> {
    let name = source.name();
    if name.is_empty() {
        return Ok(None);
    }
    match world.get(Kind::Claim, source.child("namespace").text(), name) {
        None => Err(Absent::Claim(name.to_owned())),
        claim => Ok(claim),
    }
}
