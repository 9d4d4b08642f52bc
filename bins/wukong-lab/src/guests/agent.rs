//! The guest agent: what it tells of the guest, and running commands through it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use wukong_sim::reality::{Interface, Report};

/// How long an emulated guest may take to answer.
const PATIENCE: Duration = Duration::from_secs(180);
/// Ends and separates messages; resets the agent's parser.
const DELIMITER: u8 = 0xff;
const POLL: Duration = Duration::from_millis(200);

/// A conversation. QEMU serves one at a time; others wait for its end.
pub struct Agent {
    stream: BufReader<UnixStream>,
}

/// How a command in the guest ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i64,
    pub out: String,
    pub err: String,
}

impl Agent {
    /// Connects, and makes sure that what comes next is an answer to this conversation.
    pub async fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)
            .await
            .context("connecting to the guest agent")?;
        let mut agent = Self {
            stream: BufReader::new(stream),
        };
        let id = std::time::UNIX_EPOCH
            .elapsed()
            .map_or(1, |since| since.subsec_nanos());
        let hello = json!({"execute": "guest-sync-delimited", "arguments": {"id": id}});
        agent.stream.write_all(&[DELIMITER]).await?;
        agent.write(&hello).await?;
        let synchronised = async {
            loop {
                let mut old = Vec::new();
                agent.stream.read_until(DELIMITER, &mut old).await?;
                if old.is_empty() {
                    bail!("the guest agent's channel is closed");
                }
                if agent.read().await?.get("return") == Some(&json!(id)) {
                    return Ok(());
                }
            }
        };
        tokio::time::timeout(PATIENCE, synchronised)
            .await
            .context("the guest agent does not answer")??;
        Ok(agent)
    }

    async fn write(&mut self, message: &Value) -> Result<()> {
        let line = message.to_string() + "\n";
        Ok(self.stream.write_all(line.as_bytes()).await?)
    }

    async fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            bail!("the guest agent's channel is closed");
        }
        Ok(serde_json::from_str(&line)?)
    }

    /// One command of the agent's protocol.
    pub async fn call(&mut self, command: &str, arguments: Value) -> Result<Value> {
        self.write(&json!({"execute": command, "arguments": arguments}))
            .await?;
        let mut answer = tokio::time::timeout(PATIENCE, self.read())
            .await
            .with_context(|| format!("the guest agent does not answer {command}"))??;
        match answer.get("error") {
            Some(error) => bail!("{command}: {error}"),
            None => Ok(answer
                .get_mut("return")
                .map(Value::take)
                .unwrap_or_default()),
        }
    }

    /// Runs a command with a shell and waits for its end.
    pub async fn shell(&mut self, script: &str) -> Result<Ended> {
        let arguments = json!({"path": "/bin/sh", "arg": ["-c", script], "capture-output": true});
        let started = self.call("guest-exec", arguments).await?;
        let pid = json!({"pid": started.get("pid")});
        loop {
            let status = self.call("guest-exec-status", pid.clone()).await?;
            if status.get("exited") == Some(&Value::Bool(true)) {
                return Ok(Ended {
                    code: status.get("exitcode").and_then(Value::as_i64).unwrap_or(-1),
                    out: text(&status, "out-data"),
                    err: text(&status, "err-data"),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// All that KubeVirt shows in status.
    pub async fn report(&mut self) -> Result<Report> {
        let system = self.call("guest-get-osinfo", json!({})).await?;
        let interfaces = self.call("guest-network-get-interfaces", json!({})).await?;
        Ok(Report {
            system: system_info(&system),
            interfaces: interfaces
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(interface)
                .collect(),
        })
    }
}

fn text(status: &Value, key: &str) -> String {
    let encoded = status.get(key).and_then(Value::as_str).unwrap_or_default();
    let bytes = STANDARD.decode(encoded).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn system_info(report: &Value) -> Value {
    let keys = [
        ("id", "id"),
        ("name", "name"),
        ("prettyName", "pretty-name"),
        ("version", "version"),
        ("versionId", "version-id"),
        ("kernelRelease", "kernel-release"),
        ("kernelVersion", "kernel-version"),
        ("machine", "machine"),
    ];
    keys.iter()
        .filter_map(|(ours, theirs)| Some(((*ours).to_owned(), report.get(*theirs)?.clone())))
        .collect()
}

fn interface(report: &Value) -> Option<Interface> {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let addresses = report.get("ip-addresses").and_then(Value::as_array);
    Some(Interface {
        name: text(report, "name")?,
        mac: text(report, "hardware-address")?.to_ascii_lowercase(),
        addresses: addresses
            .into_iter()
            .flatten()
            .filter_map(|address| text(address, "ip-address"))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_tells_of_its_interfaces() {
        let report = json!({"name": "lan", "hardware-address": "02:00:00:AA:00:01", "ip-addresses": [
            {"ip-address-type": "ipv4", "ip-address": "10.10.0.5", "prefix": 24},
            {"ip-address-type": "ipv6", "ip-address": "fe80::1", "prefix": 64}]});
        let expected = Interface {
            name: "lan".into(),
            mac: "02:00:00:aa:00:01".into(),
            addresses: vec!["10.10.0.5".into(), "fe80::1".into()],
        };
        assert_eq!(interface(&report), Some(expected));
        assert_eq!(interface(&json!({"name": "sit0"})), None);
    }
}
