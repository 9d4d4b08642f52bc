//! Names that have to fit somewhere.

use wukong_api::names;

/// `name` itself when it has at most `max` bytes; else its beginning and a hash of the whole, `max` bytes together.
pub(crate) fn fit(name: &str, max: usize) -> String {
    if name.len() <= max {
        return name.to_owned();
    }
    with_hash(name, max)
}

/// The beginning of `name` and a hash of the whole, at most `max` bytes together.
pub(crate) fn with_hash(name: &str, max: usize) -> String {
    let hash = names::short_hash(&[name]);
    let beginning: String = name.chars().take(max - 1 - hash.len()).collect();
    format!("{}-{hash}", beginning.trim_end_matches(['-', '.']))
}
