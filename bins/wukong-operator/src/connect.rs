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

/// A client as kubectl would make it, from `KUBECONFIG`, `~/.kube/config` or the pod's service account.
///
/// # Errors
/// When none of these is there, or it cannot be used.
pub async fn connect() -> Result<Client> {
    // An error only says that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config::infer()
        .await
        .context("no cluster to connect to: set KUBECONFIG, or run in a pod")?;
    // A retry inside a request would repeat what was decided on old facts, and hide from us that the server asks for
    // a pause.
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_DEADLINE);
    let agent = concat!("wukong-operator/", env!("CARGO_PKG_VERSION"));
    config
        .headers
        .push((USER_AGENT, HeaderValue::from_static(agent)));
    // Until the head of the answer: what a watch streams after it takes as long as it takes.
    let deadline = TimeoutLayer::new(DEADLINE);
    Ok(ClientBuilder::try_from(config)?
        .with_layer(&deadline)
        .build())
}
