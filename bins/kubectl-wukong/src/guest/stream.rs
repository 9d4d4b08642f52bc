//! Local TCP connections that lead to a stream of a guest.

use std::time::Duration;

use anyhow::bail;
use futures::{StreamExt, future};
use tokio::net::TcpStream;
use tokio_util::io::ReaderStream;

use super::tunnel::{self, Tunnel};
use crate::cluster::Cluster;
use crate::text;

/// How long a guest may take to answer after the client has sent everything.
pub const LINGER: Duration = Duration::from_secs(10);

/// Opens the stream `call` of the instance `name`, such as `vnc`. `what` names it in the error.
///
/// # Errors
/// The connection failed, or KubeVirt refuses.
pub async fn open(cluster: &Cluster, name: &str, call: &str, what: &str) -> anyhow::Result<Tunnel> {
    match tunnel::open(cluster, name, call).await? {
        Ok(tunnel) => Ok(tunnel),
        Err(refused) => bail!(
            "cannot connect to {what} of {name}: {}",
            text::plain(&refused.to_string())
        ),
    }
}

/// Copies between a local connection and a guest, until either side ends.
///
/// # Errors
/// The connection to the guest failed.
pub async fn join(tunnel: Tunnel, mut connection: TcpStream) -> anyhow::Result<()> {
    let (read, write) = connection.split();
    // A broken local connection ends the stream like a closed one.
    let input = ReaderStream::new(read).scan((), |(), bytes| future::ready(bytes.ok()));
    tunnel.join(input, write, LINGER).await?;
    Ok(())
}
