//! Which Wukongs and schedules a change of a kind queues.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use wukong_api::Reason;
use wukong_engine::catalogue::Wakes;
use wukong_engine::facts::Meta;

use super::Cluster;
use crate::queue::Key;

/// Least time between two times at which changes of the cluster, or of the quotas of a namespace, queue the Wukongs that they
/// block. A quota changes with every pod and claim of its namespace.
const WAKE_INTERVAL: Duration = Duration::from_secs(5);

impl Cluster {
    /// Queues Wukongs because a kind appeared or disappeared.
    pub(super) fn enqueue_for_kind(&self, wakes: Wakes) {
        match wakes {
            Wakes::Affected | Wakes::Named => self.enqueue_all(),
            Wakes::Itself => self.enqueue_schedules(),
            Wakes::NodeNetworks => {
                for key in self.wukongs.read().with_node_networks() {
                    self.queue.add(key);
                }
            }
            Wakes::Blocked | Wakes::BlockedByQuota => {
                for key in self.wukongs.read().blocked() {
                    self.queue.add(key.clone());
                }
            }
        }
    }

    pub(super) fn enqueue_for<'a>(
        &self,
        wakes: Wakes,
        objects: impl IntoIterator<Item = &'a Meta>,
    ) {
        let wukongs = self.wukongs.read();
        let (mut keys, mut begun) = (BTreeSet::new(), BTreeSet::new());
        let mut named = Vec::new();
        for object in objects {
            match wakes {
                Wakes::Affected if object.namespace.is_empty() => keys.extend(wukongs.keys()),
                Wakes::Affected => begun.extend(wukongs.affected(object)),
                Wakes::NodeNetworks => keys.extend(wukongs.with_node_networks()),
                Wakes::Itself => self
                    .schedules
                    .add(Key::new(&*object.namespace, &*object.name)),
                Wakes::Named => {
                    named.push(object);
                    // A new Wukong may wait for a snapshot of another one.
                    begun.extend(wukongs.affected(object));
                    let named = object.wukong.iter();
                    keys.extend(named.map(|name| Key::new(&*object.namespace, &**name)));
                }
                Wakes::Blocked => self.wake("", wukongs.blocked().cloned()),
                Wakes::BlockedByQuota => {
                    let blocked = wukongs.blocked_in(&object.namespace, Reason::QuotaExceeded);
                    self.wake(&object.namespace, blocked);
                }
            }
        }
        drop(wukongs);
        for key in begun {
            self.queue.add_begun(key);
        }
        for key in keys {
            self.queue.add(key);
        }
        for object in named {
            self.enqueue_schedules_of_snapshot(&object.namespace, &object.name);
        }
    }

    /// Queues Wukongs that are blocked, now or when the interval of the scope is over.
    fn wake(&self, scope: &str, blocked: impl Iterator<Item = Key>) {
        let mut blocked = blocked.peekable();
        if blocked.peek().is_none() {
            return;
        }
        let now = Instant::now();
        let mut woken = self.woken.lock();
        woken.retain(|_, last| *last + WAKE_INTERVAL > now);
        let at = match woken.get(scope) {
            Some(last) if *last > now => *last,
            Some(last) => *last + WAKE_INTERVAL,
            None => now,
        };
        woken.insert(scope.to_owned(), at);
        for key in blocked {
            match at > now {
                true => self.queue.add_by(key, at),
                false => self.queue.add(key),
            }
        }
    }
}
