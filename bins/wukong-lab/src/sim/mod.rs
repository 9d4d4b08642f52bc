//! Drives the simulator (`wukong-sim`) against an API server.
//!
//! `engine` watches the objects, asks the simulator for the next step of each, and `execute` writes it. `webhook` and
//! `subresources` serve what KubeVirt and CDI serve. The cluster is ready when the KubeVirt resource reports `Available`.

mod called;
mod engine;
pub(crate) mod execute;
mod guest_screen;
mod guest_streams;
pub mod process;
mod server;
mod setup;
mod subresources;
mod webhook;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::guests;

/// How the simulation runs.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The cluster to play in, with every right in it.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: PathBuf,
    /// Milliseconds that one simulated step takes.
    #[arg(long, value_name = "MS", default_value_t = 100)]
    pub pace: u64,
    /// The nodes to simulate.
    #[arg(long = "node", value_name = "NAME", default_values = ["node-1", "node-2"])]
    pub nodes: Vec<String>,
    /// Boot real guests, with their files in this directory.
    #[arg(long, value_name = "DIR", requires_all = ["images", "accel"])]
    pub boot: Option<PathBuf>,
    /// Where the images of real guests are.
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,
    /// What executes the instructions of real guests.
    #[arg(long)]
    pub accel: Option<guests::accel::Accel>,
}

/// Plays KubeVirt, CDI and the nodes until the process ends.
///
/// # Errors
/// When the cluster cannot be reached, or what the simulation needs in it cannot be set up.
pub async fn run(options: Options) -> Result<()> {
    let kubeconfig = Kubeconfig::read_from(&options.kubeconfig)?;
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config
        .headers
        .push(("user-agent".parse()?, "wukong-lab-simulator".parse()?));
    let client = Client::try_from(config)?;

    let server = server::Server::bind()?;
    let (port, authority) = (server.port, server.authority.clone());
    let router = webhook::router(client.clone())
        .merge(subresources::router(client.clone(), options.boot.clone()));
    let serving = tokio::spawn(server.serve(router));
    setup::cluster(&client, &options.nodes, port, &authority).await?;
    let mut engine =
        engine::Engine::new(client.clone(), Duration::from_millis(options.pace.max(1)));
    if let (Some(dir), Some(images), Some(accel)) = (options.boot, options.images, options.accel) {
        let shim = std::env::current_exe()?;
        let settings = guests::Settings {
            dir,
            images,
            accel,
            shim,
        };
        let (machines, seen) = guests::Machines::start(settings).await?;
        engine = engine.with_machines(machines, seen);
    }
    tokio::select! {
        served = serving => served?,
        () = engine.run() => Ok(()),
    }
}
