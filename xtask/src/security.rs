//! The tests that the guides name exist.

use std::fs;
use std::path::Path;

use crate::generated;

/// Every file in Rust below a folder: its name without the ending, and its text.
fn sources(folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn every_statement_in_a_guide_names_tests_that_exist_or_says_that_there_is_none() {
    let mut files = Vec::new();
    for folder in ["bins", "crates", "xtask"] {
        sources(&generated::root().join(folder), &mut files);
    }
    let exists = |test: &str| {
        let (file, name) = test.split_once("::").unwrap_or(("", test));
        let called = format!("{name}(");
        files.iter().any(|(stem, text)| {
            let attributes = text.split("#[");
            let tests =
                attributes.filter(|it| it.starts_with("test]") || it.starts_with("tokio::test"));
            let mut functions = tests.filter_map(|test| test.split_once("fn "));
            (file.is_empty() || file == stem)
                && functions.any(|(_, function)| function.starts_with(&called))
        })
    };
    for guide in ["docs/security.md", "docs/upgrade.md", "docs/reliability.md"] {
        let text = fs::read_to_string(generated::root().join(guide)).unwrap();
        let rows = text.lines().filter(|line| line.starts_with("| "));
        for row in rows.filter(|row| !row.ends_with("| tests |")) {
            let last = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
            let quoted: Vec<_> = last.split('`').skip(1).step_by(2).collect();
            // Not a name: a command or a flag.
            let named = quoted.iter().filter(|name| !name.contains([' ', '-']));
            let missing: Vec<_> = named.filter(|name| !exists(name)).collect();
            assert!(missing.is_empty(), "{missing:?} in: {row}");
            assert!(!quoted.is_empty() || last.contains("no test"), "{row}");
        }
    }
}
