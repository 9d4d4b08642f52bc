//! `port-forward`: local ports that lead to a guest.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use anyhow::{Context, bail};
use futures::future;
use futures::future::try_join_all;
use tokio::net::{TcpListener, TcpStream};

use crate::cluster::{Cluster, ClusterArgs};
use crate::exit::Exit;
use crate::guest::{input, port, running, stream, tunnel};
use crate::output;

/// Forward local ports to a VM, until interrupted.
///
/// The traffic goes through the API server and KubeVirt to the guest's address on its first network. This suits logins
/// and web pages, not bulk data.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubectl wukong port-forward web 8080:80
  kubectl wukong port-forward web 5432
  kubectl wukong port-forward web :80 :443
  ssh -o 'ProxyCommand=kubectl wukong port-forward --stdio web 22' wukong@web

Permissions, in addition to reading Wukongs:
  get on virtualmachineinstances of kubevirt.io
  get on virtualmachineinstances/portforward of subresources.kubevirt.io

Exit codes:
  0  --stdio: the connection was closed
  1  failed or refused")]
pub struct Args {
    /// Name of the Wukong, or vmi/NAME
    name: String,

    /// LOCAL:REMOTE, PORT for the same port on both sides, or :REMOTE for any free local port
    #[arg(value_name = "[LOCAL:]REMOTE", required = true)]
    ports: Vec<Ports>,

    /// Local address to listen on
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,

    /// Connect one port with standard input and output, for the ProxyCommand of ssh
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        hide_default_value = true,
        hide_possible_values = true
    )]
    stdio: bool,
}

/// A local port and a port of the guest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Ports {
    /// 0 is any free port.
    local: u16,
    remote: u16,
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (local, remote) = match text.split_once(':') {
            None => (port::number(text)?, port::number(text)?),
            Some(("", remote)) => (0, port::number(remote)?),
            Some((local, remote)) => (port::number(local)?, port::number(remote)?),
        };
        Ok(Self { local, remote })
    }
}

pub async fn run(args: &Args, cluster: &ClusterArgs) -> anyhow::Result<Exit> {
    let cluster = cluster.connect().await?;
    let name = args.name.strip_prefix("vmi/").unwrap_or(&args.name);
    if args.stdio {
        let [ports] = args.ports.as_slice() else {
            bail!("--stdio takes one port")
        };
        join_stdio(&cluster, name, ports.remote).await?;
        return Ok(Exit::Done);
    }
    let wukong = cluster.wukong(name).await?;
    running::require(&cluster, &wukong, name).await?;
    let listeners = args.ports.iter().map(|ports| listen(args.address, *ports));
    let listeners = try_join_all(listeners).await?;
    for (listener, remote) in &listeners {
        let local = listener.local_addr()?;
        output::print(&format!("{local} -> {name}:{remote}\n"))?;
    }
    let serving = listeners
        .into_iter()
        .map(|(listener, remote)| serve(listener, &cluster, name, remote));
    future::join_all(serving).await;
    Ok(Exit::Done)
}

async fn listen(address: IpAddr, ports: Ports) -> anyhow::Result<(TcpListener, u16)> {
    let listener = TcpListener::bind((address, ports.local)).await;
    let listener = listener.with_context(|| format!("cannot listen on port {}", ports.local))?;
    Ok((listener, ports.remote))
}

/// Forwards each connection to the guest. A failed connection is reported and does not affect the others.
async fn serve(listener: TcpListener, cluster: &Cluster, name: &str, remote: u16) {
    loop {
        let accepted = listener.accept().await;
        let (cluster, name) = (cluster.clone(), name.to_owned());
        tokio::spawn(async move {
            let forwarded = match accepted {
                Ok((connection, _)) => join_tcp(connection, &cluster, &name, remote).await,
                Err(error) => Err(error.into()),
            };
            if let Err(error) = forwarded {
                output::note(&format!("{name}:{remote}: {error:#}"));
            }
        });
    }
}

async fn join_tcp(
    connection: TcpStream,
    cluster: &Cluster,
    name: &str,
    port: u16,
) -> anyhow::Result<()> {
    stream::join(open(cluster, name, port).await?, connection).await
}

async fn join_stdio(cluster: &Cluster, name: &str, port: u16) -> anyhow::Result<()> {
    let tunnel = open(cluster, name, port).await?;
    tunnel
        .join(input::stdin(), tokio::io::stdout(), stream::LINGER)
        .await?;
    Ok(())
}

async fn open(cluster: &Cluster, name: &str, port: u16) -> anyhow::Result<tunnel::Tunnel> {
    let call = format!("portforward/{port}/tcp");
    stream::open(cluster, name, &call, &format!("port {port}")).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_have_the_syntax_of_kubectl() {
        let parsed = |text: &str| text.parse::<Ports>().map(|it| (it.local, it.remote));
        assert_eq!(parsed("8080:80"), Ok((8080, 80)));
        assert_eq!(parsed("5432"), Ok((5432, 5432)));
        assert_eq!(parsed(":80"), Ok((0, 80)));
        for wrong in ["", "web", "0", "80:", "80:0", "70000", "1:2:3"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
