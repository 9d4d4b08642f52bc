//! The hits that remain from before the check, by file. Their number only goes down; the file ends empty.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;

use anyhow::{Context, ensure};

use crate::generated::root;

const FILE: &str = "xtask/words-baseline.txt";

/// The number of hits that each file may have.
#[derive(Debug, Default, PartialEq)]
pub struct Baseline(BTreeMap<String, usize>);

impl Baseline {
    /// Reads `xtask/words-baseline.txt`. Without that file, no hits are allowed.
    pub fn read() -> anyhow::Result<Self> {
        match fs::read_to_string(root().join(FILE)) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {FILE}")),
        }
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let parse = |line: &str| {
            let (count, file) = line
                .split_once(' ')
                .with_context(|| format!("{FILE}: `{line}` is not `COUNT FILE`"))?;
            let count = count
                .parse()
                .with_context(|| format!("{FILE}: `{count}` is not a number"))?;
            Ok((file.to_owned(), count))
        };
        Ok(Self(
            text.lines().map(parse).collect::<anyhow::Result<_>>()?,
        ))
    }

    /// The number that a file may have.
    pub fn count(&self, file: &str) -> usize {
        self.0.get(file).copied().unwrap_or_default()
    }

    /// The number that all files together may have.
    pub fn total(&self) -> usize {
        self.0.values().sum()
    }

    /// The files that have more than they may have.
    pub fn exceeded<'a>(&self, counts: &'a BTreeMap<String, usize>) -> Vec<&'a str> {
        let worse = counts
            .iter()
            .filter(|(file, count)| **count > self.count(file));
        worse.map(|(file, _)| file.as_str()).collect()
    }

    /// The baseline of today's counts. Hits may move between files, as they do when a file is renamed.
    ///
    /// Errors if there are more of them than before.
    pub fn lower(&self, counts: &BTreeMap<String, usize>) -> anyhow::Result<Self> {
        let (now, before) = (counts.values().sum::<usize>(), self.total());
        ensure!(
            now <= before,
            "{now} phrases are more than the {before} of the baseline: rewrite those that `cargo xtask words` prints"
        );
        Ok(Self(counts.clone()))
    }

    /// Writes `xtask/words-baseline.txt`.
    pub fn write(&self) -> anyhow::Result<()> {
        let mut text = String::new();
        for (file, count) in &self.0 {
            writeln!(text, "{count} {file}")?;
        }
        fs::write(root().join(FILE), text).with_context(|| format!("cannot write {FILE}"))?;
        println!("{FILE}: {} phrases in {} files", self.total(), self.0.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_baseline_only_goes_down() {
        let baseline = Baseline::parse("2 a.rs\n1 b.md\n").unwrap();
        let counts = |text| Baseline::parse(text).unwrap().0;
        assert_eq!(baseline.exceeded(&counts("2 a.rs\n")), Vec::<&str>::new());
        assert_eq!(
            baseline.exceeded(&counts("3 a.rs\n1 c.md\n")),
            ["a.rs", "c.md"]
        );
        let moved = counts("2 c.rs\n");
        assert_eq!(baseline.lower(&moved).unwrap(), Baseline(moved));
        assert!(baseline.lower(&counts("4 a.rs\n")).is_err());
    }
}
