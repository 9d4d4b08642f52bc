//! The operator as a process of a lab.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client, Config};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::access;
use crate::control_plane::{ControlPlane, free_ports};
use crate::dirs::LabDir;
use crate::manifests::repository;
use crate::process::{Process, Spawn};
use crate::progress::Progress;
use crate::wait::eventually;

/// Where `deploy/rbac` puts the operator.
pub const NAMESPACE: &str = "wukong-system";
/// The account that it has there.
pub const SERVICE_ACCOUNT: &str = "wukong-operator";
/// The name of that account in the audit log.
pub const USER: &str = "system:serviceaccount:wukong-system:wukong-operator";

/// It connects, lists what it watches, and takes the lease of one that may have died.
const READY: Duration = Duration::from_secs(60);
const TOKEN_SECONDS: i64 = 365 * 24 * 3600;

/// How to run an operator.
#[derive(Debug, Clone)]
pub struct OperatorOptions {
    binary: Option<PathBuf>,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    grace: Duration,
}

impl Default for OperatorOptions {
    fn default() -> Self {
        Self {
            binary: None,
            args: Vec::new(),
            env: Vec::new(),
            grace: Duration::from_secs(10),
        }
    }
}

impl OperatorOptions {
    /// The binary, instead of the one that cargo builds from this source tree.
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// One more argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// One more environment variable. `KUBECONFIG` and `WUKONG_HEALTH_ADDRESS` are set by the lab.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Between SIGTERM and SIGKILL when it is stopped.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}

/// A running operator. Dropping it ends it.
#[derive(Debug)]
pub struct Operator {
    process: Process,
    health: SocketAddr,
}

impl Operator {
    /// SIGTERM, then SIGKILL when the grace is over. Returns once it is gone.
    pub async fn stop(self) -> Result<ExitStatus> {
        self.process.stop().await
    }

    /// SIGKILL. Returns once it is gone.
    pub async fn kill(self) -> Result<ExitStatus> {
        self.process.kill().await
    }

    /// The process: its id, its log, freezing and thawing it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// What it has logged so far.
    pub fn logs(&self) -> String {
        let bytes = std::fs::read(self.process.log()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What it answers to GET on its health port: `/healthz`, `/readyz` or `/metrics`. Errors when that is not 200.
    pub async fn get(&self, path: &str) -> Result<String> {
        let client = Client::try_from(Config::new(format!("http://{}", self.health).parse()?))?;
        Ok(client
            .request_text(http::Request::get(path).body(Vec::new())?)
            .await?)
    }

    /// Waits until `/readyz` says yes.
    pub async fn ready(&self) -> Result<()> {
        eventually("the operator is ready", READY, async || {
            self.get("/readyz")
                .await
                .map(drop)
                .map_err(|error| format!("{error:#}\n{}", self.process.last_words()))
        })
        .await
    }
}

pub(crate) async fn start(
    options: OperatorOptions,
    shim: &Path,
    log: PathBuf,
    kubeconfig: &Path,
) -> Result<Operator> {
    let OperatorOptions {
        binary,
        args,
        mut env,
        grace,
    } = options;
    let program = match binary {
        Some(binary) => binary,
        None => build(&Progress::stderr()).await?.to_owned(),
    };
    let [port] = free_ports()?;
    let health = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    env.push(("KUBECONFIG".to_owned(), kubeconfig.into()));
    env.push((
        "WUKONG_HEALTH_ADDRESS".to_owned(),
        health.to_string().into(),
    ));
    let process = Process::start(Spawn {
        name: "wukong-operator".to_owned(),
        shim: shim.to_owned(),
        log,
        grace,
        program,
        args,
        env,
    })?;
    Ok(Operator { process, health })
}

/// Writes the kubeconfig of the operator's account, with a token that the API server mints for it.
pub(crate) async fn write_kubeconfig(
    client: &Client,
    control_plane: &ControlPlane,
    dir: &LabDir,
) -> Result<PathBuf> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: Some(TOKEN_SECONDS),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let answer = accounts
        .create_token_request(SERVICE_ACCOUNT, &PostParams::default(), &request)
        .await
        .with_context(|| {
            format!("no token for {SERVICE_ACCOUNT} in {NAMESPACE}: does deploy/rbac make it?")
        })?;
    let token = answer
        .status
        .context("a token request is answered with a token")?
        .token;
    let path = dir.path().join("operator.kubeconfig");
    access::write_kubeconfig(
        &path,
        &control_plane.server,
        &control_plane.certs.ca,
        SERVICE_ACCOUNT,
        &token,
    )
}

/// The operator built from this source tree, in the profile that the caller was built in. `WUKONG_OPERATOR_BIN` names
/// one that is there already. Builds at most once per process.
pub async fn build(progress: &Progress) -> Result<&'static Path> {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    let built = BUILT.get_or_try_init(async || match std::env::var_os("WUKONG_OPERATOR_BIN") {
        Some(binary) => Ok(binary.into()),
        None => cargo_build(progress).await,
    });
    Ok(built.await?)
}

async fn cargo_build(progress: &Progress) -> Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let mut profile_dir = exe.parent().context("a program is in a directory")?;
    if profile_dir.ends_with("deps") {
        profile_dir = profile_dir.parent().context("deps is in a directory")?;
    }
    let target = profile_dir
        .parent()
        .context("a profile's directory is in the target directory")?;
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let task = progress.task("Building the operator");
    let mut cargo = Command::new("cargo");
    // Cargo describes the package it runs in the environment. Build scripts that look there (ring's does) would run
    // again for each kind of caller, and everything above them.
    let ours = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(ours)) {
        cargo.env_remove(name);
    }
    let mut child = cargo
        .args([
            "build",
            "--package",
            "wukong-operator",
            "--bin",
            "wukong-operator",
            "--profile",
            profile,
        ])
        .arg("--target-dir")
        .arg(target)
        .current_dir(repository(""))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("running cargo")?;
    let mut lines = BufReader::new(child.stderr.take().context("stderr is piped")?).lines();
    let mut said = Vec::new();
    while let Some(line) = lines.next_line().await? {
        task.detail(line.trim());
        said.push(line);
    }
    if !child.wait().await?.success() {
        let last = said.split_off(said.len().saturating_sub(30)).join("\n");
        bail!("the operator does not build:\n{last}");
    }
    task.done("the operator is built");
    Ok(profile_dir.join("wukong-operator"))
}
