//! `words`: the phrases that this project does not use (`xtask/words.txt`).

mod baseline;
mod list;
mod prose;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

use crate::generated::root;
use crate::git;
use baseline::Baseline;
use list::{Hit, WordList};

/// Find phrases of `xtask/words.txt` in comments, messages, CRD descriptions and documents.
#[derive(clap::Args)]
pub struct Args {
    /// Print every hit, those of the baseline, too.
    #[arg(long)]
    all: bool,
    /// Lower the baseline (`xtask/words-baseline.txt`) to the hits of today.
    #[arg(long, conflicts_with = "all")]
    update: bool,
    /// Print only hits in files below these paths.
    #[arg(requires = "all")]
    paths: Vec<String>,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let hits = search()?;
    if args.all {
        for (file, hits) in &hits {
            if args.paths.is_empty() || args.paths.iter().any(|path| file.starts_with(path)) {
                print(file, hits);
            }
        }
        return Ok(());
    }
    let baseline = Baseline::read()?;
    if args.update {
        return baseline.lower(&counts(&hits))?.write();
    }
    compare(&hits, &baseline)
}

/// Fails if a file has more hits than the baseline allows.
pub fn check() -> anyhow::Result<()> {
    compare(&search()?, &Baseline::read()?)
}

fn compare(hits: &BTreeMap<String, Vec<Hit>>, baseline: &Baseline) -> anyhow::Result<()> {
    let counts = counts(hits);
    let worse = baseline.exceeded(&counts);
    for file in &worse {
        println!(
            "{file}: the baseline allows {} of these:",
            baseline.count(file)
        );
        print(file, hits.get(*file).map_or(&[], Vec::as_slice));
    }
    if !worse.is_empty() {
        bail!(
            "{} files have more phrases of xtask/words.txt than the baseline allows",
            worse.len()
        );
    }
    let (now, allowed) = (counts.values().sum::<usize>(), baseline.total());
    println!("{now} phrases of xtask/words.txt; the baseline allows {allowed}");
    if now < allowed {
        println!("run `cargo xtask words --update` to lower the baseline");
    }
    Ok(())
}

fn counts(hits: &BTreeMap<String, Vec<Hit>>) -> BTreeMap<String, usize> {
    let count = |(file, hits): (&String, &Vec<Hit>)| (file.clone(), hits.len());
    hits.iter().map(count).collect()
}

fn print(file: &str, hits: &[Hit]) {
    for Hit {
        line,
        phrase,
        instead,
    } in hits
    {
        println!("{file}:{line}: {phrase} -> {instead}");
    }
}

/// The hits of every file that has any.
fn search() -> anyhow::Result<BTreeMap<String, Vec<Hit>>> {
    let list = WordList::read()?;
    let mut found = BTreeMap::new();
    for file in git::files()?.into_iter().filter(|file| is_checked(file)) {
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
