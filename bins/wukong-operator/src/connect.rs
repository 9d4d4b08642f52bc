//! The connection to the API server.

use std::time::Duration;

use anyhow::{Context, Result};
use http::HeaderValue;
use http::header::USER_AGENT;
use kube::client::ClientBuilder;
use kube::{Client, Config};
use tower::timeout::TimeoutLayer;

use crate::applier::DEADLINE;

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// Creates a client with the configuration that kubectl would use: from `KUBECONFIG`, `~/.kube/config` or the pod's service account.
///
/// # Errors
/// If none of these exists or is usable.
pub async fn connect() -> Result<Client> {
    // An error only means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Config::infer()
        .await
        .context("no cluster to connect to: set KUBECONFIG, or run in a pod")?;
    let agent = concat!("wukong-operator/", env!("CARGO_PKG_VERSION"));
    let config = configured(config, HeaderValue::from_static(agent));
    Ok(ClientBuilder::try_from(config)?
        .with_layer(&deadline())
        .build())
}

/// Returns the configuration for requests of the operator, which name this user agent.
pub fn configured(mut config: Config, agent: HeaderValue) -> Config {
    // A retry inside a request would repeat a decision on old facts and hide the server's Retry-After.
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_DEADLINE);
    config.headers.push((USER_AGENT, agent));
    config
}

/// Returns the layer that limits the time to the response headers. It does not limit more, because a watch streams after
/// them.
pub fn deadline() -> TimeoutLayer {
    TimeoutLayer::new(DEADLINE)
}
