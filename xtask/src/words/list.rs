//! The list of phrases, and where a text has them.

use std::fs;

use anyhow::{Context, bail};
use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use crate::generated::root;

const FILE: &str = "xtask/words.txt";
/// Allows the phrases of its line and of the next one.
const ALLOW: &str = "word-list: allow";

/// A phrase in a text.
#[derive(Debug, PartialEq)]
pub struct Hit {
    /// From 1.
    pub line: usize,
    pub phrase: String,
    pub instead: String,
}

struct Entry {
    phrase: Regex,
    instead: String,
}

/// The phrases that are not used.
pub struct WordList {
    entries: Vec<Entry>,
    /// All phrases at once: most texts have few of them.
    any: RegexSet,
}

impl WordList {
    /// Reads `xtask/words.txt`.
    pub fn read() -> anyhow::Result<Self> {
        let text =
            fs::read_to_string(root().join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut entries = Vec::new();
        let mut patterns = Vec::new();
        for line in text.lines() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((phrase, instead)) = line.split_once(" -> ") else {
                bail!("{FILE}: `{line}` has no ` -> `");
            };
            let pattern = format!(r"\b(?:{})\b", phrase.replace(' ', r"\s+"));
            let regex = RegexBuilder::new(&pattern).case_insensitive(true).build();
            entries.push(Entry {
                phrase: regex.with_context(|| format!("{FILE}: `{phrase}`"))?,
                instead: instead.to_owned(),
            });
            patterns.push(pattern);
        }
        let any = RegexSetBuilder::new(&patterns)
            .case_insensitive(true)
            .build()?;
        Ok(Self { entries, any })
    }

    /// The phrases in `prose`, which has the lines of `text`. Of phrases that overlap, only the first in the list counts.
    pub fn find(&self, prose: &str, text: &str) -> Vec<Hit> {
        let lines: Vec<&str> = text.lines().collect();
        let is_allowed = |line: usize| {
            let marked = |line: usize| lines.get(line).is_some_and(|line| line.contains(ALLOW));
            marked(line) || line.checked_sub(1).is_some_and(marked)
        };
        let mut taken: Vec<(usize, usize)> = Vec::new();
        let mut hits = Vec::new();
        for index in self.any.matches(prose) {
            let Some(entry) = self.entries.get(index) else {
                continue;
            };
            for found in entry.phrase.find_iter(prose) {
                let overlaps =
                    |(start, end): &(usize, usize)| *start < found.end() && found.start() < *end;
                let before = prose.get(..found.start()).unwrap_or_default();
                let line = before.matches('\n').count();
                if taken.iter().any(overlaps) || is_allowed(line) {
                    continue;
                }
                taken.push((found.start(), found.end()));
                let words: Vec<&str> = found.as_str().split_whitespace().collect();
                hits.push(Hit {
                    line: line + 1,
                    phrase: words.join(" "),
                    instead: entry.instead.clone(),
                });
            }
        }
        hits.sort_by_key(|hit| hit.line);
        hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str) -> Vec<(usize, String)> {
        let list = WordList::parse(
            "# A comment\n\nthe wish -> the spec\nwish -> spec\nheard of -> observed\n",
        )
        .unwrap();
        let hits = list.find(text, text).into_iter();
        hits.map(|hit| (hit.line, hit.phrase)).collect()
    }

    #[test]
    fn a_phrase_may_be_broken_over_lines_and_counts_once() {
        let hits = find("Not heard\n  of it. The wish.\nWishful.\n");
        let expected = [(1, "heard of"), (2, "The wish")];
        assert_eq!(
            hits,
            expected.map(|(line, phrase)| (line, phrase.to_owned()))
        );
    }

    #[test]
    fn the_mark_allows_its_line_and_the_next() {
        assert_eq!(find("a wish <!-- word-list: allow -->\n"), []);
        assert_eq!(find("<!-- word-list: allow -->\na wish\na wish\n").len(), 1);
    }

    #[test]
    fn the_list_of_this_repository_is_valid() {
        assert!(WordList::read().is_ok());
    }
}
