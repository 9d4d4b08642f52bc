//! The form of commit subjects: `area: Imperative summary`.

use anyhow::{Context, bail};
use regex::Regex;

use crate::git;

/// The last commit before subjects had this form.
const LAST_WITHOUT_FORM: &str = "55b22b0323ae597952bcf01a3ddd96862fb66e0c";
const LONGEST: usize = 72;
/// Area: a crate or folder.
const FORM: &str = "^[a-z][a-z0-9-]*: [A-Z][^ ]* .*[^. ]$";

/// Checks the subject of every commit since the form exists, merges excepted.
pub fn check() -> anyhow::Result<()> {
    let ancestor = ["merge-base", "--is-ancestor", LAST_WITHOUT_FORM, "HEAD"];
    if !git::git(&ancestor)?.status.success() {
        println!("skipped: commit {LAST_WITHOUT_FORM} is not in the history of this clone");
        return Ok(());
    }
    let range = format!("{LAST_WITHOUT_FORM}..HEAD");
    let log = git::output(&["log", "--no-merges", "--format=%h %s", &range])?;
    let form = Regex::new(FORM).context("the form is a regular expression")?;
    let mut wrong = 0;
    for line in log.lines() {
        let (commit, subject) = line.split_once(' ').unwrap_or((line, ""));
        if let Some(fault) = fault(subject, &form) {
            println!("{commit} {subject}: {fault}");
            wrong += 1;
        }
    }
    if wrong > 0 {
        bail!(
            "{wrong} commit subjects are not `area: Imperative summary` of at most {LONGEST} characters"
        );
    }
    println!("{} commit subjects have the form", log.lines().count());
    Ok(())
}

fn fault(subject: &str, form: &Regex) -> Option<String> {
    let length = subject.chars().count();
    if length > LONGEST {
        return Some(format!("{length} characters"));
    }
    (!form.is_match(subject)).then(|| "not of the form".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_have_an_area_and_a_short_summary() {
        let form = Regex::new(FORM).unwrap();
        let is_right = |subject: &str| fault(subject, &form).is_none();
        assert!(is_right("engine: Give one name to one thing"));
        assert!(is_right("wukong-api: Reject `disks` without a size"));
        assert!(!is_right("Engine: Give one name to one thing"));
        assert!(!is_right("engine: give one name to one thing"));
        assert!(!is_right("engine: Give one name to one thing."));
        assert!(!is_right("The release profile is for size"));
        assert!(!is_right(&format!(
            "engine: Give {}",
            "name ".repeat(20).trim()
        )));
    }
}
