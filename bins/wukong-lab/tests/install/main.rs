//! What an administrator installs: the chart and the kustomization, in a real API server.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod chart;
mod lifecycle;
mod objects;
mod passwords;
mod policy;
mod policy_generated;
mod reach;
mod rendered;
mod rights;
mod runs;
mod stolen_creation;
mod stolen_token;

use tokio::sync::OnceCell;

use support::Cluster;

/// The cluster of all tests here; no operator runs in it.
async fn cluster() -> &'static Cluster {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    CLUSTER
        .get_or_init(|| Cluster::start("install-tests", &[]))
        .await
}
