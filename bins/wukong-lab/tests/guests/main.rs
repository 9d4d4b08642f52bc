//! Real guests, checked from inside: what is planned boots, logs in and has its address.
//!
//! Each guest gets from its Wukong to its login prompt by the same way as in a cluster; only KubeVirt's and CDI's own work
//! is done by the lab. A boot takes minutes where instructions are emulated, so few boots serve many checks, and no more
//! than two guests run at once.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod first_boot;
mod hardware;
mod inside;
mod life;
mod nics;
mod power;
mod probe;

use std::io::Write as _;
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
            if let Err(lacking) = BootImages::require() {
                assert!(
                    std::env::var_os("CI").is_none(),
                    "guests must boot on a build server: {lacking:#}"
                );
                // Unlike what macros print, this is shown of tests that pass.
                let skipped =
                    format!("\n!!! SKIPPED, because no guest boots here: {lacking:#}\n\n");
                std::io::stderr().write_all(skipped.as_bytes()).unwrap();
                return None;
            }
            let images = BootImages::provide(&Progress::stderr()).await.unwrap();
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
