//! `plan`: the changes that a manifest would make, and the effect of each.

mod known;
mod planned;
mod view;

use std::path::PathBuf;

use jiff::Timestamp;
use wukong_api::{ConditionType, OperatorSettings, ValidatedWukong, Wukong};
use wukong_engine::changes::{self, Class, RunningVm};
use wukong_engine::diagnosis::{CheckStatus, preflight};
use wukong_engine::environment::Environment;

use crate::cluster::{Cluster, ClusterArgs};
use crate::exit::Exit;
use crate::manifest::{self, Defaults, FileArgs, Manifest};
use crate::output::{self, Format};
use known::Known;
pub use planned::Plan;
use planned::{Conflict, Listed};

/// Show the changes that a manifest would make, and their effect on the running VM.
///
/// Compares the manifest with the Wukongs in the cluster, or in --from.
/// Classes of changes:
///
///   in place         takes effect while the guest runs
///   hot-plug         is plugged into the running guest
///   hot-unplug       is pulled out of the running guest, which must not use it
///   needs restart    takes effect at the next start of the VM
///   power off        takes effect after a stop: a restart is not enough
///   first boot only  cloud-init applies it at the first boot: no change here
///   refused          is not possible, and blocks all changes of the manifest
///   destroys data    takes effect at the next start, and deletes data
///
/// If the manifest has no powerState, the one that `kubectl wukong start`,
/// `stop` or `pause` set stays.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  kubectl wukong plan -f vm.yaml
  kubectl get wukongs,kubevirts,vmis -A -o yaml > dump.yaml
  kubectl wukong plan -f vm.yaml --from dump.yaml    # without a cluster

Exit codes:
  0  no changes
  1  failed, a manifest is invalid, or a change is refused
  2  there are changes"
)]
pub struct Args {
    #[command(flatten)]
    manifests: FileArgs,

    /// File with the stored objects, as printed by kubectl get -o yaml, instead of a cluster
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,

    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    output: Format,
}

pub async fn run(args: &Args, cluster: &ClusterArgs) -> anyhow::Result<Exit> {
    let known = match &args.from {
        Some(file) => Known::from_dump(file)?,
        None => Known::from_cluster(cluster.connect().await?),
    };
    let settings = args.manifests.settings.operator_settings();
    let defaults = Defaults {
        namespace: cluster.namespace.as_deref(),
        context_namespace: known.namespace(),
        uid: None,
    };
    let manifests = manifest::read(&args.manifests.files, &defaults, &settings)?;
    let kubevirt = known.kubevirt().await;
    if kubevirt.is_none() {
        output::note(
            "note: cannot read KubeVirt's configuration; assuming its default, vmRolloutStrategy: LiveUpdate",
        );
    }
    let rollout = RunningVm::new(kubevirt.as_ref(), None).rollout;
    let addresses = known.addresses(&manifests).await?;
    let mut plans = Vec::new();
    for manifest in manifests {
        let stored = known.wukong(&manifest).await?;
        let instance = match stored {
            Some(_) => known.instance(&manifest).await,
            None => None,
        };
        let vm = RunningVm::new(kubevirt.as_ref(), instance.as_ref());
        let conflicts = conflicts(&addresses, &manifest);
        plans.push(Plan {
            conflicts,
            ..plan(manifest, stored, &vm, &settings)?
        });
    }
    output::print(&match args.output {
        Format::Table => view::plans(&plans, rollout),
        Format::Yaml => output::to_yaml(&plans)?,
        Format::Json => output::to_json(&plans)?,
    })?;
    Ok(exit(&plans))
}

/// Plans an edit of the stored Wukong, as the whole new manifest: a power state that it does not have is removed.
///
/// # Errors
/// The API server cannot be reached, or the edit is invalid.
pub async fn of_edit(
    cluster: Cluster,
    manifest: Manifest,
    mut stored: Option<Wukong>,
    settings: &OperatorSettings,
) -> anyhow::Result<Plan> {
    if let Some(stored) = &mut stored {
        stored.metadata.managed_fields = None;
    }
    let known = Known::from_cluster(cluster);
    let kubevirt = known.kubevirt().await;
    let manifests = [manifest];
    let addresses = known.addresses(&manifests).await?;
    let [manifest] = manifests;
    let instance = match stored {
        Some(_) => known.instance(&manifest).await,
        None => None,
    };
    let conflicts = conflicts(&addresses, &manifest);
    let vm = RunningVm::new(kubevirt.as_ref(), instance.as_ref());
    Ok(Plan {
        conflicts,
        ..plan(manifest, stored, &vm, settings)?
    })
}

fn exit(plans: &[Plan]) -> Exit {
    let mut changes = plans.iter().flat_map(|plan| &plan.changes);
    if changes.any(|change| change.class == Class::Refused) {
        return Exit::Failed;
    }
    match plans
        .iter()
        .any(|plan| plan.creates || !plan.changes.is_empty())
    {
        true => Exit::Changes,
        false => Exit::Done,
    }
}

fn plan(
    manifest: Manifest,
    stored: Option<Wukong>,
    vm: &RunningVm,
    settings: &OperatorSettings,
) -> anyhow::Result<Plan> {
    let identity = &manifest.validated.identity;
    let (namespace, name) = (identity.namespace.clone(), identity.name.clone());
    // A stored Wukong that is invalid was never applied in this form.
    let old = stored
        .as_ref()
        .and_then(|stored| ValidatedWukong::validate(stored, settings).ok());
    let (Some(stored), Some(old)) = (&stored, old) else {
        let objects = crate::render::targets(&manifest.validated);
        return Ok(Plan {
            namespace,
            name,
            creates: true,
            objects,
            changes: Vec::new(),
            conflicts: Vec::new(),
        });
    };
    let new = known::as_stored(manifest.wukong, stored);
    let new = ValidatedWukong::validate(&new, settings)?;
    let changes = changes::classify(&old, &new, vm)
        .into_iter()
        .map(Listed::from)
        .collect();
    Ok(Plan {
        namespace,
        name,
        creates: false,
        objects: Vec::new(),
        changes,
        conflicts: Vec::new(),
    })
}

/// Returns the addresses of the manifest that another Wukong has.
fn conflicts(addresses: &Environment, manifest: &Manifest) -> Vec<Conflict> {
    preflight(addresses, Some(&manifest.validated), Timestamp::now())
        .into_iter()
        .filter(|check| check.condition == ConditionType::NetworksConfigured)
        .filter(|check| check.status == CheckStatus::Fail)
        .map(|check| Conflict {
            reason: check.reason.to_string(),
            message: check.message,
        })
        .collect()
}
