//! Looking at a guest from outside: for tests, and for people who want to log in.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::process::Command;

use super::agent::Agent;
use super::machine::Machine;
use super::qemu::Places;

const FILE: &str = "guest.json";

/// The directory of the guest of the instance with this uid. Short, because it holds sockets.
pub(super) fn dir_of(dir: &Path, uid: &str) -> PathBuf {
    dir.join(uid.split('-').next().unwrap_or(uid))
}

/// Writes down how the guest is reached.
pub(super) fn announce(dir: &Path, machine: &Machine, places: &Places, pid: u32) -> Result<()> {
    let guest = Guest {
        namespace: machine.namespace.clone(),
        name: machine.name.clone(),
        uid: machine.uid.clone(),
        pid,
        ssh: places.ssh,
        agent: places.agent.clone(),
        console: places.console.clone(),
        terminal: places.terminal.clone(),
    };
    let new = dir.join("guest.json.new");
    fs::write(&new, serde_json::to_string_pretty(&guest)?)?;
    Ok(fs::rename(new, dir.join(FILE))?)
}

/// A guest that was started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Guest {
    pub namespace: String,
    pub name: String,
    /// Of its instance.
    pub uid: String,
    /// QEMU's process.
    pub pid: u32,
    /// The port of this machine's loopback interface that leads to its SSH server.
    pub ssh: u16,
    agent: PathBuf,
    console: PathBuf,
    /// The socket of its serial console, for one user at a time.
    pub(crate) terminal: PathBuf,
}

/// What a command in a guest wrote.
#[derive(Clone, Debug)]
pub struct Output {
    pub code: i64,
    pub out: String,
    pub err: String,
}

impl Guest {
    /// The guest of the instance with this uid, in the directory of the lab's guests.
    pub(crate) fn find(dir: &Path, uid: &str) -> Result<Self> {
        let file = dir_of(dir, uid).join(FILE);
        let text = fs::read(&file).with_context(|| format!("no guest {uid} was started"))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Runs a shell script in it as root, through the guest agent.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub async fn shell(&self, script: &str) -> Result<Output> {
        let ended = Agent::connect(&self.agent).await?.shell(script).await?;
        Ok(Output {
            code: ended.code,
            out: ended.out,
            err: ended.err,
        })
    }

    /// One command of the guest agent's protocol.
    ///
    /// # Errors
    /// When the agent does not answer, or with an error.
    pub async fn agent(&self, command: &str) -> Result<Value> {
        Agent::connect(&self.agent)
            .await?
            .call(command, json!({}))
            .await
    }

    /// What it wrote on its serial console so far.
    pub fn console(&self) -> String {
        let bytes = fs::read(&self.console).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The command that logs in with a key.
    pub fn ssh_command(&self, user: &str, key: &Path) -> Vec<String> {
        let mut command = vec!["ssh".to_owned(), "-i".into(), key.display().to_string()];
        command.extend(["-p".into(), self.ssh.to_string()]);
        for option in [
            "IdentitiesOnly=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            // An emulated guest takes its time.
            "ConnectTimeout=60",
        ] {
            command.extend(["-o".into(), option.into()]);
        }
        command.push(format!("{user}@127.0.0.1"));
        command
    }

    /// Logs in with a key, runs a command there, and returns what it wrote.
    ///
    /// # Errors
    /// When the login or the command fails.
    pub async fn ssh(&self, user: &str, key: &Path, script: &str) -> Result<String> {
        let command = self.ssh_command(user, key);
        let (program, arguments) = command.split_first().context("ssh is a program")?;
        let output = Command::new(program)
            .args(["-o", "BatchMode=yes"])
            .args(arguments)
            .arg(script)
            .stdin(std::process::Stdio::null())
            .output()
            .await?;
        ensure!(
            output.status.success(),
            "ssh: {} {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
