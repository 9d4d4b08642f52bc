//! etcd, kube-apiserver and kube-controller-manager, as children of a lab.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::Client;

use super::access::{self, ADMIN, CONTROLLER_MANAGER, SIMULATOR};
use super::binaries::Binaries;
use super::certs::{Certs, FRONT_PROXY};
use super::dirs::LabDir;
use super::process::{Process, Spawn};

/// Both servers take a few seconds; a machine that compiles on all its cores takes longer.
const DEADLINE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(50);
/// Free ports are found, then used: another process may have been quicker.
const ATTEMPTS: usize = 3;

/// Audit policy: each request with its user and time, without bodies, logged from its decision on.
const AUDIT_POLICY: &str = r#"{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],"rules":[{"level":"Metadata"}]}"#;

/// The controllers that the lab needs; the simulator plays the others.
const CONTROLLERS: &str = "garbage-collector-controller,namespace-controller,serviceaccount-controller,clusterrole-aggregation-controller,\
    serviceaccount-token-controller,resourcequota-controller,validatingadmissionpolicy-status-controller,\
    persistentvolumeclaim-protection-controller,persistentvolume-protection-controller";

/// A running control plane. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    pub admin_kubeconfig: PathBuf,
    pub simulator_kubeconfig: PathBuf,
    pub server: String,
    pub certs: Certs,
    pub audit_log: PathBuf,
    /// Where etcd answers.
    pub etcd_server: String,
    controller_manager: Option<Process>,
    apiserver: Mutex<Arc<Process>>,
    /// How the API server is started again.
    apiserver_spawn: Spawn,
    etcd: Process,
}

