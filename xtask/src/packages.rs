//! Whether the libraries could be published as they are.

use std::fs;

use anyhow::ensure;
use serde_json::Value;

use crate::command::cargo;
use crate::dependencies::{self, LIBRARIES};
use crate::generated;

/// What a registry, and the users who read it, want to know of a package.
const WANTED: [&str; 5] = ["description", "license", "readme", "keywords", "categories"];

/// Packages every library, without asking a registry and without building it a second time.
pub fn check() -> anyhow::Result<()> {
    let metadata = dependencies::metadata()?;
    let mut arguments = vec![
        "package",
        "--quiet",
        "--offline",
        "--no-verify",
        "--allow-dirty",
        "--locked",
    ];
    for (library, _) in LIBRARIES {
        let package = dependencies::package(&metadata, library)?;
        for field in WANTED {
            let value = package.get(field).unwrap_or(&Value::Null);
            let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            ensure!(!empty, "{library} has no {field}");
        }
        // It is what `cargo doc` begins with, and its example is run by `cargo test`.
        let root =
            fs::read_to_string(generated::root().join(format!("crates/{library}/src/lib.rs")))?;
        ensure!(
            root.starts_with("#![doc = include_str!(\"../README.md\")]"),
            "the documentation of {library} does not begin with its README.md"
        );
        arguments.extend(["-p", library]);
    }
    cargo(&arguments)?;
    println!("{} libraries can be packaged", LIBRARIES.len());
    Ok(())
}
