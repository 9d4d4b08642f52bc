//! Publishes events beside the reconciles, so that no reconcile waits for them.

use std::sync::Arc;

use futures::{StreamExt, stream};
use tokio::sync::mpsc;
use tracing::debug;
use wukong_engine::Event;

use crate::metrics::Metrics;
use crate::port::{Port, Subject};

/// Maximum number of events that wait. Further ones are dropped.
const WAITING_MAX: usize = 2048;
/// Maximum number of concurrent requests for events.
const AT_ONCE: usize = 4;

/// Queue of events to publish.
#[derive(Debug)]
pub struct Publisher {
    queue: mpsc::Sender<(Subject, Event)>,
    metrics: Metrics,
}

impl Publisher {
    /// Creates the queue and the task that publishes its events. The task ends when the queue is dropped and empty.
    pub fn new(port: Arc<dyn Port>, metrics: Metrics) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, mut waiting) = mpsc::channel(WAITING_MAX);
        let publish = async move {
            stream::poll_fn(|context| waiting.poll_recv(context))
                .for_each_concurrent(AT_ONCE, |(subject, event)| {
                    let port = Arc::clone(&port);
                    async move { publish(&*port, &subject, &event).await }
                })
                .await;
        };
        (Self { queue, metrics }, publish)
    }

    /// Queues an event. If too many wait, drops and counts it, and returns false.
    pub fn publish(&self, subject: &Subject, event: Event) -> bool {
        let queued = self.queue.try_send((subject.clone(), event)).is_ok();
        if !queued {
            self.metrics.event_dropped();
        }
        queued
    }
}

async fn publish(port: &dyn Port, subject: &Subject, event: &Event) {
    if let Err(error) = port.publish(subject, event).await {
        debug!(name = subject.name, %error, "event not published");
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::metrics::Now;
    use crate::port::MockPort;

    #[tokio::test]
    async fn events_that_nothing_publishes_are_dropped_and_counted_and_never_waited_for() {
        let subject = Subject {
            namespace: "shop".into(),
            name: "web".into(),
            uid: "w1".into(),
        };
        let event = Event {
            warning: false,
            reason: "Created".into(),
            message: "created it".into(),
        };
        let mut port = MockPort::new();
        port.expect_publish()
            .times(WAITING_MAX)
            .returning(|_, _| Ok(()));
        let metrics = Metrics::default();
        let (publisher, task) = Publisher::new(Arc::new(port), metrics.clone());
        let queued = (0..WAITING_MAX + 3).filter(|_| publisher.publish(&subject, event.clone()));
        assert_eq!(queued.count(), WAITING_MAX);
        let text = metrics.render(Now::default());
        assert!(text.contains("wukong_events_dropped_total 3"), "{text}");
        drop(publisher);
        // The task holds the port, which then counts its calls.
        let mut task = Box::pin(task);
        while task.as_mut().now_or_never().is_none() {
            tokio::task::yield_now().await;
        }
    }
}