impl ControlPlane {
    /// Starts etcd and the API server and waits until it is ready.
    pub(crate) async fn start(binaries: &Binaries, shim: &Path, dir: &LabDir) -> Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::try_start(binaries, shim, dir).await {
                Err(error)
                    if attempt < ATTEMPTS
                        && format!("{error:#}").contains("address already in use") =>
                {
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_start(binaries: &Binaries, shim: &Path, dir: &LabDir) -> Result<Self> {
        let [client_port, peer_port, secure_port] = free_ports()?;
        let etcd = start(
            binaries.etcd.clone(),
            "etcd",
            shim,
            dir,
            etcd_flags(dir, client_port, peer_port),
        )?;
        wait_for("etcd", &etcd, || async {
            TcpStream::connect((Ipv4Addr::LOCALHOST, client_port)).is_ok()
        })
        .await?;

        let certs = Certs::make(&dir.path().join("certs"))?;
        let secret = random_hex()?;
        let tokens = dir.path().join("tokens.csv");
        fs::write(&tokens, access::token_file(&secret))?;
        let policy = dir.path().join("audit-policy.json");
        fs::write(&policy, AUDIT_POLICY)?;
        let audit_log = dir.path().join("audit.log");
        let flags = apiserver_flags(
            dir,
            &certs,
            client_port,
            secure_port,
            &tokens,
            &policy,
            &audit_log,
        );
        let apiserver_spawn = spawn(
            binaries.kube_apiserver.clone(),
            "kube-apiserver",
            shim,
            dir,
            flags,
        );
        let apiserver = Process::start(apiserver_spawn.clone())?;

        let server = format!("https://127.0.0.1:{secure_port}");
        let kubeconfig = |file: &str, user: &str| {
            let path = dir.path().join(file);
            access::write_kubeconfig(
                &path,
                &server,
                &certs.ca,
                user,
                &access::token(user, &secret),
            )
        };
        let admin_kubeconfig = kubeconfig("kubeconfig", ADMIN)?;
        let simulator_kubeconfig = kubeconfig("simulator.kubeconfig", SIMULATOR)?;
        kubeconfig("controller-manager.kubeconfig", CONTROLLER_MANAGER)?;
        let client = access::client(&admin_kubeconfig, "wukong-lab").await?;
        wait_for("kube-apiserver", &apiserver, || is_ready(&client)).await?;
        Ok(Self {
            admin_kubeconfig,
            simulator_kubeconfig,
            server,
            certs,
            audit_log,
            etcd_server: format!("http://127.0.0.1:{client_port}"),
            controller_manager: None,
            apiserver: Mutex::new(Arc::new(apiserver)),
            apiserver_spawn,
            etcd,
        })
    }

    /// Starts the controllers. The garbage collector learns of new kinds every 30 seconds only, so this comes after
    /// the CRDs.
    pub(crate) fn start_controllers(
        &mut self,
        program: PathBuf,
        shim: &Path,
        dir: &LabDir,
    ) -> Result<()> {
        let flags = controller_manager_flags(dir, &self.certs);
        self.controller_manager =
            Some(start(program, "kube-controller-manager", shim, dir, flags)?);
        Ok(())
    }

    /// An error that names the first process that is gone.
    pub(crate) fn check(&self) -> Result<()> {
        self.etcd.check()?;
        self.apiserver().check()?;
        self.controller_manager
            .as_ref()
            .map_or(Ok(()), Process::check)
    }

    /// The process ids of all programs.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let controllers = self.controller_manager.as_ref().map(Process::pid);
        [self.etcd.pid(), self.apiserver().pid()]
            .into_iter()
            .chain(controllers)
            .collect()
    }

    /// The API server.
    pub(crate) fn apiserver(&self) -> Arc<Process> {
        let apiserver = self.apiserver.lock();
        Arc::clone(&apiserver.unwrap_or_else(PoisonError::into_inner))
    }

    fn set_apiserver(&self, apiserver: Arc<Process>) {
        let running = self.apiserver.lock();
        *running.unwrap_or_else(PoisonError::into_inner) = apiserver;
    }

    /// etcd.
    pub(crate) fn etcd(&self) -> &Process {
        &self.etcd
    }

    /// Kills the API server and starts it again at the same address. Returns when it is ready.
    pub(crate) async fn restart_apiserver(&self, client: &Client) -> Result<()> {
        self.apiserver().kill().await?;
        let apiserver = Arc::new(Process::start(self.apiserver_spawn.clone())?);
        self.set_apiserver(Arc::clone(&apiserver));
        wait_for("kube-apiserver", &apiserver, || is_ready(client)).await
    }
}

fn etcd_flags(dir: &LabDir, client_port: u16, peer_port: u16) -> Vec<OsString> {
    let client = format!("http://127.0.0.1:{client_port}");
    let peer = format!("http://127.0.0.1:{peer_port}");
    flags([
        ("name", "lab".into()),
        ("data-dir", dir.scratch().join("etcd").into()),
        ("listen-client-urls", client.clone().into()),
        ("advertise-client-urls", client.into()),
        ("listen-peer-urls", peer.clone().into()),
        ("initial-advertise-peer-urls", peer.clone().into()),
        ("initial-cluster", format!("lab={peer}").into()),
        ("unsafe-no-fsync", "true".into()),
        ("quota-backend-bytes", "8589934592".into()),
        ("log-level", "warn".into()),
    ])
}

fn apiserver_flags(
    dir: &LabDir,
    certs: &Certs,
    etcd_port: u16,
    secure_port: u16,
    tokens: &Path,
    policy: &Path,
    audit_log: &Path,
) -> Vec<OsString> {
    flags([
        (
            "etcd-servers",
            format!("http://127.0.0.1:{etcd_port}").into(),
        ),
        ("bind-address", "127.0.0.1".into()),
        ("secure-port", secure_port.to_string().into()),
        ("cert-dir", dir.path().join("certs").into()),
        ("tls-cert-file", certs.server.clone().into()),
        ("tls-private-key-file", certs.server_key.clone().into()),
        (
            "service-account-key-file",
            certs.tokens_public.clone().into(),
        ),
        (
            "service-account-signing-key-file",
            certs.tokens_key.clone().into(),
        ),
        (
            "service-account-issuer",
            "https://kubernetes.default.svc".into(),
        ),
        ("service-cluster-ip-range", "10.0.0.0/24".into()),
        ("authorization-mode", "RBAC".into()),
        ("token-auth-file", tokens.into()),
        ("allow-privileged", "true".into()),
        // An aggregated API is a service of type ExternalName with the name `localhost`: how the simulator serves
        // subresources.kubevirt.io. The API server shows it these headers under this certificate.
        ("enable-aggregator-routing", "false".into()),
        ("proxy-client-cert-file", certs.front_proxy.clone().into()),
        (
            "proxy-client-key-file",
            certs.front_proxy_key.clone().into(),
        ),
        ("requestheader-client-ca-file", certs.ca.clone().into()),
        ("requestheader-allowed-names", FRONT_PROXY.into()),
        ("requestheader-username-headers", "X-Remote-User".into()),
        ("requestheader-group-headers", "X-Remote-Group".into()),
        (
            "requestheader-extra-headers-prefix",
            "X-Remote-Extra-".into(),
        ),
        ("audit-policy-file", policy.into()),
        ("audit-log-path", audit_log.into()),
        // Tests count requests, and need all of them in one file.
        ("audit-log-maxsize", "1000000".into()),
    ])
}

fn controller_manager_flags(dir: &LabDir, certs: &Certs) -> Vec<OsString> {
    flags([
        (
            "kubeconfig",
            dir.path().join("controller-manager.kubeconfig").into(),
        ),
        ("controllers", CONTROLLERS.into()),
        ("leader-elect", "false".into()),
        ("secure-port", "0".into()),
        (
            "service-account-private-key-file",
            certs.tokens_key.clone().into(),
        ),
        ("root-ca-file", certs.ca.clone().into()),
        ("kube-api-qps", "500".into()),
        ("kube-api-burst", "1000".into()),
    ])
}

fn flags<const N: usize>(flags: [(&str, OsString); N]) -> Vec<OsString> {
    flags
        .into_iter()
        .map(|(name, value)| {
            let mut flag = OsString::from(format!("--{name}="));
            flag.push(value);
            flag
        })
        .collect()
}

fn start(
    program: PathBuf,
    name: &str,
    shim: &Path,
    dir: &LabDir,
    args: Vec<OsString>,
) -> Result<Process> {
    Process::start(spawn(program, name, shim, dir, args))
}

fn spawn(program: PathBuf, name: &str, shim: &Path, dir: &LabDir, args: Vec<OsString>) -> Spawn {
    Spawn {
        name: name.to_owned(),
        shim: shim.to_owned(),
        log: dir.log(name),
        // A throwaway cluster has nothing to save.
        grace: Duration::ZERO,
        program,
        args,
        env: Vec::new(),
    }
}

async fn is_ready(client: &Client) -> bool {
    let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else {
        return false;
    };
    client.request_text(request).await.is_ok()
}

async fn wait_for(name: &str, process: &Process, ready: impl AsyncFn() -> bool) -> Result<()> {
    let waited = tokio::time::timeout(DEADLINE, async {
        while !ready().await {
            process.check()?;
            tokio::time::sleep(POLL).await;
        }
        anyhow::Ok(())
    });
    match waited.await {
        Ok(outcome) => outcome,
        Err(_) => bail!(
            "{name} was not ready within {} s; its last words:\n{}",
            DEADLINE.as_secs(),
            process.last_words()
        ),
    }
}

pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    // All ports are held until all are known, so that they differ.
    let mut listeners = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

fn random_hex() -> Result<String> {
    let mut bytes = [0_u8; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
