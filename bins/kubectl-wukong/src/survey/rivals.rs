//! The Wukongs of a survey that share an address with one.

use std::collections::BTreeSet;

use kube::ResourceExt;
use wukong_api::Wukong;
use wukong_engine::environment::addresses::WukongName;

use super::Survey;
use super::about::{identity, key};
use super::addresses::Sharing;

impl Survey {
    /// Returns the Wukongs that share an address with this one, including itself.
    pub(super) fn rivals(&self, wukong: &Wukong) -> BTreeSet<WukongName> {
        let Some(mut sharing) = Sharing::with(&[wukong]) else {
            return BTreeSet::new();
        };
        let others = self.wukongs().into_iter();
        let others = others.filter(|other| sharing.has(other));
        let mut rivals: BTreeSet<WukongName> = others.map(|other| key(&other)).collect();
        if !rivals.is_empty() {
            rivals.insert(key(wukong));
        }
        rivals
    }

    /// Returns those of them in its namespace, without itself, the oldest first.
    pub(super) fn rivals_here(&self, wukong: &Wukong) -> impl Iterator<Item = WukongName> {
        let rivals = self.rivals(wukong);
        let here = identity(wukong).0;
        let mut others = self.wukongs();
        others.retain(|other| {
            let key = key(other);
            key.0 == here && rivals.contains(&key) && identity(other) != identity(wukong)
        });
        others.sort_by_key(|other| other.creation_timestamp().map(|created| created.0));
        others.into_iter().map(|other| key(&other))
    }
}
