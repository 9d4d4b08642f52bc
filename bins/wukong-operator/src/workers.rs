//! Concurrent reconciles.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::cluster::Cluster;
use crate::queue::Key;

/// Tasks that reconcile Wukongs, one Wukong each.
#[derive(Debug, Default)]
pub struct Workers(JoinSet<()>);

impl Workers {
    /// Reconciles the keys of the queue, `concurrency` at once. Never returns. `reconcile` returns the pause before the next
    /// reconcile.
    pub async fn work<F>(
        &mut self,
        cluster: &Arc<Cluster>,
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
            let key = cluster.queue.next().await;
            let (cluster, reconcile) = (Arc::clone(cluster), reconcile(key.clone()));
            self.0.spawn(async move {
                let pause = reconcile.await;
                cluster.queue.done(&key, pause);
                drop(worker);
            });
        }
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
            () = workers.work(&cluster, 1, reconcile) => unreachable!(),
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
