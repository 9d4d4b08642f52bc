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

/// How long to wait before KubeVirt is asked again for a guest that has only just begun to run.
const AGAIN: Duration = Duration::from_secs(1);

/// Open the serial console of a VM.
///
/// Waits until the VM runs. All keys go to the guest, also Ctrl-C; Ctrl-] leaves. A console has one user: whoever opens
/// it next takes it over. When the input is no terminal, its end does not end the console, so that it can be watched.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubectl wukong console web
  kubectl wukong console web --timeout 10m
  kubectl wukong console web < /dev/null | tee boot.log

Rights, beside reading Wukongs:
  get, list, watch on virtualmachineinstances of kubevirt.io
  get on virtualmachineinstances/console of subresources.kubevirt.io

Exit codes:
  0  left with Ctrl-], or the guest has shut down
  1  failed, refused, taken over by somebody else
  3  --timeout is over: the VM does not run yet")]
pub struct Args {
    /// Name of the Wukong
    name: String,

    /// How long to wait until the VM runs, such as 90s or 10m
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    timeout: SignedDuration,
}

pub async fn run(args: &Args, cluster: &ClusterArgs) -> anyhow::Result<Exit> {
    let cluster = cluster.connect().await?;
    let wukong = cluster.wukong(&args.name).await?;
    let timeout = Duration::try_from(args.timeout).unwrap_or_default();
    if let Err(sentence) = running::wait(&cluster, &wukong, &args.name, timeout).await? {
        output::note(&format!("{}: {sentence}", args.name));
        return Ok(Exit::NotInTime);
    }
    let instance = kubevirt::instance(&cluster, &args.name).await?;
    let uid = instance.map(|instance| instance.uid);
    let Ok(tunnel) = tokio::time::timeout(timeout, open(&cluster, &args.name)).await else {
        bail!(
            "{} has no console yet: KubeVirt says that it does not run",
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
                    "the console of {} was closed{}: somebody else opened it, or the connection to its node is lost",
                    args.name,
                    with(&reason)
                ),
            }
        }
        None => Ok(Exit::Failed),
    }
}

/// Opens the console, again and again while KubeVirt has not noticed yet that the guest runs.
async fn open(cluster: &Cluster, name: &str) -> anyhow::Result<Tunnel> {
    loop {
        match tunnel::open(cluster, name, "console").await? {
            Ok(tunnel) => return Ok(tunnel),
            Err(refused) if is_too_early(&refused) => tokio::time::sleep(AGAIN).await,
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
            "KubeVirt does not open the console of {name}: {}",
            text::plain(&refused.to_string())
        ),
    }
}

/// Joins the console and this terminal. `None` when the process was asked to end.
async fn join(tunnel: Tunnel, name: &str) -> anyhow::Result<Option<Ended>> {
    let stdout = tokio::io::stdout();
    output::note(&format!(
        "Connected to the console of {name}. Ctrl-] leaves; press Enter when nothing shows."
    ));
    let Some(raw) = terminal::Raw::enable()? else {
        let input = input::stdin().chain(stream::pending());
        return tunnel.join(input, stdout, Duration::ZERO).await.map(Some);
    };
    let ended = tokio::select! {
        ended = tunnel.join(input::until_escape(input::stdin()), stdout, Duration::ZERO) => ended.map(Some),
        told = terminal::told_to_end() => told.map(|()| None).map_err(Into::into),
    };
    drop(raw);
    // The guest left the cursor wherever it was.
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
    fn only_a_guest_that_begins_to_run_is_waited_for() {
        assert!(is_too_early(&refused(400, "VMI is not running")));
        assert!(!is_too_early(&refused(
            400,
            "No serial consoles are present."
        )));
        assert!(!is_too_early(&refused(409, "VMI is in failed status")));
    }

    #[test]
    fn a_refusal_is_explained_or_quoted() {
        let said = |code, message| explain("web", &refused(code, message)).to_string();
        assert_eq!(
            said(400, "No serial consoles are present."),
            "web has no serial console: its VirtualMachine sets autoattachSerialConsole to false"
        );
        assert_eq!(
            said(500, "Active serial console connection. Request denied."),
            "KubeVirt does not open the console of web: Active serial console connection. Request denied."
        );
    }
}
