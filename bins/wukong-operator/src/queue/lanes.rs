//! Order of the ready keys of one namespace.

use std::collections::BTreeMap;

use super::key::Key;

/// Number of keys in a row that a namespace takes from its front lane while keys wait in the back lane.
pub(super) const FRONT_MAX: u32 = 8;

/// Lane of a ready key. The front lane is the smaller one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Lane {
    /// For keys that have children.
    Front,
    /// For all others.
    Back,
}

/// Ready keys of one namespace, by their places.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    front: BTreeMap<u64, Key>,
    back: BTreeMap<u64, Key>,
    /// Number of keys that were taken from the front lane since the last one from the back lane.
    in_a_row: u32,
}

impl Lanes {
    pub(super) fn lane(&mut self, lane: Lane) -> &mut BTreeMap<u64, Key> {
        match lane {
            Lane::Front => &mut self.front,
            Lane::Back => &mut self.back,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.front.len() + self.back.len()
    }

    pub(super) fn take(&mut self) -> Option<Key> {
        let front = self.in_a_row < FRONT_MAX || self.back.is_empty();
        if front && let Some((_, key)) = self.front.pop_first() {
            self.in_a_row += 1;
            return Some(key);
        }
        self.in_a_row = 0;
        self.back.pop_first().map(|(_, key)| key)
    }
}
