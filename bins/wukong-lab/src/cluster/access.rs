//! Who may talk to a lab's API server: tokens, kubeconfigs and clients.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;

/// The user that people and tests are.
pub const ADMIN: &str = "wukong-lab-admin";
/// The user that the simulator is. It may do everything, as the controllers may for which it stands.
pub const SIMULATOR: &str = "wukong-lab-simulator";
/// The user that kube-controller-manager is.
pub const CONTROLLER_MANAGER: &str = "wukong-lab-controller-manager";

const EVERYTHING: &str = "system:masters";

/// The token of a user. The API server listens on loopback only and its files are private to one user of this machine.
pub(crate) fn token(user: &str, secret: &str) -> String {
    format!("{user}-{secret}")
}

/// The contents of `--token-auth-file`.
pub(crate) fn token_file(secret: &str) -> String {
    [ADMIN, SIMULATOR, CONTROLLER_MANAGER]
        .map(|user| format!("{},{user},{user},{EVERYTHING}\n", token(user, secret)))
        .concat()
}

/// Writes a kubeconfig for one user.
pub(crate) fn write_kubeconfig(
    path: &Path,
    server: &str,
    ca: &Path,
    user: &str,
    token: &str,
) -> Result<PathBuf> {
    let ca = fs::read_to_string(ca)?;
    let name = "wukong-lab";
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {
            "server": server,
            "certificate-authority-data": k8s_openapi::ByteString(ca.into_bytes()),
        }}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user, "namespace": "default"}}],
        "current-context": name,
    });
    fs::write(path, serde_json::to_string_pretty(&kubeconfig)?)?;
    Ok(path.to_owned())
}

/// A new client of the current runtime from a kubeconfig, which names itself in the audit log.
pub(crate) async fn client(kubeconfig: &Path, user_agent: &str) -> Result<Client> {
    let file = Kubeconfig::read_from(kubeconfig)
        .with_context(|| format!("reading {}", kubeconfig.display()))?;
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    config
        .headers
        .push(("user-agent".parse()?, user_agent.parse()?));
    Ok(Client::try_from(config)?)
}
