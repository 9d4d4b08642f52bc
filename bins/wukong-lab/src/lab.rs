//! A lab: one throwaway cluster on this machine, with the operator and the simulator as its processes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ObjectMeta, PostParams};
use kube::{Api, Client};

use crate::cluster::access;
use crate::cluster::admission;
use crate::cluster::audit::AuditLog;
use crate::cluster::binaries::Binaries;
use crate::cluster::control_plane::ControlPlane;
use crate::cluster::dirs::LabDir;
use crate::cluster::manifests::{self, repository};
use crate::cluster::operator::{self, Operator, OperatorOptions};
use crate::cluster::process::Process;
use crate::cluster::progress::Progress;
use crate::cluster::stored;
use crate::cluster::upstream::{self, Upstream};
use crate::cluster::wait::{CONTROL_PLANE_DEADLINE, eventually};
use crate::guests::Guest;
use crate::sim::process::{self as simulator_process, SimulatorOptions};

/// The options of a lab.
#[derive(Clone)]
pub struct Options {
    name: String,
    shim: Option<PathBuf>,
    upstream: Vec<Upstream>,
    progress: Progress,
}

impl Options {
    /// A lab called `name`, with the CRDs of all projects.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            shim: None,
            upstream: Upstream::ALL.to_vec(),
            progress: Progress::stderr(),
        }
    }

    /// Where the `wukong-lab` binary is, for programs other than itself: in tests,
    /// `env!("CARGO_BIN_EXE_wukong-lab")`.
    pub fn shim(mut self, path: impl Into<PathBuf>) -> Self {
        self.shim = Some(path.into());
        self
    }

    /// Leaves out the CRDs of a project; [`Lab::install`] brings them later.
    pub fn without(mut self, project: Upstream) -> Self {
        self.upstream.retain(|kept| *kept != project);
        self
    }

    /// Where progress is shown; by default on standard error.
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }
}

/// A running cluster. Dropping it ends all its processes and removes its files.
#[derive(Debug)]
pub struct Lab {
    // Dropped in this order: processes first, the directory last.
    control_plane: ControlPlane,
    operator_kubeconfig: PathBuf,
    binaries: Binaries,
    shim: PathBuf,
    namespaces: AtomicU32,
    started: AtomicU32,
    dir: LabDir,
}

impl Lab {
    /// Starts a cluster with the CRDs of the upstream projects and ours, and with the operator's account under the
    /// shipped roles and policies. Returns when it serves all of it.
    ///
    /// The control plane is built first if this machine has none. When something does not start, the error has the end
    /// of its log and says where the logs are kept.
    pub async fn start(options: Options) -> Result<Self> {
        let Options {
            name,
            shim,
            upstream,
            progress,
        } = options;
        let shim = match shim {
            Some(shim) => shim,
            None => std::env::current_exe()?,
        };
        let binaries = Binaries::locate(&progress).await?;
        let dir = LabDir::create(&name)?;
        match Self::set_up(&binaries, &shim, &dir, &upstream, &progress).await {
            Ok((control_plane, operator_kubeconfig)) => Ok(Self {
                control_plane,
                operator_kubeconfig,
                binaries,
                shim,
                namespaces: AtomicU32::new(0),
                started: AtomicU32::new(0),
                dir,
            }),
            Err(error) => {
                let logs = dir.keep_logs()?;
                Err(error.context(format!(
                    "the lab did not start; its logs are in {}",
                    logs.display()
                )))
            }
        }
    }

    async fn set_up(
        binaries: &Binaries,
        shim: &Path,
        dir: &LabDir,
        upstream: &[Upstream],
        progress: &Progress,
    ) -> Result<(ControlPlane, PathBuf)> {
        let task = progress.task("Starting etcd and kube-apiserver");
        let mut control_plane = ControlPlane::start(binaries, shim, dir).await?;
        task.done("etcd and kube-apiserver are ready");

        let task = progress.task("Installing the schemas and the operator's roles");
        let client = access::client(&control_plane.admin_kubeconfig, "wukong-lab").await?;
        let [crds, rbac, policies] =
            ["deploy/crds", "deploy/rbac", "deploy/policies"].map(repository);
        let (upstream, ours, roles) = tokio::join!(
            upstream::install(&client, upstream),
            manifests::establish_dir(&client, &crds),
            manifests::apply_dir(&client, &rbac),
        );
        upstream?;
        ours?;
        roles?;
        // The API server learns of the kinds that policies name every 30 seconds only, and once when it first meets one.
        manifests::apply_dir(&client, &policies).await?;
        admission::in_force(&client).await?;
        match &binaries.kube_controller_manager {
            Some(program) => control_plane.start_controllers(program.clone(), shim, dir)?,
            None => progress.say(
                "No kube-controller-manager in KUBEBUILDER_ASSETS: nothing is garbage-collected",
            ),
        }
        let operator_kubeconfig = operator::write_kubeconfig(&client, &control_plane, dir).await?;
        task.done("schemas and roles are installed");
        Ok((control_plane, operator_kubeconfig))
    }

    /// A new client for the current runtime, as an administrator.
    pub async fn client(&self) -> Result<Client> {
        self.client_named("wukong-lab").await
    }

    /// The same with a user agent of its own, which marks its requests in the audit log.
    pub async fn client_named(&self, user_agent: &str) -> Result<Client> {
        access::client(&self.control_plane.admin_kubeconfig, user_agent).await
    }

