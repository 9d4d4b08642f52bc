//! Start and shutdown of the operator.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use kube::Client;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::applier::{Applier, DEADLINE};
use crate::cluster::Cluster;
use crate::connect::connect;
use crate::health::{self, Health};
use crate::leader::{self, Candidate, Leadership};
use crate::logging;
use crate::metrics::Metrics;
use crate::port::Port;
use crate::publisher::Publisher;
use crate::reconcile::Reconciler;
use crate::schedules::Schedules;
use crate::settings::Settings;
use crate::watch::{Waiting, Watches};
use crate::workers::Workers;

/// Time that the first decision waits for the initial lists. After it, the operator starts with the facts that it has: a
/// kind that is served badly must not block the others.
const FIRST_FACTS: Duration = Duration::from_secs(30);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// If there is no connection to the cluster, or the health address cannot be bound.
pub async fn run(settings: Settings) -> Result<()> {
    logging::init(settings.log_format, &settings.log_level)?;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        identity = settings.identity,
        "starting"
    );
    let clients = Clients {
        requests: connect().await?,
        lease: connect().await?,
    };
    operate(settings, clients, stop_asked()).await
}

/// Connections to the API server.
#[derive(Clone)]
pub struct Clients {
    /// For everything but the Lease.
    pub requests: Client,
    /// For the Lease, which no other request delays.
    pub lease: Client,
}

/// Runs until `stop` completes. When the future is dropped before, everything stops at once, as in a crash.
///
/// # Errors
/// If the health address cannot be bound, or `stop` fails.
pub async fn operate(
    settings: Settings,
    clients: Clients,
    stop: impl Future<Output = Result<()>>,
) -> Result<()> {
    let Clients {
        requests: client,
        lease: lease_client,
    } = clients;
    let metrics = Metrics::default();
    let cluster = Arc::new(Cluster::default());
    let mut watches = Watches::start(&client, &cluster, &metrics, settings.manage_node_networks);

    let resign = CancellationToken::new();
    let mut background = JoinSet::new();
    let leadership = if settings.leader_election {
        let (announcement, leadership) = Leadership::to_be_elected();
        let candidate = Candidate {
            namespace: settings.lease_namespace.clone(),
            name: settings.lease_name.clone(),
            identity: settings.identity.clone(),
            duration: settings.lease_duration(),
        };
        background.spawn(leader::run(
            lease_client,
            candidate,
            announcement,
            resign.clone(),
        ));
        leadership
    } else {
        Leadership::always()
    };
    let health = Health {
        cluster: Arc::clone(&cluster),
        waiting: watches.waiting(),
        leadership: leadership.clone(),
        metrics: metrics.clone(),
    };
    let mut serving = JoinSet::new();
    if let Some(address) = settings.health_address {
        serving.spawn(health::serve(address, health).await?);
    }
    let applier = Applier::new(
        client,
        settings.max_in_flight,
        leadership.clone(),
        settings.identity.clone(),
        metrics.clone(),
    );
    let applier = Arc::new(applier);
    let port: Arc<dyn Port> = Arc::clone(&applier) as Arc<dyn Port>;
    let (publisher, publish) = Publisher::new(Arc::clone(&port), metrics.clone());
    serving.spawn(publish);
    let schedules = Schedules::new(Arc::clone(&cluster), Arc::clone(&port), metrics.clone());
    let reconcilers = Reconcilers {
        wukongs: Arc::new(Reconciler::new(
            Arc::clone(&cluster),
            port,
            publisher,
            settings.operator_settings(),
            metrics,
        )),
        schedules: Arc::new(schedules),
    };

    let concurrency = usize::from(settings.concurrency);
    let waiting = watches.waiting();
    let mut crews = Crews::default();
    tokio::select! {
        () = terms(&mut crews, &cluster, &reconcilers, leadership, waiting, concurrency) => {}
        () = watches.ended() => bail!("a watch ended unexpectedly"),
        outcome = stop => outcome?,
    }
    info!("stopping");
    // Writes under way end, and no other begins. Then another replica may start.
    applier.close();
    tokio::join!(
        crews.wukongs.finish(DEADLINE),
        crews.schedules.finish(DEADLINE)
    );
    resign.cancel();
    while background.join_next().await.is_some() {}
    Ok(())
}

/// Number of concurrent reconciles of schedules.
const SCHEDULES: usize = 4;

/// What reconciles each kind.
struct Reconcilers {
    wukongs: Arc<Reconciler>,
    schedules: Arc<Schedules>,
}

/// The workers of each kind.
#[derive(Default)]
struct Crews {
    wukongs: Workers,
    schedules: Workers,
}

/// Reconciles Wukongs and schedules while this replica is the leader. Never returns.
async fn terms(
    crews: &mut Crews,
    cluster: &Arc<Cluster>,
    reconcilers: &Reconcilers,
    mut leadership: Leadership,
    mut waiting: Waiting,
    concurrency: usize,
) {
    let mut patience = true;
    loop {
        leadership.gained().await;
        if patience {
            // Before the initial lists, an unknown object looks like a missing one, and a restart would write.
            tokio::select! {
                () = waiting.over() => {}
                () = sleep(FIRST_FACTS) => {
                    warn!(kinds = waiting.kinds().join(", "), "starting without the initial lists of these kinds");
                }
            }
            patience = false;
        }
        cluster.reset();
        let reconcile = |key| {
            let reconciler = Arc::clone(&reconcilers.wukongs);
            async move { reconciler.reconcile(&key).await }
        };
        let schedule = |key| {
            let schedules = Arc::clone(&reconcilers.schedules);
            async move { schedules.reconcile(&key).await }
        };
        let Crews { wukongs, schedules } = &mut *crews;
        tokio::select! {
            () = wukongs.work(cluster, |cluster| &cluster.queue, concurrency, reconcile) => {}
            () = schedules.work(cluster, |cluster| &cluster.schedules, SCHEDULES, schedule) => {}
            () = leadership.lost() => {}
        }
        wukongs.stop().await;
        schedules.stop().await;
        warn!("no longer the leader: all workers have stopped");
        cluster.clear();
    }
}

async fn stop_asked() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
