//! Objects of the shape that the CustomResourceDefinition allows, and some that it does not: none of them breaks the engine.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};
use wukong_api::{OperatorSettings, ValidatedWukong, Wukong};
use wukong_apiserver::server::NAMESPACE;
use wukong_engine::{Decision, Kind, Memory, Observed, World as Facts, decide, undecodable};

use crate::cluster::{NOW, unseen};
use crate::paths::is_valid;
use crate::schema::{Generator, SPEC};

/// Bytes of a decision, besides eight times those of the manifest, that no manifest exceeds.
const BYTES_MAX: usize = 256 * 1024;
const FACTOR: usize = 8;
/// Secret texts of the manifest.
const CANARY: &str = "canary-7f3a";

/// How far an object gets.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Outcome {
    Undecodable,
    Invalid,
    Valid,
}

/// Decides about a generated object.
///
/// # Errors
/// What is wrong with the decision.
pub fn check(seed: u64) -> Result<Outcome, String> {
    let object = object(seed);
    let size = object.to_string().len();
    let decided = catch_unwind(AssertUnwindSafe(|| decided(&object)));
    let (outcome, decision) = decided.map_err(|_| format!("panics on {object}"))?;
    let Some(decision) = decision else {
        return Ok(outcome);
    };
    let complaint = complaint(&decision, size);
    complaint.map_or(Ok(outcome), |it| Err(format!("{it}: {object}")))
}

fn object(seed: u64) -> Value {
    let mut generator = Generator::new(seed, !seed.is_multiple_of(4));
    let mut spec = match seed % 2 {
        0 => generator.value(&SPEC, 0),
        // Few of those are valid.
        _ => nearly_valid(&mut generator),
    };
    if let Some(user) = spec.get_mut("cloudInitUser").and_then(Value::as_object_mut) {
        let field = ["password", "passwordHash"][generator.random.usize(..2)];
        user.remove("password");
        user.remove("passwordHash");
        user.insert(field.into(), json!(CANARY));
    }
    if generator.random.bool() && spec.is_object() {
        // Otherwise few objects get past the first rules.
        spec["cpu"] = json!(1);
        spec["memory"] = json!("1Gi");
    }
    json!({
        "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong", "spec": spec,
        "metadata": {"name": "web", "namespace": NAMESPACE, "uid": "wukong.web.0", "generation": 1},
    })
}

/// A valid spec with a few fields changed, if the generator is hostile.
fn nearly_valid(generator: &mut Generator) -> Value {
    let hostile = std::mem::take(&mut generator.hostile);
    let mut spec = json!({"cpu": 1, "memory": "1Gi"});
    for _ in 0..generator.random.usize(..60) {
        let mut next = spec.clone();
        generator.edit(&mut next, &SPEC);
        if is_valid(&next) {
            spec = next;
        }
    }
    generator.hostile = hostile;
    for _ in 0..generator.random.usize(..3) {
        generator.edit(&mut spec, &SPEC);
    }
    spec
}

fn decided(object: &Value) -> (Outcome, Option<Decision>) {
    let wukong: Wukong = match serde_json::from_value(object.clone()) {
        Ok(wukong) => wukong,
        Err(error) => {
            let mut bare = object.clone();
            bare["spec"] = json!({"cpu": 1, "memory": "1Gi"});
            let bare: Wukong = serde_json::from_value(bare).unwrap();
            undecodable(&bare, &error.to_string(), *NOW);
            return (Outcome::Undecodable, None);
        }
    };
    let settings = OperatorSettings {
        manage_node_networks: true,
        ..OperatorSettings::default()
    };
    let outcome = match ValidatedWukong::validate(&wukong, &settings) {
        Ok(_) => Outcome::Valid,
        Err(_) => Outcome::Invalid,
    };
    let mut facts = Facts {
        environment: unseen(),
        ..Facts::default()
    };
    facts.virtual_machines.replace(Vec::new());
    facts.instances.replace(Vec::new());
    facts.data_volumes.replace(Vec::new());
    facts.claims.replace(Vec::new());
    facts.nads.replace(Vec::new());
    facts.snapshots.replace(Vec::new());
    facts.data_sources.replace(Vec::new());
    facts.environment.node_policies.replace(Vec::new());
    facts.update_environment();
    let decision = decide(&Observed {
        wukong: &wukong,
        world: &facts,
        memory: &Memory::default(),
        settings: &settings,
        now: *NOW,
    });
    (outcome, Some(decision))
}

fn complaint(decision: &Decision, size: usize) -> Option<String> {
    let applies = || decision.apply.iter().chain(&decision.apply_vm);
    let stray = applies().find(|apply| {
        let namespace = &apply.body["metadata"]["namespace"];
        match apply.target.kind.is_namespaced() {
            true => *namespace != json!(NAMESPACE),
            false => !namespace.is_null(),
        }
    });
    if let Some(apply) = stray {
        return Some(format!("{} is in another namespace", apply.target));
    }
    let mut public: Vec<String> = applies()
        .filter(|apply| apply.target.kind != Kind::Secret)
        .map(|apply| apply.body.to_string())
        .collect();
    public.push(serde_json::to_string(&decision.status).unwrap());
    public.push(format!("{:?} {:?}", decision.events, decision.findings));
    if public.iter().any(|text| text.contains(CANARY)) {
        return Some("a password is outside the Secret".into());
    }
    let bytes: usize = public.iter().map(String::len).sum();
    (bytes > BYTES_MAX + FACTOR * size).then(|| format!("a decision of {bytes} bytes"))
}
