//! Reads Wukongs from files.

use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use kube::{Resource, ResourceExt};
use serde_json::Value;
use wukong_api::validate::Problem;
use wukong_api::{GROUP, OperatorSettings, ValidatedWukong, Wukong, WukongPolicy};

use super::{Manifest, schema};
use crate::output;

/// The problems of manifests, each with its path.
#[derive(Debug)]
pub struct Refused(pub Vec<(String, Vec<Problem>)>);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        for (of, problems) in &self.0 {
            let count = problems.len();
            let noun = if count == 1 { "problem" } else { "problems" };
            writeln!(text, "{of}: {count} {noun}")?;
            for problem in problems {
                writeln!(text, "  {problem}")?;
            }
        }
        f.write_str(text.trim_end())
    }
}

impl std::error::Error for Refused {}

/// Values for fields that a manifest does not set.
pub struct Defaults<'a> {
    /// Namespace of the command line; a manifest with another namespace is refused.
    pub namespace: Option<&'a str>,
    /// Namespace if the command line has none.
    pub context_namespace: &'a str,
    /// Uid.
    pub uid: Option<&'a str>,
}

/// Reads the Wukongs of all files, in their order.
///
/// # Errors
/// A file that cannot be read, or [`Refused`] with every problem of every manifest.
pub fn read(
    files: &[PathBuf],
    defaults: &Defaults<'_>,
    settings: &OperatorSettings,
) -> anyhow::Result<Vec<Manifest>> {
    let mut manifests = Vec::new();
    let mut refused = Vec::new();
    for file in files {
        for document in documents(file)? {
            if !is_wukong(&document) {
                continue;
            }
            let of = format!("{} in {}", title(&document), shown(file));
            match of_document(document, defaults, settings) {
                Ok(manifest) => manifests.push(manifest),
                Err(problems) => refused.push((of, problems)),
            }
        }
    }
    for manifest in &manifests {
        for ignored in manifest.wukong.ignored_fields() {
            output::note(&format!("warning: {manifest}: {ignored}"));
        }
    }
    if !refused.is_empty() {
        bail!(Refused(refused));
    }
    if manifests.is_empty() {
        bail!(
            "no Wukong (apiVersion: {}) in the given files",
            Wukong::api_version(&())
        );
    }
    Ok(manifests)
}

/// Returns the objects of a file, including those of a `List`.
///
/// # Errors
/// A file that cannot be read, or is not YAML.
pub fn documents(file: &Path) -> anyhow::Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text(file)?)
        .with_context(|| format!("{} is not YAML", shown(file)))?;
    Ok(documents.into_iter().flat_map(items).collect())
}

fn shown(file: &Path) -> String {
    match file == Path::new("-") {
        true => "standard input".into(),
        false => file.display().to_string(),
    }
}

fn text(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Returns the items of a `List`, or the document itself.
fn items(document: Value) -> Vec<Value> {
    match document {
        Value::Object(mut list) if list.get("kind").is_some_and(|kind| kind == "List") => {
            match list.remove("items") {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            }
        }
        other => vec![other],
    }
}

/// Returns whether a document is meant as a Wukong, by its kind or its group.
fn is_wukong(document: &Value) -> bool {
    let field = |name: &str| {
        document
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    field("kind") == Wukong::kind(&())
        || field("apiVersion").starts_with(GROUP) && !is_policy(document)
}

/// Returns whether a document is a WukongPolicy.
pub fn is_policy(document: &Value) -> bool {
    document
        .get("kind")
        .is_some_and(|kind| *kind == *WukongPolicy::kind(&()))
}

/// Reads a WukongPolicy as strictly as the API server does.
///
/// # Errors
/// Every problem of the policy.
pub fn policy(document: Value) -> Result<WukongPolicy, Refused> {
    let name = document.pointer("/metadata/name").and_then(Value::as_str);
    let of = format!("WukongPolicy {}", name.unwrap_or("without a name"));
    let (document, mut problems) = schema::check::<WukongPolicy>(document);
    let parsed = serde_json::from_value(document);
    if let (Err(error), true) = (&parsed, problems.is_empty()) {
        problems.push(problem("spec", error.to_string()));
    }
    match parsed {
        Ok(policy) if problems.is_empty() => Ok(policy),
        _ => Err(Refused(vec![(of, problems)])),
    }
}

fn title(document: &Value) -> String {
    let name = document.pointer("/metadata/name").and_then(Value::as_str);
    format!("Wukong {}", name.unwrap_or("without a name"))
}

/// Reads a Wukong.
///
/// # Errors
/// Every problem of the manifest.
pub fn of_document(
    mut document: Value,
    defaults: &Defaults<'_>,
    settings: &OperatorSettings,
) -> Result<Manifest, Vec<Problem>> {
    if let Some(spec) = document.get_mut("spec") {
        schema::drop_empty(spec);
    }
    let (document, mut problems) = schema::check::<Wukong>(document);
    let parsed = serde_json::from_value::<Wukong>(document);
    let mut wukong = match parsed {
        Ok(wukong) => wukong,
        Err(error) => {
            if problems.is_empty() {
                problems.push(problem("spec", error.to_string()));
            }
            return Err(problems);
        }
    };
    let selected = defaults.namespace.unwrap_or(defaults.context_namespace);
    let namespace = wukong
        .meta_mut()
        .namespace
        .get_or_insert_with(|| selected.to_owned());
    if defaults
        .namespace
        .is_some_and(|selected| selected != namespace)
    {
        let message = format!("{namespace} differs from --namespace {selected}");
        problems.push(problem("metadata.namespace", message));
    }
    if let Some(uid) = defaults.uid {
        wukong.meta_mut().uid = Some(uid.to_owned());
    }
    if wukong.meta().name.is_none() {
        problems.push(problem("metadata.name", "is required"));
        return Err(problems);
    }
    match ValidatedWukong::validate(&wukong, settings) {
        Ok(validated) if problems.is_empty() => Ok(Manifest { wukong, validated }),
        Ok(_) => Err(problems),
        Err(invalid) => {
            // The messages of the rules are more helpful than those of the schema.
            problems.retain(|known| {
                invalid
                    .problems
                    .iter()
                    .all(|other| other.path != known.path)
            });
            problems.extend(invalid.problems);
            Err(problems)
        }
    }
}

fn problem(path: &str, message: impl Into<String>) -> Problem {
    Problem {
        path: path.into(),
        message: message.into(),
    }
}

/// Displays namespace and name.
impl std::fmt::Display for Manifest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let namespace = self.wukong.namespace().unwrap_or_default();
        write!(f, "{namespace}/{}", self.wukong.name_any())
    }
}
