//! Keeps of each object what is needed, in the form of its kind: all that differs between kinds.

use kube::runtime::watcher::Event;
use serde_json::Value;
use wukong_engine::Presence;

use super::kind::Sink;
use crate::projection::Project;

/// Where what is kept of the objects of one kind goes.
pub(super) trait Store: Send + 'static {
    /// What is kept of an object.
    type Kept: Project;
    /// These are all objects.
    fn listed(&self, list: Vec<Self::Kept>);
    /// This one was added or changed.
    fn seen(&self, kept: Self::Kept);
    /// This one was deleted.
    fn gone(&self, kept: Self::Kept);
    /// There are no objects to see.
    fn unseen(&self, presence: Presence);
}

/// Reduces objects as soon as they come.
pub(super) struct Keeper<S: Store> {
    store: S,
    /// What is kept of the objects of a list that is not complete yet.
    list: Vec<S::Kept>,
}

impl<S: Store> Keeper<S> {
    pub(super) fn of(store: S) -> Box<dyn Sink> {
        let list = Vec::new();
        Box::new(Self { store, list })
    }
}

impl<S: Store> Sink for Keeper<S> {
    fn take(&mut self, event: Event<Value>) {
        match event {
            Event::Init => self.list.clear(),
            Event::InitApply(object) => self.list.push(S::Kept::project(object)),
            Event::InitDone => self.store.listed(std::mem::take(&mut self.list)),
            Event::Apply(object) => self.store.seen(S::Kept::project(object)),
            Event::Delete(object) => self.store.gone(S::Kept::project(object)),
        }
    }

    fn unseen(&mut self, presence: Presence) {
        self.store.unseen(presence);
    }
}
