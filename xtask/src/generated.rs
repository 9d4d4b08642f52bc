//! Files that are made from something else, and committed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default()
}

/// Writes a file below the root, or, with `check`, fails if the file differs.
pub fn write(path: &Path, content: &str, check: bool) -> anyhow::Result<()> {
    let file = root().join(path);
    let shown = path.display();
    if fs::read_to_string(&file).is_ok_and(|old| old == content) {
        println!("{shown} is up to date");
        return Ok(());
    }
    if check {
        bail!(
            "{shown} is out of date: run `cargo xtask gen-crds` and `gen-docs`, and commit the result"
        );
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    fs::write(&file, content).with_context(|| format!("cannot write {shown}"))?;
    println!("{shown} written");
    Ok(())
}
