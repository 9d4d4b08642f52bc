//! The Helm chart, made of the manifests and the settings.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value, json};

use super::manifests::{Manifest, kind};
use super::notes;
use super::values::{Objects, Place, SETTINGS, Setting};

/// Where the manifests install. The chart installs where the release is.
const NAMESPACE: &str = "wukong-system";
const MADE: &str = "Made by `cargo xtask gen-deploy` from";

/// Every file of the chart, by its path in it.
pub fn compose(manifests: &[Manifest]) -> anyhow::Result<BTreeMap<String, String>> {
    let version = env!("CARGO_PKG_VERSION");
    let mut composer = Composer::default();
    let mut files = BTreeMap::new();
    for manifest in manifests {
        let template = composer.template(manifest, version)?;
        files.insert(format!("templates/{}", manifest.path), template);
    }
    let defaults = composer.defaults()?;
    files.insert("Chart.yaml".into(), notes::chart_yaml(version)?);
    files.insert("values.yaml".into(), values_yaml(&defaults)?);
    files.insert("values.schema.json".into(), values_schema()?);
    files.insert("README.md".into(), readme(&defaults)?);
    files.insert("templates/NOTES.txt".into(), notes::NOTES.into());
    Ok(files)
}

/// Turns manifests into templates, and learns the defaults of the values from them.
#[derive(Default)]
struct Composer {
    defaults: BTreeMap<&'static str, Value>,
    /// What stands in a manifest while it is YAML, and what it becomes in the template.
    marks: Vec<(String, String)>,
}

impl Composer {
    fn template(&mut self, manifest: &Manifest, version: &str) -> anyhow::Result<String> {
        let mut text = format!("# {MADE} deploy/{}. Do not edit.\n", manifest.path);
        for object in &manifest.objects {
            let mut object = object.clone();
            let mut switch = None;
            for setting in SETTINGS {
                match &setting.place {
                    Place::Switch(objects, default) if objects.contain(manifest, &object) => {
                        self.defaults.insert(setting.path, json!(default));
                        switch = Some(format!(".Values.{}", setting.path));
                    }
                    Place::SwitchFrom(objects, version) if objects.contain(manifest, &object) => {
                        self.defaults.insert(setting.path, json!(false));
                        switch = Some(format!(
                            "or .Values.{} (semverCompare \"<{version}-0\" .Capabilities.KubeVersion.Version)",
                            setting.path
                        ));
                    }
                    Place::SwitchAndEnv(objects, _) if objects.contain(manifest, &object) => {
                        switch = Some(format!(".Values.{}", setting.path));
                    }
                    _ => {}
                }
                self.put(setting, &mut object)?;
            }
            if kind(&object) == "Deployment" {
                self.put_image(&mut object, version)?;
            }
            if kind(&object) == "CustomResourceDefinition" {
                // Removing it would remove every Wukong, and with them every VM.
                insert(
                    &mut object,
                    "/metadata/annotations",
                    "helm.sh/resource-policy",
                    json!("keep"),
                )?;
            }
            self.put_namespace(&mut object);
            let yaml = self.unmark(&serde_saphyr::to_string(&object)?);
            match switch {
                Some(switch) => {
                    write!(text, "{{{{- if {switch} }}}}\n---\n{yaml}{{{{- end }}}}\n")?
                }
                None => write!(text, "---\n{yaml}")?,
            }
        }
        Ok(text)
    }