    /// A new client with the operator's account and so with its rights.
    pub async fn operator_client(&self, user_agent: &str) -> Result<Client> {
        access::client(&self.operator_kubeconfig, user_agent).await
    }

    /// A new client with the simulator's account, which may do everything.
    pub async fn simulator_client(&self, user_agent: &str) -> Result<Client> {
        access::client(&self.control_plane.simulator_kubeconfig, user_agent).await
    }

    /// Puts the logs where they outlive this lab and the next, until another one fails. Returns the place.
    pub fn keep_logs(&self) -> Result<PathBuf> {
        self.dir.keep_logs()
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.control_plane.admin_kubeconfig
    }

    /// The kubeconfig of the operator's account.
    pub fn operator_kubeconfig(&self) -> &Path {
        &self.operator_kubeconfig
    }

    /// The kubectl that belongs to this control plane.
    pub fn kubectl(&self) -> &Path {
        &self.binaries.kubectl
    }

    /// Where the lab keeps its files; logs are in `logs/`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The audit log of the API server.
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(self.control_plane.audit_log.clone())
    }

    /// All stored objects, by their key in etcd.
    pub async fn stored(&self) -> Result<Vec<(String, Vec<u8>)>> {
        stored::everything(&self.control_plane.etcd_server).await
    }

    /// The API server: its id, freezing and thawing it.
    pub fn api_server(&self) -> Arc<Process> {
        self.control_plane.apiserver()
    }

    /// etcd, likewise.
    pub fn etcd(&self) -> &Process {
        self.control_plane.etcd()
    }

    /// Kills the API server and starts it again. Returns when it is ready.
    pub async fn restart_api_server(&self) -> Result<()> {
        let client = self.client().await?;
        self.control_plane.restart_apiserver(&client).await
    }

    /// Waits until the API server holds Wukongs to WukongPolicies. An API server that has just started knows their kind only after
    /// up to 30 seconds, and rejects every Wukong until then.
    pub async fn policies_in_force(&self) -> Result<()> {
        admission::in_force(&self.client().await?).await
    }

    /// Removes all versions before the present one from etcd, so that no watch can continue from an older one.
    pub async fn compact(&self) -> Result<()> {
        stored::compact(&self.control_plane.etcd_server).await
    }

    /// Makes a namespace with a name that starts with `prefix`, ready for pods.
    pub async fn namespace(&self, prefix: &str) -> Result<String> {
        let client = self.client().await?;
        let name = format!(
            "{prefix}-{}",
            self.namespaces.fetch_add(1, Ordering::Relaxed)
        );
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        Api::<Namespace>::all(client.clone())
            .create(&PostParams::default(), &namespace)
            .await?;
        if self.binaries.kube_controller_manager.is_some() {
            let accounts: Api<ServiceAccount> = Api::namespaced(client, &name);
            eventually(
                "the namespace has its default service account",
                CONTROL_PLANE_DEADLINE,
                async || match accounts.get_opt("default").await {
                    Ok(Some(_)) => Ok(()),
                    other => Err(other.err()),
                },
            )
            .await?;
        }
        Ok(name)
    }

    /// Installs the CRDs of a project that was left out or removed.
    pub async fn install(&self, project: Upstream) -> Result<()> {
        upstream::install(&self.client().await?, &[project]).await
    }

    /// Removes the CRDs of a project, and with them all objects of its kinds.
    pub async fn remove(&self, project: Upstream) -> Result<()> {
        upstream::remove(&self.client().await?, project).await
    }

    /// Starts an operator as a process of its own, with the operator's account.
    pub async fn start_operator(&self, options: OperatorOptions) -> Result<Operator> {
        let log = self.log("operator");
        operator::start(options, &self.shim, log, &self.operator_kubeconfig).await
    }

    /// Starts the simulator as a process of its own; [`Self::simulator_ready`] waits for it.
    pub fn start_simulator(&self, options: SimulatorOptions) -> Result<Process> {
        let log = self.log("simulator");
        simulator_process::start(
            options,
            &self.shim,
            log,
            &self.control_plane.simulator_kubeconfig,
            &self.guests(),
        )
    }

    /// The real guest of a VirtualMachineInstance.
    ///
    /// # Errors
    /// When there is no such instance, or no guest was started for it: the simulator may simulate them.
    pub async fn guest(&self, namespace: &str, name: &str) -> Result<Guest> {
        let kind = GroupVersionKind::gvk("kubevirt.io", "v1", "VirtualMachineInstance");
        let instances: Api<DynamicObject> = Api::namespaced_with(
            self.client().await?,
            namespace,
            &ApiResource::from_gvk(&kind),
        );
        let uid = instances.get_metadata(name).await?.metadata.uid;
        Guest::find(&self.guests(), &uid.unwrap_or_default())
    }

    fn guests(&self) -> PathBuf {
        self.dir.path().join("guests")
    }

    /// Waits until everything that the simulator sets up is there.
    pub async fn simulator_ready(&self) -> Result<()> {
        simulator_process::ready(&self.client().await?).await
    }

    /// An error that shows the end of the log when a process of the control plane is gone.
    pub fn check(&self) -> Result<()> {
        self.control_plane.check()
    }

    /// The process ids of the control plane.
    pub fn pids(&self) -> Vec<u32> {
        self.control_plane.pids()
    }

    /// Several operators may run, one after another or at once: each has a log of its own.
    fn log(&self, process: &str) -> PathBuf {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        self.dir.log(&format!("{process}-{number}"))
    }
}
