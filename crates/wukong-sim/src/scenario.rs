//! Failures on request.
//!
//! The annotation `simulator.wukong.dev/scenario` on a DataVolume, claim or VirtualMachine, on the Wukong it belongs to (found
//! by the label `vm.novasphere.dev/wukong`) or on the namespace names what shall go wrong, as `name[=value]`, several
//! separated by commas. Taking it away heals what can heal. An object's own annotation wins over the Wukong's, and that
//! over the namespace's. What is wrong with nodes, KubeVirt, CDI, Multus and storage classes is named on those themselves.

use super::field::Field;
use super::kind::Kind;
use super::world::World;

/// The annotation that names scenarios.
pub const ANNOTATION: &str = "simulator.wukong.dev/scenario";
const OWNER: &str = "vm.novasphere.dev/wukong";

/// What shall go wrong with one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scenario(Vec<(String, String)>);

impl Scenario {
    /// The scenario that holds for an object.
    pub fn of(world: &World, object: &Field<'_>) -> Self {
        let metadata = object.child("metadata");
        let namespace = metadata.child("namespace").text();
        let owner = metadata.child("labels").child(OWNER).text();
        let annotation = |object: Option<Field<'_>>| {
            let text = object.map_or("", |object| {
                object.at("metadata.annotations").child(ANNOTATION).text()
            });
            (!text.is_empty()).then(|| Self::parse(text))
        };
        annotation(Some(object.clone()))
            .or_else(|| annotation(world.get(Kind::Wukong, namespace, owner)))
            .or_else(|| annotation(world.get(Kind::Namespace, "", namespace)))
            .unwrap_or_default()
    }

    /// What an annotation says.
    pub fn parse(text: &str) -> Self {
        let pair = |item: &str| {
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            (name.trim().to_owned(), value.trim().to_owned())
        };
        Self(
            text.split(',')
                .map(pair)
                .filter(|(name, _)| !name.is_empty())
                .collect(),
        )
    }

    /// Whether a name is in it.
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The value of a name; empty when it has none.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The number that a scenario was given, or its default; `None` when it is not asked for.
    pub fn number(&self, name: &str, default: u32) -> Option<u32> {
        self.value(name)
            .map(|value| value.parse().unwrap_or(default))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values() {
        let scenario = Scenario::parse("import-dns, slow-import=7,unschedulable = kvm,,");
        assert!(scenario.has("import-dns") && !scenario.has("import-tls"));
        assert_eq!(scenario.number("slow-import", 100), Some(7));
        assert_eq!(scenario.number("import-dns", 3), Some(3));
        assert_eq!(scenario.value("unschedulable"), Some("kvm"));
    }
}
