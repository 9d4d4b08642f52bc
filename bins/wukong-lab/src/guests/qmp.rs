//! QEMU's control socket.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

const POLL: Duration = Duration::from_millis(20);

/// A connection; QEMU has room for one.
pub struct Qmp {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

/// Something that happened.
#[derive(Debug)]
pub struct Event {
    pub name: String,
    pub data: Value,
}

impl Qmp {
    /// Connects as soon as there is a socket.
    pub async fn connect(path: &Path) -> Result<Self> {
        let stream = loop {
            match UnixStream::connect(path).await {
                Ok(stream) => break stream,
                Err(_) => tokio::time::sleep(POLL).await,
            }
        };
        let (reader, writer) = stream.into_split();
        let mut qmp = Self {
            lines: BufReader::new(reader).lines(),
            writer,
        };
        qmp.lines
            .next_line()
            .await?
            .context("QEMU greets who connects")?;
        qmp.send("qmp_capabilities", json!({})).await?;
        Ok(qmp)
    }

    /// Sends a command; what it answers is only logged when it is an error.
    pub async fn send(&mut self, command: &str, arguments: Value) -> Result<()> {
        let line = json!({"execute": command, "arguments": arguments}).to_string() + "\n";
        Ok(self.writer.write_all(line.as_bytes()).await?)
    }

    /// The next event; `None` when QEMU is gone. May be dropped while it waits.
    pub async fn event(&mut self) -> Option<Event> {
        while let Ok(Some(line)) = self.lines.next_line().await {
            let message: Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(name) = message.get("event").and_then(Value::as_str) {
                let data = message.get("data").cloned().unwrap_or_default();
                return Some(Event {
                    name: name.to_owned(),
                    data,
                });
            }
            if let Some(error) = message.get("error") {
                tracing::warn!(%error, "QEMU refuses a command");
            }
        }
        None
    }
}
