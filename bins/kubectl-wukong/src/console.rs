//! `console`: the serial console of a guest.

use std::time::Duration;

use anyhow::{anyhow, bail};
use futures::{StreamExt, stream};
use jiff::SignedDuration;

use crate::cluster::{Cluster, ClusterArgs};
use crate::exit::Exit;
use crate::guest::tunnel::{Ended, Refused, Tunnel};
use crate::guest::{input, running, terminal, tunnel};
use crate::{kubevirt, output, text};

/// Delay between attempts while KubeVirt does not yet report that the guest runs.
const RETRY: Duration = Duration::from_secs(1);

/// Open the serial console of a VM.
///
/// Waits until the VM runs. All keys go to the guest, including Ctrl-C; Ctrl-] disconnects. A console has one user: a new
/// connection closes the previous one. If the input is not a terminal, its end does not close the console, so that the
/// output can be followed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubectl wukong console web
  kubectl wukong console web --timeout 10m
  kubectl wukong console web < /dev/null | tee boot.log

Permissions, in addition to reading Wukongs:
  get, list, watch on virtualmachineinstances of kubevirt.io
  get on virtualmachineinstances/console of subresources.kubevirt.io

Exit codes:
  0  disconnected with Ctrl-], or the guest has shut down
  1  failed, refused, or taken over by another connection
  3  timed out: the VM does not run yet")]
pub struct Args {
    /// Name of the Wukong
    name: String,

    /// Maximum time to wait until the VM runs, such as 90s or 10m
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    timeout: SignedDuration,
}

pub async fn run(args: &Args, cluster: &ClusterArgs) -> anyhow::Result<Exit> {
    let cluster = cluster.connect().await?;
    let wukong = cluster.wukong(&args.name).await?;
    let timeout = Duration::try_from(args.timeout).unwrap_or_default();
    if let Err(sentence) = running::wait(&cluster, &wukong, &args.name, timeout).await? {
        output::note(&format!("{}: {sentence}", args.name));
        return Ok(Exit::TimedOut);
    }
    let instance = kubevirt::instance(&cluster, &args.name).await?;
    let uid = instance.map(|instance| instance.uid);
    let Ok(tunnel) = tokio::time::timeout(timeout, open(&cluster, &args.name)).await else {
        bail!(
            "{} has no console yet: KubeVirt reports that it does not run",
            args.name
        )
    };
    match join(tunnel?, &args.name).await? {
        Some(Ended::Here) => Ok(Exit::Done),
        Some(Ended::There(reason)) => {
            let after = kubevirt::instance(&cluster, &args.name).await?;
            // The same guest still runs, so its console did not end with it.
            let lost =
                after.is_some_and(|after| after.phase == "Running" && Some(after.uid) == uid);
            match lost {
                false => {
                    output::note(&format!("{}: the guest has shut down", args.name));
                    Ok(Exit::Done)
                }
                true => bail!(
                    "the console of {} was closed{}: another client opened it, or the connection to its node is lost",
                    args.name,
                    with(&reason)
                ),
            }
        }
        None => Ok(Exit::Failed),
    }
}

/// Opens the console. Retries while KubeVirt does not yet report that the guest runs.
async fn open(cluster: &Cluster, name: &str) -> anyhow::Result<Tunnel> {
    loop {
        match tunnel::open(cluster, name, "console").await? {
            Ok(tunnel) => return Ok(tunnel),
            Err(refused) if is_too_early(&refused) => tokio::time::sleep(RETRY).await,
            Err(refused) => return Err(explain(name, &refused)),
        }
    }
}

fn is_too_early(refused: &Refused) -> bool {
    refused.code == 400 && refused.message.contains("not running")
}

fn explain(name: &str, refused: &Refused) -> anyhow::Error {
    match refused.code {
        400 if refused.message.contains("No serial console") => {
            anyhow!(
                "{name} has no serial console: its VirtualMachine sets autoattachSerialConsole to false"
            )
        }
        _ => anyhow!(
            "KubeVirt refuses to open the console of {name}: {}",
            text::plain(&refused.to_string())
        ),
    }
}

/// Connects the console with this terminal. Returns `None` if a signal ends the process.
async fn join(tunnel: Tunnel, name: &str) -> anyhow::Result<Option<Ended>> {
    let stdout = tokio::io::stdout();
    output::note(&format!(
        "Connected to the console of {name}. Press Enter for a prompt, Ctrl-] to disconnect."
    ));
    let Some(raw) = terminal::Raw::enable()? else {
        let input = input::stdin().chain(stream::pending());
        return tunnel.join(input, stdout, Duration::ZERO).await.map(Some);
    };
    let ended = tokio::select! {
        ended = tunnel.join(input::until_escape(input::stdin()), stdout, Duration::ZERO) => ended.map(Some),
        signal = terminal::terminated() => signal.map(|()| None).map_err(Into::into),
    };
    drop(raw);
    // The guest may have left the cursor in the middle of a line.
    output::note("");
    ended
}

fn with(reason: &str) -> String {
    match reason {
        "" => String::new(),
        reason => format!(" ({})", text::plain(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16, message: &str) -> Refused {
        Refused {
            code,
            message: message.into(),
        }
    }

    #[test]
    fn only_a_starting_guest_is_retried() {
        assert!(is_too_early(&refused(400, "VMI is not running")));
        assert!(!is_too_early(&refused(
            400,
            "No serial consoles are present."
        )));
        assert!(!is_too_early(&refused(409, "VMI is in failed status")));
    }

    #[test]
    fn a_refusal_is_explained_or_quoted() {
        let message = |code, message| explain("web", &refused(code, message)).to_string();
        assert_eq!(
            message(400, "No serial consoles are present."),
            "web has no serial console: its VirtualMachine sets autoattachSerialConsole to false"
        );
        assert_eq!(
            message(500, "Active serial console connection. Request denied."),
            "KubeVirt refuses to open the console of web: Active serial console connection. Request denied."
        );
    }
}
