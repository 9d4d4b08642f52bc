//! `words`: the phrases that this project does not use (`xtask/words.txt`).

mod list;
mod prose;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};

use crate::generated::root;
use crate::git;
use list::{Hit, WordList};

/// Find phrases of `xtask/words.txt` in comments, messages, CRD descriptions and documents.
#[derive(clap::Args)]
pub struct Args {
    /// Check only files below these paths.
    paths: Vec<String>,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    report(&search(&args.paths)?)
}

/// Fails if a file has a hit.
pub fn check() -> anyhow::Result<()> {
    report(&search(&[])?)
}

/// Prints the hits. Errors if there are any.
fn report(found: &BTreeMap<String, Vec<Hit>>) -> anyhow::Result<()> {
    for (file, hits) in found {
        for Hit {
            line,
            phrase,
            instead,
        } in hits
        {
            println!("{file}:{line}: {phrase} -> {instead}");
        }
    }
    ensure!(
        found.is_empty(),
        "{} files have phrases of xtask/words.txt: write what is after the arrow, or rewrite the sentence",
        found.len()
    );
    Ok(())
}

/// The hits of every file that has any; without `paths`, in all files.
fn search(paths: &[String]) -> anyhow::Result<BTreeMap<String, Vec<Hit>>> {
    let list = WordList::read()?;
    let is_wanted =
        |file: &str| paths.is_empty() || paths.iter().any(|path| file.starts_with(path));
    let mut found = BTreeMap::new();
    let files = git::files()?.into_iter();
    for file in files.filter(|file| is_checked(file) && is_wanted(file)) {
        let text = fs::read_to_string(root().join(&file))
            .with_context(|| format!("cannot read {file}"))?;
        let prose = match Path::new(&file).extension() {
            Some(extension) if extension == "rs" => prose::of_rust(&text),
            _ => text.clone(),
        };
        let hits = list.find(&prose, &text);
        if !hits.is_empty() {
            found.insert(file, hits);
        }
    }
    Ok(found)
}

/// Chinese documents, copies of other files and the rules themselves are not checked.
fn is_checked(file: &str) -> bool {
    const EXCLUDED: [&str; 3] = [
        "docs/zh/",
        "deploy/chart/wukong-operator/templates/crds/",
        "xtask/src/words/",
    ];
    if EXCLUDED.iter().any(|folder| file.starts_with(folder)) {
        return false;
    }
    let in_deploy = file.starts_with("deploy/") || file.starts_with("examples/");
    match Path::new(file)
        .extension()
        .and_then(|extension| extension.to_str())
    {
        Some("rs" | "md") => true,
        Some("yaml" | "txt") => in_deploy,
        _ => false,
    }
}
