//! Queue of Wukongs to reconcile.
//!
//! One worker at a time processes a key. Changes during that time queue the key once more. Namespaces take turns, so that
//! a burst in one does not delay the others. Within a namespace, keys that have children already come first, so that VMs
//! finish in the order in which they began. A key runs at most `RUNS` times within each window of `WINDOW`; further changes
//! are processed together when the window ends.

mod key;
mod lanes;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::pin::pin;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

pub use key::Key;
use lanes::{Lane, Lanes};

const WINDOW: Duration = Duration::from_secs(1);
const RUNS: u32 = 8;

/// Queue of Wukongs to reconcile.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
    /// Notifies of changes of keys that a worker processes.
    meanwhile: Notify,
}

#[derive(Debug, Default)]
struct State {
    slots: HashMap<Key, Slot>,
    /// Ready keys by namespace.
    ready: HashMap<String, Lanes>,
    /// Namespaces with ready keys, in the order of their turns.
    turns: VecDeque<String>,
    /// Place of the next ready key.
    next: u64,
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
    Ready {
        since: Instant,
        lane: Lane,
        place: u64,
    },
    Later(Instant),
    Running {
        since: Instant,
        again: Option<Lane>,
        /// Number of changes since the worker began.
        changes: u32,
    },
}

impl Queue {
    /// Queues a Wukong.
    pub fn add(&self, key: Key) {
        self.queue(key, Lane::Back);
    }

    /// Queues a Wukong of which a child has changed, before those of its namespace that have no children yet.
    pub fn add_begun(&self, key: Key) {
        self.queue(key, Lane::Front);
    }

    /// Queues a Wukong at this time, unless it is queued before.
    pub fn add_by(&self, key: Key, at: Instant) {
        self.state.lock().add_by(key, at, Instant::now());
        self.changed.notify_one();
    }

    fn queue(&self, key: Key, lane: Lane) {
        self.state.lock().add(key, lane, Instant::now());
        self.changed.notify_one();
        self.meanwhile.notify_waiters();
    }

    /// Returns how often a key has changed since a worker began to process it.
    pub fn changes(&self, key: &Key) -> u32 {
        match self.state.lock().slots.get(key) {
            Some(Slot::Running { changes, .. }) => *changes,
            _ => 0,
        }
    }

    /// Returns once a key that a worker processes has changed more often than `seen`, with the number of changes.
    pub async fn changed_since(&self, key: &Key, seen: u32) -> u32 {
        loop {
            let mut changed = pin!(self.meanwhile.notified());
            // From here on, no notification is lost.
            changed.as_mut().enable();
            let changes = self.changes(key);
            if changes > seen {
                return changes;
            }
            changed.await;
        }
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
        self.state.lock().ready.values().map(Lanes::len).sum()
    }

    /// Returns the longest time that a key has waited for a worker.
    pub fn longest_wait(&self) -> Duration {
        let state = self.state.lock();
        let waiting = state.slots.values().filter_map(|slot| match slot {
            Slot::Ready { since, .. } => Some(since.elapsed()),
            Slot::Later(_) | Slot::Running { .. } => None,
        });
        waiting.max().unwrap_or_default()
    }

    /// Returns the longest time that a worker has processed a key.
    pub fn longest_run(&self) -> Duration {
        let state = self.state.lock();
        let running = state.slots.values().filter_map(|slot| match slot {
            Slot::Running { since, .. } => Some(since.elapsed()),
            Slot::Ready { .. } | Slot::Later(_) => None,
        });
        running.max().unwrap_or_default()
    }
}

impl State {
    fn add(&mut self, key: Key, lane: Lane, now: Instant) {
        match self.slots.get_mut(&key) {
            Some(Slot::Ready { lane: known, .. }) if *known <= lane => {}
            Some(Slot::Ready { since, .. }) => {
                let since = *since;
                self.make_ready(key, lane, since);
            }
            Some(Slot::Running { again, changes, .. }) => {
                *changes += 1;
                *again = Some(again.map_or(lane, |known| known.min(lane)));
            }
            Some(Slot::Later(_)) | None => match self.busy_until(&key, now) {
                Some(end) => self.schedule(key, end),
                None => self.make_ready(key, lane, now),
            },
        }
    }

    fn add_by(&mut self, key: Key, at: Instant, now: Instant) {
        match self.slots.get(&key) {
            Some(Slot::Ready { .. }) => {}
            Some(Slot::Running { .. }) => self.add(key, Lane::Back, now),
            Some(Slot::Later(_)) | None => self.schedule(key, at),
        }
    }

    fn done(&mut self, key: &Key, pause: Option<Duration>, now: Instant) {
        let Some(Slot::Running { again, .. }) = self.slots.remove(key) else {
            return;
        };
        if let Some(lane) = again {
            self.add(key.clone(), lane, now);
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

    fn make_ready(&mut self, key: Key, lane: Lane, since: Instant) {
        let place = self.next;
        self.next += 1;
        let slot = Slot::Ready { since, lane, place };
        let before = self.slots.insert(key.clone(), slot);
        if let Some(Slot::Later(at)) = before {
            self.later.remove(&(at, key.clone()));
        }
        let lanes = self.ready.entry(key.namespace.clone()).or_default();
        if lanes.len() == 0 {
            self.turns.push_back(key.namespace.clone());
        }
        if let Some(Slot::Ready { lane, place, .. }) = before {
            lanes.lane(lane).remove(&place);
        }
        lanes.lane(lane).insert(place, key);
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
            // It has run before.
            self.make_ready(key, Lane::Front, at);
        }
    }

    fn pop(&mut self, now: Instant) -> Option<Key> {
        let namespace = self.turns.pop_front()?;
        let lanes = self.ready.get_mut(&namespace)?;
        let key = lanes.take()?;
        if lanes.len() == 0 {
            self.ready.remove(&namespace);
        } else {
            self.turns.push_back(namespace);
        }
        let running = Slot::Running {
            since: now,
            again: None,
            changes: 0,
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
