//! Tests of the order, the lanes and the pace of the queue.

use futures::FutureExt;
use tokio::time::advance;

use super::lanes::FRONT_MAX;
use super::*;

fn key(text: &str) -> Key {
    let (namespace, name) = text.split_once('/').unwrap();
    Key::new(namespace, name)
}

/// Returns the next key if one is ready.
fn now(queue: &Queue) -> Option<String> {
    let key = queue.next().now_or_never()?;
    Some(format!("{}/{}", key.namespace, key.name))
}

#[tokio::test(start_paused = true)]
async fn namespaces_take_turns() {
    let queue = Queue::default();
    for name in ["a/1", "a/2", "a/3", "b/1", "a/1"] {
        queue.add(key(name));
    }
    assert_eq!(queue.depth(), 4);
    let order: Vec<_> = std::iter::from_fn(|| now(&queue)).collect();
    assert_eq!(order, ["a/1", "b/1", "a/2", "a/3"]);
    assert_eq!(queue.depth(), 0);
}

#[tokio::test(start_paused = true)]
async fn vms_finish_in_the_order_in_which_they_began() {
    // Each VM needs this many reconciles. After each but the last, an event of a child arrives.
    const STEPS: u32 = 4;
    let queue = Queue::default();
    let names: Vec<String> = (0..100).map(|number| format!("a/{number:03}")).collect();
    for name in &names {
        queue.add(key(name));
    }
    let mut steps = HashMap::<String, u32>::new();
    let mut finished = Vec::new();
    let mut begun_at_first_end = 0;
    while let Some(name) = now(&queue) {
        let step = steps.entry(name.clone()).or_default();
        *step += 1;
        if *step == STEPS {
            finished.push(name.clone());
        } else {
            queue.add_begun(key(&name));
        }
        queue.done(&key(&name), None);
        if finished.len() == 1 && begun_at_first_end == 0 {
            begun_at_first_end = steps.len();
        }
    }
    assert_eq!(finished, names);
    assert_eq!(begun_at_first_end, 1, "the others have not begun yet");
}

#[tokio::test(start_paused = true)]
async fn a_key_with_children_does_not_wait_behind_new_ones() {
    let queue = Queue::default();
    for name in ["a/begun", "a/1", "a/2"] {
        queue.add(key(name));
    }
    now(&queue).unwrap();
    queue.done(&key("a/begun"), Some(Duration::from_secs(1)));
    // A change of the cluster queues all, then a child changes.
    for name in ["a/3", "a/begun"] {
        queue.add(key(name));
    }
    queue.add_begun(key("a/begun"));
    assert_eq!(queue.depth(), 4);
    let order: Vec<_> = std::iter::from_fn(|| now(&queue)).collect();
    assert_eq!(order, ["a/begun", "a/1", "a/2", "a/3"]);
}

#[tokio::test(start_paused = true)]
async fn keys_with_children_do_not_keep_new_ones_waiting_for_ever() {
    let queue = Queue::default();
    queue.add(key("a/new"));
    queue.add(key("b/new"));
    for number in 0..100 {
        queue.add_begun(key(&format!("a/{number}")));
    }
    let order: Vec<_> = std::iter::from_fn(|| now(&queue)).collect();
    let place = |name: &str| order.iter().position(|key| key == name).unwrap();
    assert_eq!(place("b/new"), 1, "another namespace has its turn");
    assert_eq!(place("a/new"), 1 + usize::try_from(FRONT_MAX).unwrap());
    assert_eq!(order.len(), 102);
}

#[tokio::test(start_paused = true)]
async fn a_key_has_one_worker_and_changes_meanwhile_queue_it_once() {
    let queue = Queue::default();
    queue.add(key("a/1"));
    assert!(now(&queue).is_some());
    queue.add(key("a/1"));
    queue.add(key("a/1"));
    assert_eq!(now(&queue), None);
    queue.done(&key("a/1"), None);
    assert_eq!(now(&queue).as_deref(), Some("a/1"));
    queue.done(&key("a/1"), None);
    assert_eq!(now(&queue), None);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_queued_again_after_its_pause_or_by_a_change() {
    let queue = Queue::default();
    queue.add(key("a/1"));
    now(&queue).unwrap();
    queue.done(&key("a/1"), Some(Duration::from_secs(60)));
    let start = Instant::now();
    assert_eq!(queue.next().await, key("a/1"));
    assert_eq!(start.elapsed(), Duration::from_secs(60));
    queue.done(&key("a/1"), Some(Duration::from_secs(60)));
    queue.add(key("a/1"));
    assert!(now(&queue).is_some());
    queue.done(&key("a/1"), None);
    advance(Duration::from_secs(3600)).await;
    assert_eq!(now(&queue), None, "the pause was cancelled");
}

#[tokio::test(start_paused = true)]
async fn the_age_of_the_queue_is_its_longest_wait() {
    let queue = Queue::default();
    assert_eq!(queue.longest_wait(), Duration::ZERO);
    queue.add(key("a/1"));
    advance(Duration::from_secs(3)).await;
    queue.add(key("a/2"));
    // Another change does not reset the waiting time.
    queue.add(key("a/1"));
    assert_eq!(queue.longest_wait(), Duration::from_secs(3));
    now(&queue).unwrap();
    assert_eq!(
        queue.longest_wait(),
        Duration::ZERO,
        "a/2 was queued just now"
    );
    queue.done(&key("a/1"), Some(Duration::from_secs(60)));
    now(&queue).unwrap();
    advance(Duration::from_secs(59)).await;
    assert_eq!(
        queue.longest_wait(),
        Duration::ZERO,
        "a pause does not count"
    );
}

#[tokio::test(start_paused = true)]
async fn changes_of_a_busy_key_are_processed_together_when_the_window_ends() {
    let queue = Queue::default();
    let mut runs = 0;
    let start = Instant::now();
    while start.elapsed() < WINDOW {
        queue.add(key("a/1"));
        while now(&queue).is_some() {
            runs += 1;
            queue.done(&key("a/1"), None);
        }
        advance(Duration::from_millis(10)).await;
    }
    assert_eq!(runs, RUNS);
    assert_eq!(now(&queue).as_deref(), Some("a/1"), "no change is lost");
    queue.add(key("b/1"));
    assert!(now(&queue).is_some(), "other keys are not delayed");
}

#[tokio::test(start_paused = true)]
async fn a_waiting_worker_is_woken() {
    let queue = std::sync::Arc::new(Queue::default());
    let worker = tokio::spawn({
        let queue = queue.clone();
        async move { queue.next().await }
    });
    tokio::task::yield_now().await;
    queue.add(key("a/1"));
    assert_eq!(worker.await.unwrap(), key("a/1"));
    advance(Duration::from_secs(5)).await;
    assert_eq!(queue.longest_run(), Duration::from_secs(5));
}
