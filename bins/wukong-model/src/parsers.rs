//! The parsers of text that other programs and users write. For any text, each returns without a panic, and what it
//! returns is bounded.
//!
//! [`crate::texts`] gives them changed texts of the cases, and the fuzz targets in `fuzz/` what a fuzzer finds.

use serde_json::{Value, json};
use wukong_api::{Bytes, Mac, OperatorSettings, ValidatedWukong, Wukong};
use wukong_apiserver::server::NAMESPACE;
use wukong_engine::catalogue::{Reader, StoreOf, Visitor, Watched, visit};
use wukong_engine::diagnosis::evidence::Source;
use wukong_engine::diagnosis::{matching, scheduler};
use wukong_engine::facts::{EventFact, Fact, PodFact, bounded};
use wukong_engine::managed_fields;

/// A parser; the error is what is wrong with its result.
pub type Parser = fn(&str) -> Result<(), String>;

/// Every parser, with the name of its fuzz target.
pub const PARSERS: [(&str, Parser); 7] = [
    ("scheduler_message", scheduler_message),
    ("signatures", signatures),
    ("bounded_text", bounded_text),
    ("quantity", quantity),
    ("mac_address", mac_address),
    ("manifest", manifest),
    ("facts", facts),
];

const SOURCES: [Source; 16] = [
    Source::Importer,
    Source::DataVolume,
    Source::Claim,
    Source::Snapshot,
    Source::Event,
    Source::PodWaiting,
    Source::PodTerminated,
    Source::PodStatus,
    Source::Scheduler,
    Source::Synchronized,
    Source::Instance,
    Source::VmFailure,
    Source::RejectedWrite,
    Source::Migration,
    Source::NodeNetwork,
    Source::Component,
];
/// Longest text of another program that is kept, in characters.
const BOUND: usize = 1024;

/// A message of kube-scheduler about a pod without a node.
pub fn scheduler_message(text: &str) -> Result<(), String> {
    let _ = scheduler::parse(text);
    Ok(())
}

/// A text in which signatures are looked for.
pub fn signatures(text: &str) -> Result<(), String> {
    for source in SOURCES {
        for reason in ["", "FailedScheduling", "FailedMount", "SyncFailed"] {
            let _ = matching::matching(source, reason, text);
        }
    }
    Ok(())
}

/// A text that the status quotes.
pub fn bounded_text(text: &str) -> Result<(), String> {
    let short = bounded(text);
    let length = short.chars().count();
    match length > BOUND || short.chars().any(char::is_control) {
        true => Err(format!("{length} characters, or control characters")),
        false => Ok(()),
    }
}

/// A quantity of bytes.
pub fn quantity(text: &str) -> Result<(), String> {
    match Bytes::parse(text) {
        Some(bytes) if Bytes::parse(&bytes.to_string()) != Some(bytes) => {
            Err(format!("{bytes} is not what it is written as"))
        }
        _ => Ok(()),
    }
}

/// A hardware address.
pub fn mac_address(text: &str) -> Result<(), String> {
    match Mac::parse(text) {
        Some(mac) if Mac::parse(&mac.to_string()) != Some(mac) => {
            Err(format!("{mac} is not what it is written as"))
        }
        _ => Ok(()),
    }
}

/// A text as the spec of a Wukong, and as the value of its fields with a syntax.
pub fn manifest(text: &str) -> Result<(), String> {
    let fields = json!({
        "cpu": 1, "memory": text, "osImage": text,
        "networks": [{
            "name": "lan", "type": "bridge", "bridgeName": text, "macAddress": text,
            "ipConfig": {"address": text, "gateway": text, "dnsServers": [text], "routes": [{"to": text, "via": text}]},
        }],
    });
    let written = serde_json::from_str(text).ok();
    for spec in written.into_iter().chain([fields]) {
        let stored: Value = json!({
            "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong", "spec": spec,
            "metadata": {"name": "web", "namespace": NAMESPACE, "uid": "wukong.web.0"},
        });
        if let Ok(wukong) = serde_json::from_value::<Wukong>(stored) {
            let _ = ValidatedWukong::validate(&wukong, &OperatorSettings::default());
        }
    }
    Ok(())
}

/// An object in JSON, as every kind that is watched or queried.
pub fn facts(text: &str) -> Result<(), String> {
    let Ok(object) = serde_json::from_str::<Value>(text) else {
        return Ok(());
    };
    let _ = managed_fields::hash(&object);
    for reader in [Reader::Operator, Reader::Plugin] {
        visit(reader, &mut Projections(&object));
    }
    project::<PodFact>(&object);
    project::<EventFact>(&object);
    Ok(())
}

/// Takes an object for every kind of the catalogue.
struct Projections<'a>(&'a Value);

impl Visitor for Projections<'_> {
    fn kind<F: Fact>(&mut self, _: &'static Watched, _: StoreOf<F>) {
        project::<F>(self.0);
    }
}

fn project<F: Fact>(object: &Value) {
    let _ = F::project(object).index_keys();
}
