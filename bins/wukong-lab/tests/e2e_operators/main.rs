//! What operators cost, and what is left of them when they end. One test at a time: each has the cluster for itself.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod cost;
mod crashes;
mod definition;
mod leaders;
mod malformed;

use std::ops::Deref;

use tokio::sync::{Mutex, MutexGuard, OnceCell};

use support::Cluster;

/// The cluster, without an operator, as long as this is held.
struct Turn {
    cluster: &'static Cluster,
    _alone: MutexGuard<'static, ()>,
}

impl Deref for Turn {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.cluster
    }
}

async fn turn() -> Turn {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    static ALONE: Mutex<()> = Mutex::const_new(());
    let alone = ALONE.lock().await;
    let cluster = CLUSTER
        .get_or_init(|| Cluster::start("operators-tests", &[]))
        .await;
    Turn {
        cluster,
        _alone: alone,
    }
}
