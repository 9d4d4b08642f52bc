//! The guides: links lead somewhere, and what is in Chinese keeps up with what it was made from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::generated::root;

/// Folders that hold no guide of ours.
const ELSEWHERE: [&str; 4] = ["target", ".git", "templates", "node_modules"];

/// Every guide, by its path from the root.
fn guides() -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                if !ELSEWHERE.iter().any(|name| path.ends_with(name)) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|kind| kind == "md") {
                found.insert(path, fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    found
}

/// A guide in its parts: headings, blocks of code, and the rest.
#[derive(Default)]
struct Parts<'a> {
    headings: Vec<(usize, &'a str)>,
    /// Language and lines of each.
    code: Vec<(&'a str, Vec<&'a str>)>,
    prose: Vec<&'a str>,
}

fn parts(text: &str) -> Parts<'_> {
    let mut parts = Parts::default();
    let mut inside = false;
    for line in text.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            inside = !inside;
            if inside {
                parts.code.push((language, Vec::new()));
            }
        } else if inside {
            parts.code.last_mut().unwrap().1.push(line);
        } else if line.starts_with('#') {
            let level = line.len() - line.trim_start_matches('#').len();
            parts.headings.push((level, line[level..].trim()));
        } else {
            parts.prose.push(line);
        }
    }
    parts
}

/// The anchors of a guide, as GitHub makes them of headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let slug = |(_, heading): &(usize, &str)| -> String {
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.flat_map(char::to_lowercase)
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    };
    parts(text).headings.iter().map(slug).collect()
}

/// The links in a text, outside of code.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    for line in parts(text).prose {
        // Every second piece is code.
        let prose: String = line.split('`').step_by(2).collect();
        let targets = prose.split("](").skip(1);
        links.extend(targets.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())));
    }
    links
}

fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(normal.pop()),
            Component::CurDir => {}
            part => normal.push(part),
        }
    }
    normal
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_exist() {
    let guides = guides();
    assert!(guides.contains_key(Path::new("README.md")));
    let mut broken = Vec::new();
    for (guide, text) in &guides {
        for link in links(text) {
            // Those with `::` are for rustdoc.
            if link.contains("://") || link.contains("::") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => guide.clone(),
                file => normal(&guide.parent().unwrap().join(file)),
            };
            let there = root().join(&target).exists();
            let found = |text: &String| anchors(text).contains(anchor);
            if !there || !(anchor.is_empty() || guides.get(&target).is_some_and(found)) {
                broken.push(format!("{}: {link}", guide.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// A line of code without its comment, which is translated.
fn uncommented(line: &str) -> &str {
    let ends = [" #", " // "].map(|mark| line.find(mark));
    let end = ends.into_iter().flatten().min().unwrap_or(line.len());
    match line.starts_with('#') {
        true => "",
        false => line[..end].trim_end(),
    }
}

#[test]
fn what_is_in_chinese_has_the_headings_and_the_code_of_what_it_was_made_from() {
    let guides = guides();
    let zh = Path::new("docs/zh");
    let mut compared = 0;
    for (path, text) in guides.iter().filter(|(path, _)| path.starts_with(zh)) {
        let name = path.strip_prefix(zh).unwrap();
        if name == Path::new("troubleshooting.md") {
            // A short way into the long one.
            continue;
        }
        let original = match name.to_str().unwrap() {
            "README.md" => PathBuf::from("README.md"),
            name => Path::new("docs").join(name),
        };
        let (ours, theirs) = (parts(text), parts(&guides[&original]));
        let shown = path.display();
        let levels = |parts: &Parts| -> Vec<usize> {
            parts.headings.iter().map(|(level, _)| *level).collect()
        };
        assert_eq!(levels(&ours), levels(&theirs), "headings of {shown}");
        assert_eq!(
            ours.code.len(),
            theirs.code.len(),
            "blocks of code in {shown}"
        );
        for ((kind, ours), (other, theirs)) in ours.code.iter().zip(&theirs.code) {
            let bare = |lines: &[&str]| -> Vec<String> {
                let lines = lines.iter().map(|line| uncommented(line).to_owned());
                lines.filter(|line| !line.is_empty()).collect()
            };
            assert_eq!(kind, other, "{shown}");
            assert_eq!(bare(ours), bare(theirs), "{shown}");
        }
        compared += 1;
    }
    assert!(compared > 0);
}
