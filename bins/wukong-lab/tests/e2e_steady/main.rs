//! What a Wukong does in a cluster in which one operator runs all the time.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod acceptance;
mod boundaries;
mod changes;
mod conflicts;
mod create_only;
mod creation;
mod deletion;
mod drift;
mod edits;
mod extremes;
mod failures;
mod power;
mod privileges;
mod protection;
mod refusals;

use tokio::sync::OnceCell;
use wukong_lab::Operator;

use support::Cluster;

/// The cluster of all tests here.
async fn cluster() -> &'static Cluster {
    static CLUSTER: OnceCell<(Cluster, Operator)> = OnceCell::const_new();
    let (cluster, operator) = CLUSTER
        .get_or_init(|| Cluster::with_operator("steady-tests"))
        .await;
    operator.process().check().unwrap();
    cluster
}
