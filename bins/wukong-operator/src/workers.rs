//! Concurrent reconciles.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::warn;

use crate::cluster::Cluster;
use crate::queue::{Key, Queue};

/// Tasks that reconcile Wukongs or schedules, one each.
#[derive(Debug, Default)]
pub struct Workers(JoinSet<()>);

impl Workers {
    /// Reconciles the keys of a queue of the cluster, `concurrency` at once. Never returns. `reconcile` returns the pause before the next
    /// reconcile.
    pub async fn work<F>(
        &mut self,
        cluster: &Arc<Cluster>,
        queue: fn(&Cluster) -> &Queue,
        concurrency: usize,
        reconcile: impl Fn(Key) -> F,
    ) where
        F: Future<Output = Option<Duration>> + Send + 'static,
    {
        let free = Arc::new(Semaphore::new(concurrency));
        loop {
            // The semaphore is never closed.
            let Ok(worker) = Arc::clone(&free).acquire_owned().await else {
                return;
            };
            while self.0.try_join_next().is_some() {}
            let key = queue(cluster).next().await;
            let (cluster, reconcile) = (Arc::clone(cluster), reconcile(key.clone()));
            self.0.spawn(async move {
                let pause = reconcile.await;
                queue(&cluster).done(&key, pause);
                drop(worker);
            });
        }
    }

    /// Waits for the reconciles that are under way, at most `patience`. Then stops the others.
    pub async fn finish(&mut self, patience: Duration) {
        let ended = async { while self.0.join_next().await.is_some() {} };
        if timeout(patience, ended).await.is_err() {
            warn!("stopping reconciles that have not ended");
        }
        self.stop().await;
    }

    /// Stops all tasks and waits for them. A task runs on until its next await point. Without the wait, it could still write,
    /// or end the work on a key that another worker processes by then.
    pub async fn stop(&mut self) {
        self.0.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::FutureExt;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn reconciles_under_way_end_before_the_shutdown_unless_they_hang() {
        let cluster = Arc::new(Cluster::default());
        cluster.queue.add(Key::new("shop", "slow"));
        cluster.queue.add(Key::new("shop", "hangs"));
        let (end, mut ended) = mpsc::unbounded_channel();
        let reconcile = |key: Key| {
            let end = end.clone();
            async move {
                let seconds = if key.name == "slow" { 2 } else { 3600 };
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                end.send(key.name).unwrap();
                None
            }
        };
        let mut workers = Workers::default();
        let started = tokio::time::Instant::now();
        let second = Duration::from_secs(1);
        let work = workers.work(&cluster, |cluster| &cluster.queue, 2, reconcile);
        assert!(timeout(second, work).await.is_err(), "work never ends");
        workers.finish(10 * second).await;
        assert_eq!(started.elapsed(), 11 * second);
        drop(end);
        assert_eq!(ended.recv().await.as_deref(), Some("slow"));
        assert_eq!(ended.recv().await, None);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn stop_waits_for_a_task_that_cannot_be_interrupted() {
        let cluster = Arc::new(Cluster::default());
        let key = Key::new("shop", "web");
        cluster.queue.add(key.clone());
        let (began, mut begun) = mpsc::unbounded_channel();
        let (release, released) = std::sync::mpsc::channel();
        let released = Arc::new(parking_lot::Mutex::new(released));
        let reconcile = |_| {
            let (began, released) = (began.clone(), Arc::clone(&released));
            async move {
                began.send(()).unwrap();
                released.lock().recv().unwrap();
                None
            }
        };
        let mut workers = Workers::default();
        tokio::select! {
            () = workers.work(&cluster, |cluster| &cluster.queue, 1, reconcile) => unreachable!(),
            _ = begun.recv() => {}
        }
        let mut stopped = pin!(workers.stop());
        assert!(stopped.as_mut().now_or_never().is_none());
        release.send(()).unwrap();
        stopped.await;

        // In the next term, another worker processes the key.
        cluster.queue.clear();
        cluster.queue.add(key.clone());
        assert_eq!(cluster.queue.next().await, key);
        cluster.queue.add(key.clone());
        assert!(cluster.queue.next().now_or_never().is_none());
    }
}