    /// The default of every value.
    fn defaults(mut self) -> anyhow::Result<BTreeMap<&'static str, Value>> {
        for setting in SETTINGS {
            if matches!(setting.place, Place::ImagePart) {
                self.defaults.insert(setting.path, json!(""));
            }
            ensure!(
                self.defaults.contains_key(setting.path),
                "no manifest has what `{}` sets",
                setting.path
            );
        }
        Ok(self.defaults)
    }

    /// Puts a value in its place, when that is in this object.
    fn put(&mut self, setting: &'static Setting, object: &mut Value) -> anyhow::Result<()> {
        let path = setting.path;
        match setting.place {
            Place::Field(of, pointer) if is(object, of) => {
                let field = object
                    .pointer_mut(pointer)
                    .with_context(|| format!("{path}: the {of} has no {pointer}"))?;
                let mark = self.mark(format!("{{{{ toJson .Values.{path} }}}}"));
                self.defaults
                    .insert(path, std::mem::replace(field, json!(mark)));
            }
            Place::Env(name) | Place::SwitchAndEnv(_, name) if kind(object) == "Deployment" => {
                let variables = object
                    .pointer_mut("/spec/template/spec/containers/0/env")
                    .and_then(Value::as_array_mut)
                    .context("the Deployment has no environment")?;
                let named = |variable: &&mut Value| {
                    variable.get("name").and_then(Value::as_str) == Some(name)
                };
                let value = variables
                    .iter_mut()
                    .find(named)
                    .and_then(|variable| variable.get_mut("value"))
                    .with_context(|| format!("{path}: the Deployment does not set {name}"))?;
                let mark = self.mark(format!("{{{{ .Values.{path} | toString | toJson }}}}"));
                let text = std::mem::replace(value, json!(mark));
                let text = text.as_str().unwrap_or_default();
                let schema = schema(setting)?;
                let default = match schema.get("type").and_then(Value::as_str) {
                    Some("integer") => json!(text.parse::<u64>()?),
                    Some("boolean") => json!(text.parse::<bool>()?),
                    _ => json!(text),
                };
                self.defaults.insert(path, default);
            }
            _ => {}
        }
        Ok(())
    }

    fn put_image(&mut self, object: &mut Value, version: &str) -> anyhow::Result<()> {
        let image = object
            .pointer_mut("/spec/template/spec/containers/0/image")
            .context("the Deployment has no image")?;
        let Some((name, tag)) = image.as_str().and_then(|image| image.rsplit_once(':')) else {
            bail!("the image of the Deployment has no tag");
        };
        ensure!(
            tag == version,
            "the Deployment runs {tag}, and this is {version}: correct its image"
        );
        self.defaults.insert("image.repository", json!(name));
        let mark = self.mark(
            "\"{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}\
             {{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}\""
                .into(),
        );
        *image = json!(mark);
        Ok(())
    }

    fn put_namespace(&mut self, value: &mut Value) {
        match value {
            Value::String(text) if text == NAMESPACE => {
                *text = self.mark("{{ toJson .Release.Namespace }}".into());
            }
            Value::String(text) if text.contains(NAMESPACE) => {
                let mark = self.mark("{{ .Release.Namespace }}".into());
                *text = text.replace(NAMESPACE, &mark);
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.put_namespace(item)),
            Value::Object(fields) => fields
                .values_mut()
                .for_each(|field| self.put_namespace(field)),
            _ => {}
        }
    }

    /// A word that YAML writes without quotes, to stand for an expression.
    fn mark(&mut self, expression: String) -> String {
        let mark = format!("ChartExpression{:03}", self.marks.len());
        self.marks.push((mark.clone(), expression));
        mark
    }

    /// Puts the expressions in their places. What the manifest itself has in double braces (alerts do, for Prometheus)
    /// is none of Helm's.
    fn unmark(&self, yaml: &str) -> String {
        let yaml = yaml.replace("{{", "{{ \"{{\" }}");
        self.marks.iter().fold(yaml, |yaml, (mark, expression)| {
            yaml.replace(mark, expression)
        })
    }
}

impl Objects {
    fn contain(&self, manifest: &Manifest, object: &Value) -> bool {
        match self {
            Self::OfKind(of) => *of == kind(object),
            Self::OfPath(path) => manifest.path.starts_with(path),
        }
    }
}

/// Whether an object is of a kind, or the one called `kind/name`.
fn is(object: &Value, of: &str) -> bool {
    let (of, name) = match of.split_once('/') {
        Some((of, name)) => (of, Some(name)),
        None => (of, None),
    };
    of == kind(object)
        && name.is_none_or(|name| object.pointer("/metadata/name") == Some(&json!(name)))
}

