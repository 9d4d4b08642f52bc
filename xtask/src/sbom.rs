//! `sbom`: the bill of materials, from what the binary itself says it was made of.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use auditable_cyclonedx::auditable_serde::VersionInfo;
use auditable_cyclonedx::auditable_to_minimal_cdx;
use auditable_cyclonedx::cyclonedx_bom::external_models::spdx::SpdxExpression;
use auditable_cyclonedx::cyclonedx_bom::external_models::uri::Purl;
use auditable_cyclonedx::cyclonedx_bom::models::bom::SpecVersion;
use auditable_cyclonedx::cyclonedx_bom::models::component::{
    Classification, Component, Components,
};
use auditable_cyclonedx::cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use serde::Deserialize;
use serde_json::Value;

use crate::generated;

/// Licences by name and version of a crate.
type Known = BTreeMap<(String, String), String>;

/// The crate that contains the page, and the list of the packages in it.
const PLUGIN: &str = "kubectl-wukong";
const PAGE: &str = "bins/kubectl-wukong/ui/dist/packages.json";

/// Print the bill of materials (CycloneDX) of a binary that `cargo auditable` built.
#[derive(clap::Args)]
pub struct Args {
    /// The operator, or the plugin
    #[arg(value_name = "BINARY")]
    binary: PathBuf,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    print!("{}", of_binary(&args.binary)?);
    Ok(())
}

/// An npm package in the page of the plugin.
#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: String,
}

/// CycloneDX (JSON) of a binary that `cargo auditable` built, with its crates, the packages of the page, and their licences.
pub fn of_binary(binary: &Path) -> anyhow::Result<String> {
    let data = auditable_info::json_from_file(binary, auditable_info::Limits::default())
        .with_context(|| format!("{} does not tell what it is made of", binary.display()))?;
    let page = fs::read_to_string(generated::root().join(PAGE))?;
    bill(
        &data,
        &licences()?,
        &serde_json::from_str::<Vec<Package>>(&page)?,
    )
}

fn bill(data: &str, known: &Known, page: &[Package]) -> anyhow::Result<String> {
    let mut bill = auditable_to_minimal_cdx(&data.parse::<VersionInfo>()?);
    let root = bill
        .metadata
        .as_mut()
        .and_then(|metadata| metadata.component.as_mut());
    let others = bill.components.as_mut().map(|components| &mut components.0);
    for component in root.into_iter().chain(others.into_iter().flatten()) {
        let version = component.version.as_ref().map(ToString::to_string);
        let key = (component.name.to_string(), version.unwrap_or_default());
        if let Some(licence) = known.get(&key) {
            let licence = SpdxExpression::parse_lax(licence.clone())?;
            component.licenses = Some(Licenses(vec![LicenseChoice::Expression(licence)]));
        }
    }
    let root = bill
        .metadata
        .as_ref()
        .and_then(|metadata| metadata.component.as_ref());
    if root.is_some_and(|root| root.name.to_string() == PLUGIN) {
        let packages = page
            .iter()
            .map(component)
            .collect::<anyhow::Result<Vec<_>>>()?;
        let components = bill.components.get_or_insert(Components(Vec::new()));
        components.0.extend(packages);
    }
    let mut json = Vec::new();
    bill.output_as_json(&mut json, SpecVersion::V1_5)
        .context("cannot write CycloneDX")?;
    Ok(String::from_utf8(json)? + "\n")
}

fn component(package: &Package) -> anyhow::Result<Component> {
    let Package {
        name,
        version,
        license,
    } = package;
    // The scope of a name is encoded in a package URL.
    let purl = format!("pkg:npm/{}@{version}", name.replace('@', "%40"));
    let mut component = Component::new(Classification::Library, name, version, Some(purl.clone()));
    component.purl = purl.parse::<Purl>().ok();
    let licence = SpdxExpression::parse_lax(license.clone())?;
    component.licenses = Some(Licenses(vec![LicenseChoice::Expression(licence)]));
    Ok(component)
}

fn licences() -> anyhow::Result<Known> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(generated::root())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed");
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata.get("packages").and_then(Value::as_array);
    let text = |package: &Value, key: &str| Some(package.get(key)?.as_str()?.to_owned());
    Ok(packages
        .into_iter()
        .flatten()
        .filter_map(|package| {
            let key = (text(package, "name")?, text(package, "version")?);
            Some((key, text(package, "license")?))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_crate_is_listed_with_its_licence_and_nothing_tells_the_time() {
        let data = json!({"packages": [
            {"name": "wukong-operator", "version": "0.1.0", "source": "local", "dependencies": [1], "root": true},
            {"name": "ring", "version": "0.17.14", "source": "crates.io"},
        ]});
        let known = Known::from([(("ring".into(), "0.17.14".into()), "Apache-2.0/ISC".into())]);
        let text = bill(&data.to_string(), &known, &[]).unwrap();
        let bill: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(bill["bomFormat"], "CycloneDX");
        assert_eq!(bill["metadata"]["component"]["name"], "wukong-operator");
        let ring = &bill["components"][0];
        assert_eq!(ring["purl"], "pkg:cargo/ring@0.17.14");
        assert_eq!(ring["licenses"][0]["expression"], "Apache-2.0 OR ISC");
        assert_eq!(bill["metadata"]["timestamp"], Value::Null);
        assert_eq!(bill["serialNumber"], Value::Null);
    }

    #[test]
    fn the_packages_of_the_page_are_listed_for_the_plugin_alone() {
        let page = fs::read_to_string(generated::root().join(PAGE)).unwrap();
        let page: Vec<Package> = serde_json::from_str(&page).unwrap();
        let components = |binary: &str| {
            let data = json!({"packages": [
                {"name": binary, "version": "0.1.0", "source": "local", "dependencies": [], "root": true},
            ]});
            let text = bill(&data.to_string(), &Known::new(), &page).unwrap();
            let bill: Value = serde_json::from_str(&text).unwrap();
            let components = bill["components"].as_array().cloned();
            components.unwrap_or_default()
        };
        let listed = components("kubectl-wukong");
        let novnc = listed
            .iter()
            .find(|one| one["name"] == "@novnc/novnc")
            .unwrap();
        assert_eq!(novnc["licenses"][0]["expression"], "MPL-2.0");
        assert!(
            novnc["purl"]
                .as_str()
                .unwrap()
                .starts_with("pkg:npm/%40novnc/novnc@")
        );
        assert_eq!(listed.len(), page.len());
        assert!(components("wukong-operator").is_empty());
    }
}
