//! The proof that a user can log in to a guest that booted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;
use wukong_api::Wukong;

use crate::cluster::wait::eventually;
use crate::{Lab, Progress};

/// The default user of the lab's image.
const IMAGE_USER: &str = "debian";
/// The command that runs inside the guest.
const SHOW: &str = "echo \"$(id -un) on $(hostname), $(uname -sr), $(nproc) CPUs\"; ip -brief address; lsblk -o NAME,SIZE,SERIAL,MOUNTPOINTS";

/// A key pair that lives as long as the lab.
pub(super) struct Key {
    path: PathBuf,
    pub public: String,
}

impl Key {
    pub(super) async fn make(dir: &Path) -> Result<Self> {
        let path = dir.join("demo-key");
        let made = Command::new("ssh-keygen")
            .args([
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-C",
                "cargo-lab-demo",
                "-f",
            ])
            .arg(&path)
            .output()
            .await
            .context("running ssh-keygen")?;
        ensure!(made.status.success(), "ssh-keygen: {}", made.status);
        let public = std::fs::read_to_string(path.with_extension("pub"))?;
        Ok(Self { path, public })
    }
}

/// A login that worked: the command that does it again, and what it showed.
pub(super) struct Login {
    pub command: String,
    pub shown: String,
}

/// Logs in as soon as the guest lets us: its agent answers before its users are made.
pub(super) async fn log_in(
    lab: &Lab,
    namespace: &str,
    wukong: &Wukong,
    key: &Key,
    patience: Duration,
    progress: &Progress,
) -> Result<Login> {
    let task = progress.task("Logging in");
    let name = wukong.metadata.name.as_deref().unwrap_or_default();
    let guest = lab.guest(namespace, name).await?;
    let user = wukong
        .spec
        .cloud_init_user
        .as_ref()
        .map_or(IMAGE_USER, |user| &user.name);
    let shown = eventually("the guest lets its user log in", patience, async || {
        guest
            .ssh(user, &key.path, SHOW)
            .await
            .map_err(|error| format!("{error:#}"))
    })
    .await?;
    task.done(format!("logged in as {user}"));
    Ok(Login {
        command: guest.ssh_command(user, &key.path).join(" "),
        shown,
    })
}
