//! Projects the objects of a watch and passes them to the store of their kind.

use kube::runtime::watcher::Event;
use serde_json::Value;
use wukong_engine::Presence;

use super::kind::Sink;
use crate::projection::Project;

/// Receiver of the projected objects of one kind.
pub(super) trait Store: Send + 'static {
    /// Projection of an object.
    type Kept: Project;
    /// Receives a complete list.
    fn listed(&self, list: Vec<Self::Kept>);
    /// Receives an object that was added or changed.
    fn updated(&self, kept: Self::Kept);
    /// Receives an object that was deleted.
    fn deleted(&self, kept: Self::Kept);
    /// Records that the kind is not served or not readable.
    fn unavailable(&self, presence: Presence);
}

/// Projects objects when they arrive.
pub(super) struct Keeper<S: Store> {
    store: S,
    /// Projected objects of an incomplete list.
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
            Event::Apply(object) => self.store.updated(S::Kept::project(object)),
            Event::Delete(object) => self.store.deleted(S::Kept::project(object)),
        }
    }

    fn unavailable(&mut self, presence: Presence) {
        self.store.unavailable(presence);
    }
}
