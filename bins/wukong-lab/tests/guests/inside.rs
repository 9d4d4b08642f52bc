//! Checks inside a guest.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;
use wukong_lab::cluster::wait::eventually;
use wukong_lab::guests::{Guest, IMAGE_HOST};

use crate::support::Space;
use crate::{PATIENCE, support};

/// The URL of an image that the lab serves.
pub fn image(name: &str) -> String {
    format!("http://{IMAGE_HOST}/{name}")
}

/// A small machine that boots Debian, and what `spec` says.
pub fn machine(name: &str, spec: Value) -> Value {
    let mut object = support::wukong(
        name,
        json!({
            "memory": "320Mi",
            "osImage": image("debian-12.qcow2"),
            "disks": [{"name": "root", "size": "2Gi"}],
            "terminationGracePeriodSeconds": 300,
        }),
    );
    support::merge(&mut object["spec"], spec);
    object
}

/// The uid of the present instance.
pub async fn instance(space: &Space<'_>, name: &str) -> Option<String> {
    let vmi = space.get("VirtualMachineInstance", name).await;
    vmi["metadata"]["uid"].as_str().map(str::to_owned)
}

/// The guest, as soon as its agent answers and cloud-init has done its work.
pub async fn booted(space: &Space<'_>, name: &str) -> Guest {
    // The status follows the agent.
    space
        .until(
            "VirtualMachineInstance",
            name,
            "reported by its agent",
            |vmi| {
                // The agent of a guest that is being torn down has reported, too.
                let runs = vmi["status"]["phase"] == "Running"
                    && vmi["metadata"]["deletionTimestamp"].is_null();
                (runs && support::condition(vmi, "AgentConnected").0 == "True").then_some(())
            },
        )
        .await;
    let guest = space.lab.guest(&space.name, name).await.unwrap();
    let done = eventually("cloud-init has ended", PATIENCE, async || {
        let answer = guest.shell("cat /run/cloud-init/result.json").await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        match answer {
            Ok(answer) if answer.code == 0 => Ok(answer.out),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let done = done.unwrap_or_else(|error| panic!("{error:#}\n{}", guest.console()));
    assert!(
        done.contains("\"errors\": []"),
        "{done}\n{}",
        guest.console()
    );
    guest
}

/// What a script prints in the guest, without white space around it.
pub async fn run(guest: &Guest, script: &str) -> String {
    let output = guest.shell(script).await.unwrap();
    assert!(output.code == 0, "{}: {script}: {output:?}", guest.name);
    output.out.trim().to_owned()
}

/// Claims about a guest. All wrong claims are reported together, because a boot is expensive.
pub struct Claims<'a> {
    guest: &'a Guest,
    wrong: Vec<String>,
}

impl<'a> Claims<'a> {
    pub fn about(guest: &'a Guest) -> Self {
        Self {
            guest,
            wrong: Vec::new(),
        }
    }

    /// What the script prints is this.
    pub async fn prints(&mut self, script: &str, expected: &str) {
        self.holds(script, &format!("{expected:?}"), |out| out == expected)
            .await;
    }

    /// All of these are in what the script prints.
    pub async fn shows(&mut self, script: &str, expected: &[&str]) {
        self.holds(script, &format!("{expected:?} in it"), |out| {
            expected.iter().all(|part| out.contains(part))
        })
        .await;
    }

    /// Before the patience ends, the script prints what is expected.
    pub async fn will_show(&mut self, script: &str, expected: &[&str]) {
        let shown = eventually(script, Duration::from_secs(120), async || {
            let out = self.guest.shell(script).await.map(|output| output.out);
            match out {
                Ok(out) if expected.iter().all(|part| out.contains(part)) => Ok(()),
                other => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    Err(other.map_err(|error| format!("{error:#}")))
                }
            }
        });
        if let Err(error) = shown.await {
            self.wrong.push(format!("expected {expected:?}: {error:#}"));
        }
    }

    async fn holds(&mut self, script: &str, expected: &str, holds: impl Fn(&str) -> bool) {
        match self.guest.shell(script).await {
            Ok(output) if holds(output.out.trim()) => {}
            other => self
                .wrong
                .push(format!("{script}\n  expected {expected}\n  got {other:?}")),
        }
    }

    pub fn claim(&mut self, what: &str, holds: bool) {
        if !holds {
            self.wrong.push(what.to_owned());
        }
    }

    /// Panics with all wrong claims.
    pub fn end(self) {
        assert!(
            self.wrong.is_empty(),
            "{}:\n{}",
            self.guest.name,
            self.wrong.join("\n")
        );
    }
}

/// A key pair, and the Secret with its public part.
pub async fn key_secret(space: &Space<'_>, name: &str) -> PathBuf {
    let path = space.lab.dir().join(format!("{}-{name}", space.name));
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&path)
        .status()
        .await
        .unwrap();
    assert!(made.success());
    let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
    space
        .apply(
            &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "stringData": {"key": public}}),
        )
        .await;
    path
}

/// What a login by password leads to: what the script prints, or ssh's complaint.
pub async fn log_in_by_password(
    space: &Space<'_>,
    guest: &Guest,
    user: &str,
    password: &str,
    script: &str,
) -> Result<String, String> {
    // ssh asks a program, because there is no terminal to ask.
    let asked = space.lab.dir().join(format!("{}-{user}-says", guest.uid));
    std::fs::write(&asked, format!("#!/bin/sh\necho '{password}'\n")).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&asked, executable).unwrap();
    let output = Command::new("ssh")
        .args(["-p", &guest.ssh.to_string()])
        .args([
            "-o",
            "PreferredAuthentications=password",
            "-o",
            "PubkeyAuthentication=no",
        ])
        .args(["-o", "NumberOfPasswordPrompts=1", "-o", "ConnectTimeout=60"])
        .args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ])
        .args(["-o", "LogLevel=ERROR", &format!("{user}@127.0.0.1"), script])
        .env("SSH_ASKPASS", &asked)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
