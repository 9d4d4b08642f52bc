//! `vnc`: the screen of a guest.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::cluster::{Cluster, ClusterArgs};
use crate::exit::Exit;
use crate::guest::{running, stream};
use crate::output;

/// Viewers that are tried, the first one first. `open` of macOS starts Screen Sharing.
const VIEWERS: [&str; 3] = ["remote-viewer", "vncviewer", "open"];

/// Open the screen of a VM in a VNC viewer.
///
/// Listens on loopback, because the screen asks for no password, and starts a viewer: remote-viewer, vncviewer, or Screen
/// Sharing on macOS. Ends with the viewer. A screen has one user: a new connection closes the previous one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubectl wukong vnc web
  kubectl wukong vnc web --viewer /opt/tigervnc/bin/vncviewer
  kubectl wukong vnc web --proxy-only --port 5900

Permissions, in addition to reading Wukongs:
  get on virtualmachineinstances of kubevirt.io
  get on virtualmachineinstances/vnc of subresources.kubevirt.io

Exit codes:
  0  the viewer was closed
  1  failed or refused")]
pub struct Args {
    /// Name of the Wukong
    name: String,

    /// Local port to listen on [default: a free one]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,

    /// Print the address for a viewer, and start none; until interrupted
    #[arg(long, conflicts_with = "viewer")]
    proxy_only: bool,

    /// Viewer to start
    #[arg(long, value_name = "PROGRAM")]
    viewer: Option<String>,
}

pub async fn run(args: &Args, cluster: &ClusterArgs) -> anyhow::Result<Exit> {
    let cluster = cluster.connect().await?;
    let name = &args.name;
    let wukong = cluster.wukong(name).await?;
    running::require(&cluster, &wukong, name).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await;
    let listener = listener.with_context(|| format!("cannot listen on port {}", args.port))?;
    let local = listener.local_addr()?;
    let viewer = match (args.proxy_only, &args.viewer) {
        (true, _) => None,
        (false, Some(program)) => {
            let started = start(program, local.port())?;
            Some(started.with_context(|| format!("there is no program {program}"))?)
        }
        (false, None) => find(local.port())?,
    };
    if let Some(viewer) = viewer {
        return view(viewer, &listener, &cluster, name).await;
    }
    if !args.proxy_only {
        output::note("no viewer was found (remote-viewer, vncviewer): connect one to this address");
    }
    output::print(&format!("{local} -> screen of {name}\n"))?;
    loop {
        // A viewer that fails can connect again.
        if let Err(error) = serve(&listener, &cluster, name).await {
            output::note(&format!("{error:#}"));
        }
    }
}

/// Starts the first viewer that this machine has.
fn find(port: u16) -> anyhow::Result<Option<Child>> {
    for program in VIEWERS {
        // Other systems have another `open`.
        if program == "open" && !cfg!(target_os = "macos") {
            continue;
        }
        if let Some(viewer) = start(program, port)? {
            return Ok(Some(viewer));
        }
    }
    Ok(None)
}

/// Starts a viewer; `None` if there is no such program.
fn start(program: &str, port: u16) -> anyhow::Result<Option<Child>> {
    let viewer = Command::new(program).arg(target(program, port)).spawn();
    match viewer {
        Ok(viewer) => Ok(Some(viewer)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot start {program}")),
    }
}

/// The address as a viewer wants it. A single colon before a number is a display for vncviewer, and two are a port.
fn target(program: &str, port: u16) -> String {
    let file = Path::new(program).file_stem().unwrap_or_default();
    match file.to_string_lossy().ends_with("vncviewer") {
        true => format!("127.0.0.1::{port}"),
        false => format!("vnc://127.0.0.1:{port}"),
    }
}

/// Serves the connection of a viewer.
async fn view(
    mut viewer: Child,
    listener: &TcpListener,
    cluster: &Cluster,
    name: &str,
) -> anyhow::Result<Exit> {
    let mut served = std::pin::pin!(serve(listener, cluster, name));
    tokio::select! {
        served = &mut served => served?,
        ended = viewer.wait() => {
            let ended = ended?;
            if !ended.success() {
                bail!("the viewer failed: {ended}");
            }
            // A viewer may go on in another process.
            served.await?;
        }
    }
    Ok(Exit::Done)
}

async fn serve(listener: &TcpListener, cluster: &Cluster, name: &str) -> anyhow::Result<()> {
    let (connection, _) = listener.accept().await?;
    let tunnel = stream::open(cluster, name, "vnc", "the screen").await?;
    stream::join(tunnel, connection).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_viewer_gets_the_port_in_its_own_form() {
        assert_eq!(target("remote-viewer", 5901), "vnc://127.0.0.1:5901");
        assert_eq!(target("/opt/bin/vncviewer", 5901), "127.0.0.1::5901");
        assert_eq!(target("xtigervncviewer", 5901), "127.0.0.1::5901");
    }
}
