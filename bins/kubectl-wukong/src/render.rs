//! `render`: the objects that the operator would apply, without a cluster.

use std::io::Write;

use clap::ArgAction;
use serde_json::Value;
use wukong_api::ValidatedWukong;
use wukong_api::validated::{Disk, Nic, Source};
use wukong_engine::Kind;
use wukong_engine::desired::{Body, Surroundings, compose};

use crate::cluster::ClusterArgs;
use crate::exit::Exit;
use crate::manifest::{self, Defaults, FileArgs};
use crate::output::{self, Format};
use crate::policy::{Policies, PolicyFileArgs};
use crate::redact::redact;

/// Show the objects that the operator would apply for a manifest. Needs no cluster.
///
/// The output is that for a cluster in which no object of the Wukong exists yet. The same manifest always gives the same
/// bytes. MAC addresses and the firmware UUID derive from the uid that the API server assigns. Without metadata.uid in
/// the manifest or --uid, a uid is derived from namespace and name, and the addresses differ from those in the cluster.
///
/// The output contains the Secret with the cloud-init data, including a plain password of the manifest.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubectl wukong render -f vm.yaml
  kubectl wukong render -f vm.yaml -o table
  cat *.yaml | kubectl wukong render -f -
  kubectl get wukong web -o yaml | kubectl wukong render -f - | kubectl diff -f -
  kubectl wukong render -f vm.yaml --policy policy.yaml    # does a WukongPolicy allow it?
  kubectl wukong render -f vm.yaml --multus=false    # for a cluster without Multus

Exit codes:
  0  rendered
  1  a manifest is invalid or not allowed: every problem is listed with its path")]
pub struct Args {
    #[command(flatten)]
    manifests: FileArgs,

    #[command(flatten)]
    policies: PolicyFileArgs,

    /// UID of the Wukong in the cluster
    #[arg(long, value_name = "UID")]
    uid: Option<String>,

    /// Whether Multus is installed; without it, secondary NICs are omitted
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    multus: bool,

    /// Whether CDI is installed; without it, empty disks are plain claims and other disks cannot be created
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    cdi: bool,

    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Yaml)]
    output: Format,
}

/// Prints the objects, and on standard error what is omitted.
pub fn run(args: &Args, cluster: &ClusterArgs) -> anyhow::Result<Exit> {
    let defaults = Defaults {
        namespace: cluster.namespace.as_deref(),
        context_namespace: "default",
        uid: args.uid.as_deref(),
    };
    let manifests = manifest::read(
        &args.manifests.files,
        &defaults,
        &args.manifests.settings.operator_settings(),
    )?;
    if args.uid.is_some() && manifests.len() > 1 {
        anyhow::bail!(
            "--uid applies to one Wukong, but the files contain {}",
            manifests.len()
        );
    }
    if !args.policies.policy_files.is_empty() {
        Policies::of_files(&args.policies.policy_files)?.hold(&manifests)?;
    }
    let mut objects = Vec::new();
    for manifest in &manifests {
        let rendered = Rendered::of(&manifest.validated, args.multus, args.cdi);
        for note in &rendered.notes {
            writeln!(anstream::stderr(), "note: {manifest}: {note}")?;
        }
        objects.extend(rendered.objects);
    }
    output::print(&match args.output {
        Format::Table => table(&objects),
        format => output::objects(&objects, format)?,
    })?;
    Ok(Exit::Done)
}

/// The WukongSnapshot that a disk is a copy of.
fn snapshot(disk: &Disk) -> Option<&str> {
    match &disk.source {
        Source::WukongSnapshot { name, .. } => Some(name),
        _ => None,
    }
}

/// The objects of one Wukong in the order in which they are applied.
struct Rendered {
    objects: Vec<Value>,
    /// What is omitted, and why.
    notes: Vec<String>,
}

impl Rendered {
    fn of(wukong: &ValidatedWukong, multus: bool, cdi: bool) -> Self {
        let mut notes = Vec::new();
        let mut waits_for = Vec::new();
        let names = |nics: &[&Nic]| -> String {
            let names: Vec<&str> = nics.iter().map(|nic| nic.name.as_str()).collect();
            names.join(", ")
        };
        let nics = wukong.attached_nics(multus).unwrap_or_else(|waiting| {
            waits_for.push(format!("Multus, because of {}", names(&waiting)));
            Vec::new()
        });
        if waits_for.is_empty() && nics.len() < wukong.nics.len() {
            let all: Vec<&Nic> = wukong.nics.iter().collect();
            notes.push(format!(
                "without Multus, these NICs are omitted: {}",
                names(&all)
            ));
        }
        let surroundings = Surroundings {
            nics,
            cdi,
            ..Surroundings::fresh(wukong)
        };
        let mut desired = compose(wukong, &surroundings);
        let unmanaged = |nic: &&Nic| nic.node_network.as_ref().is_some_and(|it| !it.managed);
        let unmanaged: Vec<&Nic> = wukong.nics.iter().filter(unmanaged).collect();
        if !unmanaged.is_empty() {
            notes.push(format!(
                "an operator without --manage-node-networks creates no bridges on nodes: nodeNetwork of {} is omitted",
                names(&unmanaged)
            ));
        }
        if let Some(name) = wukong.disks.iter().find_map(snapshot) {
            notes.push(format!(
                "the operator writes the VolumeSnapshots of WukongSnapshot {name} into the DataVolumes: only the cluster has their names"
            ));
        }
        if !cdi && !desired.data_volumes.is_empty() {
            desired.data_volumes.clear();
            waits_for.push("CDI, which fills its disks".into());
        }
        notes.extend(
            waits_for
                .iter()
                .map(|what| format!("the VirtualMachine would wait for {what}")),
        );
        let created =
            |body: &Body| waits_for.is_empty() || body.target.kind != Kind::VirtualMachine;
        let bodies = desired.bodies().into_iter().filter(created);
        Self {
            objects: bodies.map(|body| body.object).collect(),
            notes,
        }
    }
}

/// Returns the objects for a Wukong as YAML without secrets, and what is omitted.
pub fn shown(wukong: &ValidatedWukong) -> anyhow::Result<(String, Vec<String>)> {
    let mut rendered = Rendered::of(wukong, true, true);
    rendered.objects.iter_mut().for_each(redact);
    let text = output::objects(&rendered.objects, Format::Yaml)?;
    Ok((text, rendered.notes))
}

/// Returns the objects that the operator would create for a new Wukong, as `Kind/name`.
pub fn targets(wukong: &ValidatedWukong) -> Vec<String> {
    let text = |object: &Value, pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let rendered = Rendered::of(wukong, true, true);
    let target = |object| {
        format!(
            "{}/{}",
            text(object, "/kind"),
            text(object, "/metadata/name")
        )
    };
    rendered.objects.iter().map(target).collect()
}

fn table(objects: &[Value]) -> String {
    let mut table = output::table(["KIND", "NAMESPACE", "NAME"]);
    for object in objects {
        let text = |pointer: &str| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        table.add_row([
            text("/kind"),
            text("/metadata/namespace"),
            text("/metadata/name"),
        ]);
    }
    output::lines(&table)
}
