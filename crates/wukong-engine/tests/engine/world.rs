//! What is known of the cluster, from watches that are late and from answers that are early.

use serde_json::json;
use wukong_engine::facts::{Fact, ObjectFact};
use wukong_engine::{Presence, Seen, Store};

fn object(name: &str, uid: &str, version: u64) -> ObjectFact {
    let metadata = json!({"namespace": "shop", "name": name, "uid": uid, "resourceVersion": version.to_string()});
    ObjectFact::project(&json!({"metadata": metadata}))
}

fn store(objects: &[ObjectFact]) -> Store<ObjectFact> {
    let mut store = Store::default();
    store.replace(objects.to_vec());
    store
}

#[test]
fn nothing_is_known_before_the_first_list() {
    let mut store: Store<ObjectFact> = Store::default();
    assert_eq!(store.get("shop", "a"), Seen::Unknown);
    store.insert(object("a", "1", 1));
    assert_eq!(store.get("shop", "a"), Seen::Present(&object("a", "1", 1)));
    assert_eq!(store.get("shop", "b"), Seen::Unknown);
    store.replace(Vec::new());
    assert_eq!(store.get("shop", "a"), Seen::Absent);
    store.clear(Presence::Missing);
    assert_eq!(
        store.get("shop", "a"),
        Seen::Absent,
        "a kind that is not served has no objects"
    );
    store.clear(Presence::Forbidden);
    assert_eq!(store.get("shop", "a"), Seen::Unknown);
}

#[test]
fn an_event_that_comes_late_changes_nothing() {
    let mut store = store(&[object("a", "1", 5)]);
    assert!(
        !store.insert(object("a", "1", 5)),
        "the echo of what is known"
    );
    assert!(!store.insert(object("a", "1", 4)));
    assert!(store.insert(object("a", "2", 7)), "made again");
    assert!(
        !store.insert(object("a", "1", 6)),
        "the last word of the one before"
    );
    assert!(!store.remove("shop", "a", "1"), "and its end");
    assert_eq!(store.get("shop", "a"), Seen::Present(&object("a", "2", 7)));
    assert!(store.remove("shop", "a", "2"));
    assert!(store.is_empty());
}

#[test]
fn a_list_that_is_older_than_an_answer_does_not_undo_it() {
    let mut store = store(&[
        object("a", "1", 5),
        object("gone", "2", 5),
        object("same", "3", 5),
    ]);
    store.insert(object("a", "1", 9));
    let changed = store.replace(vec![
        object("a", "1", 8),
        object("same", "3", 5),
        object("new", "4", 6),
    ]);
    assert_eq!(store.get("shop", "a"), Seen::Present(&object("a", "1", 9)));
    let mut names: Vec<_> = changed.iter().map(|fact| fact.meta.name.as_str()).collect();
    names.sort_unstable();
    assert!(
        names.contains(&"gone") && names.contains(&"new") && !names.contains(&"same"),
        "{names:?}"
    );
    assert_eq!(store.len(), 3);
}
