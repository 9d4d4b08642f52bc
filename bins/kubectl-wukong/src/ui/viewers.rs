//! The consoles that pages of this plugin have open. KubeVirt gives a console to the last one who asks; the page asks its
//! user first.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// A console: namespace and name of its VM, and which of the two.
type Key = (String, String, &'static str);

/// The consoles that are open.
#[derive(Clone, Default)]
pub struct Viewers(Arc<Mutex<HashSet<(u64, Key)>>>);

/// A console that is open, until it is dropped.
pub struct Viewer {
    viewers: Viewers,
    entry: (u64, Key),
}

impl Viewers {
    /// Enters a viewer; `None` if there is one already and it is not to be taken over.
    pub fn enter(&self, key: Key, take_over: bool) -> Option<Viewer> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let others = open.iter().filter(|(_, other)| *other == key);
        let next = others.map(|(number, _)| number + 1).max();
        if next.is_some() && !take_over {
            return None;
        }
        let entry = (next.unwrap_or(0), key);
        open.insert(entry.clone());
        Some(Viewer {
            viewers: self.clone(),
            entry,
        })
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let open = &self.viewers.0;
        open.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_viewer_has_to_ask() {
        let viewers = Viewers::default();
        let key = |name: &str| ("shop".to_owned(), name.to_owned(), "console");
        let first = viewers.enter(key("web"), false).unwrap();
        assert!(viewers.enter(key("web"), false).is_none());
        assert!(viewers.enter(key("db"), false).is_some());
        let second = viewers.enter(key("web"), true).unwrap();
        drop(first);
        assert!(viewers.enter(key("web"), false).is_none());
        drop(second);
        assert!(viewers.enter(key("web"), false).is_some());
    }
}
