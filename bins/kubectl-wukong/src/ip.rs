//! `ip`: the addresses of a VM, for scripts.

use wukong_api::status::{NetworkStatus, WukongStatus};

use crate::cluster::ClusterArgs;
use crate::exit::Exit;
use crate::{output, text};

/// Print the address of a VM.
///
/// Without --network, prints the first known address in the order of the NICs. The pod network comes first; its address
/// is reachable only from inside the cluster.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubectl wukong ip web
  ping $(kubectl wukong ip web --network lan)
  kubectl wukong ip web --all

Exit codes:
  0  an address was printed
  1  no address is known")]
pub struct Args {
    /// Name of the Wukong
    name: String,

    /// Print every address with its network
    #[arg(short, long, conflicts_with = "network")]
    all: bool,

    /// Print the address on this network
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
}

pub async fn run(args: &Args, cluster: &ClusterArgs) -> anyhow::Result<Exit> {
    let wukong = cluster.connect().await?.wukong(&args.name).await?;
    let status = wukong.status.unwrap_or_default();
    let selected =
        |nic: &&NetworkStatus| args.network.as_ref().is_none_or(|name| *name == nic.name);
    if let Some(name) = &args.network
        && !status.networks.iter().any(|nic| nic.name == *name)
    {
        anyhow::bail!("{} has no network {name}", args.name);
    }
    let known: Vec<(&str, &str)> = status
        .networks
        .iter()
        .filter(selected)
        .flat_map(|nic| addresses(nic).map(|address| (nic.name.as_str(), address)))
        .collect();
    let Some((_, first)) = known.first() else {
        anyhow::bail!("{} has no known address{}", args.name, why(&status));
    };
    if !args.all {
        output::print(&format!("{}\n", text::plain(first)))?;
        return Ok(Exit::Done);
    }
    let mut table = output::table(["NETWORK", "ADDRESS"]);
    for (network, address) in known {
        table.add_row([text::plain(network), text::plain(address)]);
    }
    output::print(&output::lines(&table))?;
    Ok(Exit::Done)
}

fn addresses(nic: &NetworkStatus) -> impl Iterator<Item = &str> {
    let first = nic.ip_address.as_deref();
    let more = nic.ip_addresses.iter().map(String::as_str);
    first
        .into_iter()
        .chain(more.filter(move |address| Some(*address) != first))
}

/// Returns the blocker or condition that explains a missing address.
fn why(status: &WukongStatus) -> String {
    let silent = status.conditions.iter().find(|condition| {
        condition.type_ == wukong_api::ConditionType::GuestReady.as_ref()
            && condition.status != "True"
    });
    match (&status.blocker, silent) {
        (Some(blocker), _) => format!(": {}", text::plain(&blocker.message)),
        (None, Some(silent)) => format!(": {}", text::plain(&silent.message)),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_named_once() {
        let nic = NetworkStatus {
            ip_address: Some("10.0.0.5".into()),
            ip_addresses: vec!["10.0.0.5".into(), "fd00::5".into()],
            ..NetworkStatus::default()
        };
        assert_eq!(addresses(&nic).collect::<Vec<_>>(), ["10.0.0.5", "fd00::5"]);
    }
}
