//! The simulator as a process of a lab.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::core::v1::Node;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Api, Client};
use serde_json::Value;

use crate::Progress;
use crate::cluster::process::{Process, Spawn};
use crate::cluster::wait::{CONTROL_PLANE_DEADLINE, eventually};
use crate::guests::accel::{self, Accel, Choice};
use crate::guests::{SHORT_NAME, image};

/// How to run the simulator.
#[derive(Debug, Clone, Default)]
pub struct SimulatorOptions {
    args: Vec<OsString>,
    boot: Option<BootImages>,
}

impl SimulatorOptions {
    /// One more argument of `wukong-lab simulate`.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Boots real guests instead of simulating them.
    pub fn boot(mut self, images: BootImages) -> Self {
        self.boot = Some(images);
        self
    }
}

/// What guests boot from and how, on this machine.
#[derive(Debug, Clone)]
pub struct BootImages {
    pub(crate) dir: PathBuf,
    pub(crate) accel: Accel,
}

impl BootImages {
    /// Whether this machine has what guests need.
    ///
    /// # Errors
    /// Names what it lacks, and how it comes by that.
    pub fn require() -> Result<()> {
        image::require()
    }

    /// Builds the images on first use, and finds out how guests run best here.
    ///
    /// # Errors
    /// When this machine lacks what guests need; the message says what.
    pub async fn provide(progress: &Progress) -> Result<Self> {
        let dir = image::provide(progress).await?;
        let Choice { accel, why } = accel::choose(&dir).await;
        progress.say(format!(
            "Guests run with {}: {why}. Expect {} from a guest's start until its agent answers. The image {SHORT_NAME} \
             is the lab's own.",
            accel.name(),
            accel.boot_takes()
        ));
        Ok(Self { dir, accel })
    }

    /// How long a guest may take to boot before something is wrong.
    pub fn patience(&self) -> Duration {
        self.accel.patience()
    }
}

pub(crate) fn start(
    options: SimulatorOptions,
    shim: &Path,
    log: PathBuf,
    kubeconfig: &Path,
    guests: &Path,
) -> Result<Process> {
    let mut args: Vec<OsString> = vec!["simulate".into(), "--kubeconfig".into(), kubeconfig.into()];
    args.extend(options.args);
    if let Some(BootImages { dir, accel }) = options.boot {
        args.extend(["--boot".into(), guests.into()]);
        args.extend(["--images".into(), dir.into()]);
        args.extend(["--accel".into(), accel.argument().into()]);
    }
    Process::start(Spawn {
        name: "the simulator".to_owned(),
        shim: shim.to_owned(),
        log,
        grace: Duration::from_secs(5),
        program: shim.to_owned(),
        args,
        env: Vec::new(),
    })
}

/// The simulator is ready when KubeVirt and CDI report that they are available, as far as their kinds are installed, and
/// when it made its nodes.
pub(crate) async fn ready(client: &Client) -> Result<()> {
    let kubevirt = GroupVersionKind::gvk("kubevirt.io", "v1", "KubeVirt");
    let cdi = GroupVersionKind::gvk("cdi.kubevirt.io", "v1beta1", "CDI");
    let params = ListParams::default();
    for kind in [kubevirt, cdi] {
        let name = format!("{} is available", kind.kind);
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::from_gvk(&kind));
        eventually(&name, CONTROL_PLANE_DEADLINE, async || {
            match api.list(&params).await {
                Ok(list) if list.iter().any(is_available) => Ok(()),
                Err(kube::Error::Api(answer)) if answer.code == 404 => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await?;
    }
    let nodes: Api<Node> = Api::all(client.clone());
    eventually(
        "there are nodes",
        CONTROL_PLANE_DEADLINE,
        async || match nodes.list(&params).await {
            Ok(nodes) if !nodes.items.is_empty() => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
    .await
}

fn is_available(installation: &DynamicObject) -> bool {
    let conditions = installation
        .data
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    conditions.is_some_and(|conditions| {
        conditions
            .iter()
            .any(|condition| condition["type"] == "Available" && condition["status"] == "True")
    })
}
