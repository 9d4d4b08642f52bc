//! The looks under way.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::cluster::Cluster;
use crate::queue::Key;

/// Those who look at Wukongs, each at one at a time.
#[derive(Debug, Default)]
pub struct Workers(JoinSet<()>);

impl Workers {
    /// Has each key of the queue looked at, `concurrency` at once; never ends. `look` returns when to look again.
    pub async fn work<F>(
        &mut self,
        cluster: &Arc<Cluster>,
        concurrency: usize,
        look: impl Fn(Key) -> F,
    ) where
        F: Future<Output = Option<Duration>> + Send + 'static,
    {
        let free = Arc::new(Semaphore::new(concurrency));
        loop {
            // It is never closed.
            let Ok(worker) = Arc::clone(&free).acquire_owned().await else {
                return;
            };
            while self.0.try_join_next().is_some() {}
            let key = cluster.queue.next().await;
            let (cluster, look) = (Arc::clone(cluster), look(key.clone()));
            self.0.spawn(async move {
                let pause = look.await;
                cluster.queue.done(&key, pause);
                drop(worker);
            });
        }
    }

    /// Ends all work. Returns when nobody works any more: one who is in the middle of something goes on until he next
    /// waits, and would otherwise write, or report a key as done that somebody else works on by then.
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
    async fn one_who_cannot_be_interrupted_is_waited_for() {
        let cluster = Arc::new(Cluster::default());
        let key = Key::new("shop", "web");
        cluster.queue.add(key.clone());
        let (began, mut begun) = mpsc::unbounded_channel();
        let (release, released) = std::sync::mpsc::channel();
        let released = Arc::new(parking_lot::Mutex::new(released));
        let look = |_| {
            let (began, released) = (began.clone(), Arc::clone(&released));
            async move {
                began.send(()).unwrap();
                released.lock().recv().unwrap();
                None
            }
        };
        let mut workers = Workers::default();
        tokio::select! {
            () = workers.work(&cluster, 1, look) => unreachable!(),
            _ = begun.recv() => {}
        }
        let mut stopped = pin!(workers.stop());
        assert!(stopped.as_mut().now_or_never().is_none());
        release.send(()).unwrap();
        stopped.await;

        // In the next term the key belongs to somebody else.
        cluster.queue.clear();
        cluster.queue.add(key.clone());
        assert_eq!(cluster.queue.next().await, key);
        cluster.queue.add(key.clone());
        assert!(cluster.queue.next().now_or_never().is_none());
    }
}
