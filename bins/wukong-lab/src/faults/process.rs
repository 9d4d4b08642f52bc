//! The operator of a run, in this process: it starts, crashes where a fault says so, and starts again with nothing but what
//! the API server knows.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::task::JoinHandle;
use wukong_operator::connect::{configured, deadline};
use wukong_operator::run::{Clients, operate};
use wukong_operator::settings::Settings;

use super::wire::Wire;

/// Time between a crash and the next process.
const RESTART: Duration = Duration::from_millis(100);

/// The flag of scenarios in which the operator is elected.
pub(super) const LEADER_ELECTION: &str = "--leader-election=true";

/// The operator of one run. Dropping it ends it as a crash does.
pub(super) struct Process {
    task: JoinHandle<Result<()>>,
}

/// Settings of an operator of its own.
pub(super) fn settings(namespace: &str, flags: &[&str]) -> Result<Settings> {
    let program = ["wukong-operator"];
    let mut settings = Settings::try_parse_from(program.iter().chain(flags))
        .context("the settings of the operator")?;
    // The election is part of one scenario only: each other operator is alone.
    settings.leader_election = flags.contains(&LEADER_ELECTION);
    namespace.clone_into(&mut settings.lease_name);
    Ok(settings)
}

/// A client with the operator's account and configuration, and this user agent.
pub(super) async fn config(kubeconfig: &Path, agent: &str) -> Result<Config> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Ok(configured(config, agent.parse()?))
}

fn client(config: &Config, wire: &Wire) -> Result<Client> {
    Ok(ClientBuilder::try_from(config.clone())?
        .with_layer(wire)
        .with_layer(&deadline())
        .build())
}

impl Process {
    /// Starts it.
    pub(super) fn start(settings: Settings, config: Config, wire: Wire) -> Self {
        Self {
            task: tokio::spawn(live(settings, config, wire)),
        }
    }

    /// Errors if the operator ended by itself.
    pub(super) fn check(&self) -> Result<()> {
        anyhow::ensure!(!self.task.is_finished(), "the operator ended by itself");
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn live(settings: Settings, config: Config, wire: Wire) -> Result<()> {
    for number in 1.. {
        wire.revive();
        let mut settings = settings.clone();
        settings.identity = format!("{}-{number}", settings.lease_name);
        let clients = Clients {
            requests: client(&config, &wire)?,
            lease: client(&config, &wire)?,
        };
        tokio::select! {
            biased;
            () = wire.crashed() => {}
            outcome = operate(settings, clients, std::future::pending()) => return outcome,
        }
        tokio::time::sleep(RESTART).await;
    }
    Ok(())
}
