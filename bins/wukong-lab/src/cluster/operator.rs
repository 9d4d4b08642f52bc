//! The operator as a process of a lab.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client, Config};

use super::access;
use super::control_plane::{ControlPlane, free_ports};
use super::dirs::LabDir;
use super::process::{Process, Spawn};
use super::programs;
use super::progress::Progress;
use super::wait::eventually;

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
        None => programs::OPERATOR
            .built(&Progress::stderr())
            .await?
            .to_owned(),
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
