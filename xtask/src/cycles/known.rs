//! The cycles from before the check. The list only gets shorter; it ends empty.

use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;

use anyhow::{Context, ensure};

use crate::generated::root;

const FILE: &str = "xtask/cycles.txt";

/// Modules or files that depend on each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cycle {
    pub package: String,
    /// Top-level modules, or files by their path in the source folder.
    pub members: Vec<String>,
}

/// The cycles that there may be.
#[derive(Debug, Default, PartialEq)]
pub struct Known(Vec<Cycle>);

impl Known {
    /// Reads `xtask/cycles.txt`. Without that file, there may be no cycles.
    pub fn read() -> anyhow::Result<Self> {
        match fs::read_to_string(root().join(FILE)) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {FILE}")),
        }
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let parse = |line: &str| {
            let (package, members) = line
                .split_once(": ")
                .with_context(|| format!("{FILE}: `{line}` is not `CRATE: MEMBER, MEMBER`"))?;
            let members = members.split(", ").map(str::to_owned).collect();
            let package = package.to_owned();
            Ok(Cycle { package, members })
        };
        Ok(Self(
            text.lines().map(parse).collect::<anyhow::Result<_>>()?,
        ))
    }

    /// Whether a cycle is listed, or part of one that is.
    pub fn has(&self, cycle: &Cycle) -> bool {
        let is_in = |known: &&Cycle| {
            known.package == cycle.package
                && cycle
                    .members
                    .iter()
                    .all(|member| known.members.contains(member))
        };
        self.0.iter().any(|known| is_in(&known))
    }

    /// Whether the list has more than what was found.
    pub fn has_others(&self, found: &[Cycle]) -> bool {
        self.0.iter().any(|known| !found.contains(known))
    }

    /// The list of today's cycles. Members may have other names, as they do when a file is renamed.
    ///
    /// Errors if there are more of them than before.
    pub fn reduce(&self, found: Vec<Cycle>) -> anyhow::Result<Self> {
        let found = Self(found);
        let (now, before) = (found.members(), self.members());
        ensure!(
            now <= before,
            "{now} modules and files are in cycles, {before} were: remove the new ones that `cargo xtask cycles` prints"
        );
        Ok(found)
    }

    fn members(&self) -> usize {
        self.0.iter().map(|cycle| cycle.members.len()).sum()
    }

    /// Writes `xtask/cycles.txt`.
    pub fn write(&self) -> anyhow::Result<()> {
        let mut text = String::new();
        for Cycle { package, members } in &self.0 {
            writeln!(text, "{package}: {}", members.join(", "))?;
        }
        fs::write(root().join(FILE), text).with_context(|| format!("cannot write {FILE}"))?;
        println!("{FILE}: {} cycles", self.0.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_only_gets_shorter() {
        let known = Known::parse("one: a.rs, b.rs, c.rs\n").unwrap();
        let cycles = |text| Known::parse(text).unwrap().0;
        assert!(known.has(&cycles("one: a.rs, c.rs\n")[0]));
        assert!(!known.has(&cycles("two: a.rs, c.rs\n")[0]));
        assert!(!known.has(&cycles("one: a.rs, d.rs\n")[0]));
        assert!(known.has_others(&[]));
        assert_eq!(
            known.reduce(cycles("one: a.rs, d.rs\n")).unwrap().members(),
            2
        );
        assert!(
            known
                .reduce(cycles("one: a, b\none: a.rs, b.rs\n"))
                .is_err()
        );
    }
}