fn insert(object: &mut Value, pointer: &str, key: &str, value: Value) -> anyhow::Result<()> {
    let (parent, field) = pointer.rsplit_once('/').context("a pointer has a parent")?;
    object
        .pointer_mut(parent)
        .and_then(Value::as_object_mut)
        .with_context(|| format!("there is no {parent}"))?
        .entry(field)
        .or_insert_with(|| json!({}))
        .as_object_mut()
        .with_context(|| format!("{pointer} is not an object"))?
        .insert(key.into(), value);
    Ok(())
}

fn schema(setting: &Setting) -> anyhow::Result<Value> {
    serde_json::from_str(setting.schema).with_context(|| format!("the schema of {}", setting.path))
}

fn values_yaml(defaults: &BTreeMap<&'static str, Value>) -> anyhow::Result<String> {
    let mut text =
        format!("# {MADE} the manifests in deploy and xtask/src/deploy/values.rs. Do not edit.\n");
    let mut group = "";
    for setting in SETTINGS {
        let (parent, name) = setting.path.split_once('.').unwrap_or(("", setting.path));
        let indent = if parent.is_empty() { "" } else { "  " };
        if parent != group {
            if !parent.is_empty() {
                write!(text, "\n{parent}:\n")?;
            }
            group = parent;
        }
        if parent.is_empty() {
            text.push('\n');
        }
        writeln!(text, "{indent}# {}.", setting.about)?;
        let yaml = serde_saphyr::to_string(&json!({name: defaults.get(setting.path)}))?;
        for line in yaml.lines() {
            writeln!(text, "{indent}{line}")?;
        }
    }
    Ok(text)
}

fn values_schema() -> anyhow::Result<String> {
    let mut properties = Map::new();
    for setting in SETTINGS {
        let mut schema = schema(setting)?;
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".into(), json!(setting.about));
        }
        match setting.path.split_once('.') {
            None => properties.insert(setting.path.into(), schema),
            Some((group, name)) => properties
                .entry(group)
                .or_insert_with(
                    || json!({"type": "object", "additionalProperties": false, "properties": {}}),
                )
                .get_mut("properties")
                .and_then(Value::as_object_mut)
                .context("a group has properties")?
                .insert(name.into(), schema),
        };
    }
    // Helm hands it to every chart that is part of another one.
    properties.insert("global".into(), json!({"type": "object"}));
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart wukong-operator",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    });
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}

fn readme(defaults: &BTreeMap<&'static str, Value>) -> anyhow::Result<String> {
    let mut text = format!(
        "<!-- {MADE} the manifests in deploy and xtask/src/deploy/values.rs. Do not edit. -->\n\n\
         # Helm chart of the Wukong operator\n\n\
         This chart installs the same objects as `kubectl apply -k deploy`. docs/install.md and docs/upgrade.md of the repository explain installation and upgrades.\n\n\
         | value | default | meaning |\n|---|---|---|\n"
    );
    for setting in SETTINGS {
        let default = defaults
            .get(setting.path)
            .map(Value::to_string)
            .unwrap_or_default();
        writeln!(
            text,
            "| `{}` | `{default}` | {} |",
            setting.path, setting.about
        )?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use wukong_api::OperatorSettings;

    use super::*;
    use crate::deploy::manifests;
    use crate::generated;

    /// Otherwise the operator would judge manifests in another way than `kubectl wukong` does without flags.
    #[test]
    fn the_deployment_sets_the_operator_s_own_policy() {
        let deploy = generated::root().join("deploy");
        let manifests = manifests::read_folders(&deploy, &["operator"]).unwrap();
        let mut composer = Composer::default();
        for manifest in &manifests {
            composer
                .template(manifest, env!("CARGO_PKG_VERSION"))
                .unwrap();
        }
        let settings = OperatorSettings::default();
        assert_eq!(
            composer.defaults["settings.osImagePrefix"],
            settings.os_image_prefix
        );
        assert_eq!(
            composer.defaults["settings.deniedHosts"],
            settings.denied_hosts.join(",")
        );
    }
}
