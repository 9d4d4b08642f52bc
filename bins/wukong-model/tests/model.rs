//! Part of the search that `cargo lab model` does.
#![allow(clippy::unwrap_used, clippy::panic)]

use wukong_model::mistake::Mistake;
use wukong_model::parsers::PARSERS;
use wukong_model::search::{Limits, search};
use wukong_model::{paths, shapes, texts, world};

const LIMITS: Limits = Limits {
    states: 200,
    depth: None,
    time: None,
    threads: 1,
};

#[test]
fn short_histories_keep_every_promise() {
    for world in world::all() {
        let name = world.name;
        let found = search(world, None, LIMITS, |_, _| {});
        assert!(found.states >= LIMITS.states, "{name}: {}", found.states);
        if let Some(broken) = found.broken.first() {
            panic!(
                "{name}: broken: {}\n{}\n{}",
                broken.property,
                broken.history.join("\n"),
                broken.complaint,
            );
        }
    }
}

/// `cargo lab model --mutations` searches for all of them.
#[test]
fn some_mistakes_are_found() {
    for mistake in [
        Mistake::NeverPrunes,
        Mistake::AlwaysWritesStatus,
        Mistake::RetainedDiskWithOwner,
    ] {
        let mut worlds = world::all().into_iter();
        let found = worlds.any(|world| {
            let found = search(world, Some(mistake), LIMITS, |_, _| {});
            !found.broken.is_empty()
        });
        assert!(found, "{mistake:?}");
    }
}

#[test]
fn histories_of_generated_edits_end_where_a_fresh_start_ends() {
    for seed in 0..4 {
        if let Err(detour) = paths::walk(seed) {
            panic!("seed {seed}: {}\n{:#?}", detour.complaint, detour.specs);
        }
    }
}

#[test]
fn generated_objects_break_nothing() {
    for seed in 0..500 {
        shapes::check(seed).unwrap_or_else(|complaint| panic!("seed {seed}: {complaint}"));
    }
}

/// `fuzz/fuzz_targets` has a program for each parser, in a workspace of its own.
#[test]
fn every_parser_has_a_fuzz_target() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz");
    let manifest = std::fs::read_to_string(format!("{root}/Cargo.toml")).unwrap();
    for (name, _) in PARSERS {
        let target = std::fs::read_to_string(format!("{root}/fuzz_targets/{name}.rs")).unwrap();
        assert!(target.contains(&format!("parsers::{name}(")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}

#[test]
fn changed_texts_of_other_programs_break_no_parser() {
    assert!(texts::recorded() > 700);
    for seed in 0..300 {
        texts::check(seed).unwrap_or_else(|complaint| panic!("seed {seed}: {complaint}"));
    }
}
