//! Wukongs for tests.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wukong_api::{OperatorSettings, ValidatedWukong, Wukong};
use wukong_engine::Kind;
use wukong_engine::desired::{Body, DesiredSet, Surroundings, compose};

/// The uid of a first Wukong.
pub const UID: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

/// A spec of these fields, in YAML's flow style, beside `cpu` and `memory`.
#[track_caller]
pub fn spec(fields: &str) -> Value {
    let mut spec: Value = serde_saphyr::from_str(&format!("{{{fields}}}"))
        .unwrap_or_else(|error| panic!("{fields}: {error}"));
    for (field, default) in [("cpu", json!(2)), ("memory", json!("4Gi"))] {
        spec.as_object_mut()
            .unwrap()
            .entry(field)
            .or_insert(default);
    }
    spec
}

/// The Wukong `web` in the namespace `shop`, as stored.
pub fn stored(spec: &Value) -> Value {
    json!({
        "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong",
        "metadata": {"name": "web", "namespace": "shop", "uid": UID},
        "spec": spec,
    })
}

/// The same after every rule was checked.
pub fn validated(spec: &Value) -> Result<ValidatedWukong, String> {
    let wukong: Wukong = serde_json::from_value(stored(spec)).map_err(|error| error.to_string())?;
    ValidatedWukong::validate(&wukong, &making_bridges()).map_err(|error| error.to_string())
}

/// The policy of an operator that makes bridges on nodes.
pub fn making_bridges() -> OperatorSettings {
    OperatorSettings {
        manage_node_networks: true,
        ..OperatorSettings::default()
    }
}

/// Every object for a fresh Wukong in a cluster with everything installed, by `Kind/name`.
pub fn rendered(wukong: &ValidatedWukong) -> BTreeMap<String, Value> {
    objects(&compose(wukong, &Surroundings::fresh(wukong)))
}

/// Every object of a set, by `Kind/name`. (Without `..`, so that no kind is forgotten.)
pub fn objects(set: &DesiredSet) -> BTreeMap<String, Value> {
    let DesiredSet {
        nads,
        node_policies,
        data_volumes,
        claims,
        secret,
        virtual_machine,
    } = set;
    let mut bodies = vec![Body::of(Kind::VirtualMachine, virtual_machine)];
    bodies.extend(secret.iter().map(|object| Body::of(Kind::Secret, object)));
    bodies.extend(
        data_volumes
            .iter()
            .map(|object| Body::of(Kind::DataVolume, object)),
    );
    bodies.extend(
        claims
            .iter()
            .map(|object| Body::of(Kind::PersistentVolumeClaim, object)),
    );
    bodies.extend(
        nads.iter()
            .map(|object| Body::of(Kind::NetworkAttachmentDefinition, object)),
    );
    let policies = node_policies.iter().map(|policy| {
        let name = policy.metadata.name.as_deref().unwrap_or_default();
        let object = serde_json::to_value(policy).unwrap();
        (format!("NodeNetworkConfigurationPolicy/{name}"), object)
    });
    let bodies = bodies
        .into_iter()
        .map(|body| (body.target.to_string(), body.object));
    bodies.chain(policies).collect()
}

/// The example manifests by name, as they would be stored.
#[allow(
    clippy::disallowed_methods,
    reason = "the library reads no files, its tests read the examples"
)]
pub fn examples() -> Vec<(String, ValidatedWukong)> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/examples");
    let files = std::fs::read_dir(directory).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    // Policies are in a folder of their own.
    paths.retain(|path| path.is_file());
    paths.sort();
    let example = |path: &std::path::PathBuf| {
        let manifest = std::fs::read_to_string(path).unwrap();
        let mut wukong: Wukong = serde_saphyr::from_str(&manifest)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        wukong.metadata.namespace = Some("shop".into());
        wukong.metadata.uid = Some(UID.into());
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, ValidatedWukong::try_from(&wukong).unwrap())
    };
    let examples: Vec<_> = paths.iter().map(example).collect();
    assert!(!examples.is_empty());
    examples
}
