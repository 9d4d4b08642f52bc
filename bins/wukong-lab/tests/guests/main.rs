//! Real guests, looked at from inside: what is planned boots, logs in and has its address.
//!
//! Each guest gets from its Wukong to its login prompt by the same way as in a cluster; only KubeVirt's and CDI's own work
//! is done by the lab. A boot takes minutes where instructions are emulated, so few boots serve many checks, and no more
//! than two guests run at once.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod first_boot;
mod inside;
mod life;
mod power;

use std::time::Duration;

use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use wukong_lab::{BootImages, Operator, Progress};

use support::{Cluster, Space};

/// How long anything may take in which a guest boots.
const PATIENCE: Duration = Duration::from_secs(900);
/// Two guests are as many as two cores can emulate.
static GUESTS: Semaphore = Semaphore::const_new(2);

/// The cluster of all tests here. `None`, said loudly, where guests cannot boot; a build server has to be able to.
async fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceCell<Option<(Cluster, Operator)>> = OnceCell::const_new();
    let started = CLUSTER
        .get_or_init(async || {
            let images = match BootImages::provide(&Progress::stderr()).await {
                Ok(images) => images,
                Err(error) if std::env::var_os("CI").is_none() => {
                    eprintln!("\n!!! SKIPPED: no guest boots here: {error:#}\n");
                    return None;
                }
                Err(error) => panic!("guests must boot on a build server: {error:#}"),
            };
            let cluster = Cluster::booting("guests", images).await;
            let operator = cluster.operator().await;
            Some((cluster, operator))
        })
        .await;
    started.as_ref().map(|(cluster, operator)| {
        operator.process().check().unwrap();
        cluster
    })
}

/// A namespace for a test with this many guests at once, which may run as long as the permit is held.
async fn space(prefix: &str, guests: u32) -> Option<(Space<'static>, SemaphorePermit<'static>)> {
    let cluster = cluster().await?;
    let permit = GUESTS.acquire_many(guests).await.unwrap();
    let mut space = cluster.space(prefix).await;
    space.patience = PATIENCE;
    Some((space, permit))
}
