//! `cycles`: no module and no file of a crate depends on itself through others.

mod modules;
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

use crate::{dependencies, generated};
use modules::{Modules, Use};

/// Find cycles among the top-level modules and among the files of each crate.
#[derive(clap::Args)]
pub struct Args {
    /// Check only these crates.
    crates: Vec<String>,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    report(&args.crates)
}

/// Fails if there is a cycle in a crate.
pub fn check() -> anyhow::Result<()> {
    report(&[])
}

/// Prints every cycle of some packages, or of all, with the first use behind each edge.
fn report(packages: &[String]) -> anyhow::Result<()> {
    let mut found = 0;
    for (package, folder) in sources()? {
        if !packages.is_empty() && !packages.contains(&package) {
            continue;
        }
        for root in ["lib.rs", "main.rs"]
            .into_iter()
            .filter(|root| folder.join(root).is_file())
        {
            let uses = Modules::read(&folder, root)?.uses();
            for graph in [by_module(&uses), by_file(&uses)] {
                for members in cycles(&graph) {
                    found += 1;
                    println!("{package}: cycle of {}", members.join(", "));
                    print_edges(&graph, &members);
                }
            }
        }
    }
    ensure!(found == 0, "{found} cycles");
    Ok(())
}

fn print_edges(graph: &Graph, members: &[String]) {
    for ((from, to), edge) in graph {
        if members.contains(from) && members.contains(to) {
            let (file, line, path) = (edge.from.display(), edge.line, &edge.path);
            println!("  {from} -> {to}: {file}:{line}: {path}");
        }
    }
}

/// The packages of the workspace with their source folders.
fn sources() -> anyhow::Result<Vec<(String, PathBuf)>> {
    let metadata = dependencies::metadata()?;
    let packages = metadata
        .get("packages")
        .and_then(serde_json::Value::as_array);
    let text = |package: &serde_json::Value, field: &str| {
        package
            .get(field)
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let mut sources = Vec::new();
    for package in packages.into_iter().flatten() {
        let manifest = generated::root().join(text(package, "manifest_path"));
        let folder = manifest.parent().unwrap_or(Path::new("")).join("src");
        sources.push((text(package, "name"), folder));
    }
    sources.sort();
    Ok(sources)
}

type Graph<'a> = BTreeMap<(String, String), &'a Use>;

fn by_module(uses: &[Use]) -> Graph<'_> {
    let mut graph = Graph::new();
    for edge in uses {
        if let Some((from, to)) = &edge.tops {
            graph.entry((from.clone(), to.clone())).or_insert(edge);
        }
    }
    graph
}

fn by_file(uses: &[Use]) -> Graph<'_> {
    let mut graph = Graph::new();
    let name = |path: &Path| path.to_string_lossy().replace('\\', "/");
    for edge in uses {
        graph
            .entry((name(&edge.from), name(&edge.to)))
            .or_insert(edge);
    }
    graph
}

fn cycles(graph: &Graph) -> Vec<Vec<String>> {
    let edges = graph.keys().map(|(from, to)| (from.as_str(), to.as_str()));
    let graph = DiGraphMap::<&str, ()>::from_edges(edges);
    let mut cycles = Vec::new();
    for component in tarjan_scc(&graph)
        .into_iter()
        .filter(|component| component.len() > 1)
    {
        let mut members: Vec<String> = component.into_iter().map(str::to_owned).collect();
        members.sort();
        cycles.push(members);
    }
    cycles
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn of(files: &[(&str, &str)]) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
        let folder = tempfile::tempdir().unwrap();
        for (file, source) in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, source).unwrap();
        }
        let uses = Modules::read(folder.path(), "lib.rs").unwrap().uses();
        (cycles(&by_module(&uses)), cycles(&by_file(&uses)))
    }

    #[test]
    fn a_re_export_leads_to_the_file_that_defines_the_item() {
        let (modules, files) = of(&[
            ("lib.rs", "mod a; mod b;"),
            (
                "a/mod.rs",
                "mod one; mod two; pub use one::One; pub use two::*;",
            ),
            ("a/one.rs", "use super::Two; pub struct One(Two);"),
            ("a/two.rs", "pub struct Two;"),
            ("b.rs", "use crate::a; pub struct B(a::One, a::Two);"),
        ]);
        assert_eq!((modules.len(), files.len()), (0, 0));
    }

    #[test]
    fn cycles_among_files_and_modules_are_found() {
        let (modules, files) = of(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "mod deep; pub struct A; fn a() { deep::deep() }"),
            ("a/deep.rs", "pub fn deep() { crate::b::b() }"),
            ("b.rs", "pub fn b() { vec![super::a::A]; }"),
        ]);
        assert_eq!(modules, [["a", "b"]]);
        assert_eq!(files, [["a.rs", "a/deep.rs", "b.rs"]]);
    }

    #[test]
    fn modules_can_depend_on_each_other_where_no_files_do() {
        let (modules, files) = of(&[
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "pub mod one; pub mod two;"),
            ("a/one.rs", "pub struct One(crate::b::B);"),
            ("a/two.rs", "pub struct Two;"),
            ("b.rs", "pub struct B(crate::a::two::Two);"),
        ]);
        assert_eq!(modules, [["a", "b"]]);
        assert_eq!(files, Vec::<Vec<String>>::new());
    }
}
