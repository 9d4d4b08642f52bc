//! Problems of a manifest, collected to be reported at once.

use std::fmt;

/// Problem of a manifest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Path of the field, such as `spec.disks[1].size`.
    pub path: String,
    /// Rule that is broken, and the value to write instead.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// All problems of a manifest, in the order of its fields.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct InvalidWukong {
    /// Never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for InvalidWukong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// Collects problems on the way down.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem {
            path: path.into(),
            message: message.into(),
        });
    }

    /// Adds the problem when there is one; the value when there is none.
    pub(super) fn check<T>(&mut self, path: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.add(path, message)).ok()
    }
}
