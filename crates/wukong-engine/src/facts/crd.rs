//! The CustomResourceDefinition of the Wukongs, as it is installed.

use kube::{CustomResourceExt, Resource};
use serde_json::Value;
use wukong_api::Wukong;

use super::same_but;
use super::text::Text;
use crate::facts::{Fact, Meta};

/// The name of the definition.
pub const CRD: &str = "wukongs.vm.novasphere.dev";

/// The fields of this version that the stored CRD lacks.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CrdFact {
    /// Identity and owner.
    pub meta: Meta,
    /// Paths of the fields that the API server drops, such as `spec.networks[].mtu`. If it drops a whole object, only that
    /// object.
    pub lacking: Vec<Text>,
}

impl Fact for CrdFact {
    fn project(object: &Value) -> Self {
        let mut lacking = Vec::new();
        let ours = serde_json::to_value(Wukong::crd()).unwrap_or_default();
        if let (Some(ours), Some(installed)) = (schema(&ours), schema(object)) {
            for part in ["spec", "status"] {
                let at = format!("/properties/{part}");
                if let (Some(ours), Some(installed)) = (ours.pointer(&at), installed.pointer(&at)) {
                    compare(part, ours, installed, &mut lacking);
                }
            }
        }
        Self {
            meta: Meta::project(object),
            lacking,
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn says_the_same(&self, other: &Self) -> bool {
        same_but(self, other, |fact| fact.meta = other.meta.clone())
    }
}

/// The schema of our version.
fn schema(definition: &Value) -> Option<&Value> {
    let versions = definition.pointer("/spec/versions")?.as_array()?;
    let ours = |version: &&Value| version.get("name") == Some(&Wukong::version(&()).into());
    versions
        .iter()
        .find(ours)?
        .pointer("/schema/openAPIV3Schema")
}

/// Compares as the API server prunes: it drops a field without a schema, unless the schema keeps unknown fields.
fn compare(path: &str, ours: &Value, installed: &Value, lacking: &mut Vec<Text>) {
    if installed.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true)) {
        return;
    }
    let properties = ours.get("properties").and_then(Value::as_object);
    for (name, ours) in properties.into_iter().flatten() {
        let path = format!("{path}.{name}");
        let known = installed
            .get("properties")
            .and_then(|known| known.get(name));
        match known {
            Some(known) => compare(&path, ours, known, lacking),
            None => lacking.push(path.into()),
        }
    }
    if let (Some(ours), Some(installed)) = (ours.get("items"), installed.get("items")) {
        compare(&format!("{path}[]"), ours, installed, lacking);
    }
}
