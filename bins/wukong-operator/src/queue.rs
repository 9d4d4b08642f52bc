//! Queue of Wukongs to reconcile.
//!
//! One worker at a time processes a key. Changes during that time queue the key once more. Namespaces take turns, so that
//! a burst in one does not delay the others. A key runs at most `RUNS` times within each window of `WINDOW`; further
//! changes are processed together when the window ends.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use wukong_engine::environment::addresses::WukongName;

const WINDOW: Duration = Duration::from_secs(1);
const RUNS: u32 = 8;

/// Name of a Wukong.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Key {
    /// Creates a key.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl From<WukongName> for Key {
    fn from((namespace, name): WukongName) -> Self {
        Self { namespace, name }
    }
}

/// Queue of Wukongs to reconcile.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    slots: HashMap<Key, Slot>,
    /// Ready keys by namespace.
    ready: HashMap<String, VecDeque<Key>>,
    /// Namespaces with ready keys, in the order of their turns.
    turns: VecDeque<String>,
    later: BTreeSet<(Instant, Key)>,
    window: Option<Window>,
}

#[derive(Debug)]
struct Window {
    end: Instant,
    runs: HashMap<Key, u32>,
}

#[derive(Clone, Copy, Debug)]
enum Slot {
    Ready(Instant),
    Later(Instant),
    Running { since: Instant, again: bool },
}

impl Queue {
    /// Queues a Wukong.
    pub fn add(&self, key: Key) {
        self.state.lock().add(key, Instant::now());
        self.changed.notify_one();
    }

    /// Waits for the next key. A worker processes it until [`done`](Self::done).
    pub async fn next(&self) -> Key {
        loop {
            let changed = self.changed.notified();
            let wait = {
                let mut state = self.state.lock();
                let now = Instant::now();
                state.wake(now);
                if let Some(key) = state.pop(now) {
                    return key;
                }
                state.later.first().map(|(at, _)| *at)
            };
            match wait {
                Some(at) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    /// Ends the work on a key. The key is queued again after `pause`, or earlier by [`add`](Self::add).
    pub fn done(&self, key: &Key, pause: Option<Duration>) {
        self.state.lock().done(key, pause, Instant::now());
        self.changed.notify_one();
    }

    /// Removes all keys.
    pub fn clear(&self) {
        *self.state.lock() = State::default();
    }

    /// Returns the number of keys that wait for a worker.
    pub fn depth(&self) -> usize {
        self.state.lock().ready.values().map(VecDeque::len).sum()
    }

    /// Returns the longest time that a key has waited for a worker.
    pub fn longest_wait(&self) -> Duration {
        let state = self.state.lock();
        let waiting = state.slots.values().filter_map(|slot| match slot {
            Slot::Ready(since) => Some(since.elapsed()),
            Slot::Later(_) | Slot::Running { .. } => None,
        });
        waiting.max().unwrap_or_default()
    }

    /// Returns the longest time that a worker has processed a key.
    pub fn longest_run(&self) -> Duration {
        let state = self.state.lock();
        let running = state.slots.values().filter_map(|slot| match slot {
            Slot::Running { since, .. } => Some(since.elapsed()),
            Slot::Ready(_) | Slot::Later(_) => None,
        });
        running.max().unwrap_or_default()
    }
}

impl State {
    fn add(&mut self, key: Key, now: Instant) {
        match self.slots.get_mut(&key) {
            Some(Slot::Ready(_)) => {}
            Some(Slot::Running { again, .. }) => *again = true,
            Some(Slot::Later(_)) | None => match self.busy_until(&key, now) {
                Some(end) => self.schedule(key, end),
                None => self.make_ready(key, now),
            },
        }
    }

    fn done(&mut self, key: &Key, pause: Option<Duration>, now: Instant) {
        let Some(Slot::Running { again, .. }) = self.slots.remove(key) else {
            return;
        };
        if again {
            self.add(key.clone(), now);
        } else if let Some(pause) = pause {
            self.schedule(key.clone(), now + pause);
        }
    }

    /// Returns when the window ends, if a key has used all its runs in it.
    fn busy_until(&self, key: &Key, now: Instant) -> Option<Instant> {
        let window = self.window.as_ref().filter(|window| now < window.end)?;
        window
            .runs
            .get(key)
            .is_some_and(|runs| *runs >= RUNS)
            .then_some(window.end)
    }

    fn make_ready(&mut self, key: Key, since: Instant) {
        if let Some(Slot::Later(at)) = self.slots.insert(key.clone(), Slot::Ready(since)) {
            self.later.remove(&(at, key.clone()));
        }
        let lane = self.ready.entry(key.namespace.clone()).or_default();
        if lane.is_empty() {
            self.turns.push_back(key.namespace.clone());
        }
        lane.push_back(key);
    }

    /// Queues a key at a time, unless it is queued earlier.
    fn schedule(&mut self, key: Key, at: Instant) {
        match self.slots.get(&key) {
            Some(Slot::Later(earlier)) if *earlier <= at => return,
            Some(Slot::Later(later)) => {
                self.later.remove(&(*later, key.clone()));
            }
            _ => {}
        }
        self.slots.insert(key.clone(), Slot::Later(at));
        self.later.insert((at, key));
    }

    fn wake(&mut self, now: Instant) {
        while let Some((at, key)) = self.later.first().cloned() {
            if at > now {
                break;
            }
            self.make_ready(key, at);
        }
    }

    fn pop(&mut self, now: Instant) -> Option<Key> {
        let namespace = self.turns.pop_front()?;
        let lane = self.ready.get_mut(&namespace)?;
        let key = lane.pop_front()?;
        if lane.is_empty() {
            self.ready.remove(&namespace);
        } else {
            self.turns.push_back(namespace);
        }
        let running = Slot::Running {
            since: now,
            again: false,
        };
        self.slots.insert(key.clone(), running);
        self.count(&key, now);
        Some(key)
    }

    fn count(&mut self, key: &Key, now: Instant) {
        let window = self.window.take().filter(|window| now < window.end);
        let mut window = window.unwrap_or_else(|| Window {
            end: now + WINDOW,
            runs: HashMap::new(),
        });
        *window.runs.entry(key.clone()).or_default() += 1;
        self.window = Some(window);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::time::advance;

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
}
