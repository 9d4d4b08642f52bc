//! How guests' instructions are executed: by the processor (KVM) where that really works, else by emulation (TCG).

use std::fs::OpenOptions;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::{image, tools};

/// How long a kernel may take to say its first word under KVM.
const FIRST_WORD: Duration = Duration::from_secs(15);

/// Executes a guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Accel {
    /// The processor itself.
    Kvm,
    /// QEMU's emulation.
    Tcg,
}

/// What this machine offers, and why.
#[derive(Debug)]
pub struct Choice {
    pub accel: Accel,
    pub why: String,
}

impl Accel {
    /// For a person.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG (emulation)",
        }
    }

    /// On a command line.
    pub fn argument(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    /// How long a boot takes until the guest agent answers, for a person.
    pub fn boot_takes(self) -> &'static str {
        match self {
            Self::Kvm => "about 20 seconds",
            Self::Tcg => "about two minutes",
        }
    }

    /// How long a boot may take on a busy machine.
    pub fn patience(self) -> Duration {
        match self {
            Self::Kvm => Duration::from_secs(120),
            Self::Tcg => Duration::from_secs(600),
        }
    }
}

/// A `/dev/kvm` that opens is no proof: nested paravirtual kinds of it never get a stock kernel through its start. So the
/// module of a real one must be loaded, and a kernel must have printed its first line.
pub async fn choose(images: &Path) -> Choice {
    let emulate = |why: &str| Choice {
        accel: Accel::Tcg,
        why: why.to_owned(),
    };
    if OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_err()
    {
        return emulate("there is no /dev/kvm that this user may open");
    }
    let real = ["kvm_intel", "kvm_amd"]
        .iter()
        .any(|module| Path::new("/sys/module").join(module).exists());
    if !real {
        return emulate("/dev/kvm is there, but neither kvm_intel nor kvm_amd is behind it");
    }
    if !speaks(images).await {
        return emulate("/dev/kvm is there, but a kernel does not start under it");
    }
    Choice {
        accel: Accel::Kvm,
        why: "a kernel starts under /dev/kvm".to_owned(),
    }
}

/// Whether the probe's kernel says something on its console in time.
async fn speaks(images: &Path) -> bool {
    let disk = images.join(image::PROBE);
    let child = Command::new(tools::QEMU)
        .args(["-nodefaults", "-no-user-config", "-display", "none"])
        .args(["-machine", "q35", "-accel", "kvm", "-cpu", "host"])
        .args(["-m", "256", "-serial", "stdio", "-snapshot", "-drive"])
        .arg(format!("if=virtio,format=qcow2,file={}", disk.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let Ok(mut child) = child else { return false };
    let Some(console) = child.stdout.take() else {
        return false;
    };
    let mut lines = BufReader::new(console).lines();
    let greeting = async {
        while let Ok(Some(line)) = lines.next_line().await {
            if line.contains("Linux version") {
                return true;
            }
        }
        false
    };
    tokio::time::timeout(FIRST_WORD, greeting)
        .await
        .unwrap_or(false)
}
