//! Where a lab keeps its files, and how a running lab differs from one that is gone.
//!
//! Every lab has a directory of its own under one root per user, and holds a lock on a file in it as long as it lives.
//! If the lock of a directory is free, its lab is gone, however it went.

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

const LOCK: &str = "lock";
const LAST_FAILURE: &str = "last-failure";
/// etcd of a large test grows to some hundred megabytes; containers often give /dev/shm only 64.
const RAM_NEEDED: u64 = 1 << 30;

/// The directory of a running lab. Dropping it removes it.
#[derive(Debug)]
pub struct LabDir {
    path: PathBuf,
    ram: Option<PathBuf>,
    _locks: Vec<File>,
}

impl LabDir {
    /// Makes a new directory for a lab called `name`, and removes the directories of labs that are gone.
    pub fn create(name: &str) -> Result<Self> {
        let root = root()?;
        let ram_root = ram_root();
        // Between making a directory and locking it, it looks dead. Labs of one user share the memory, also when their
        // temporary directories differ.
        let guards = [Some(&root), ram_root.as_ref()].into_iter().flatten();
        let _guards: Vec<File> = guards
            .map(|root| locked(&root.join(".lock")))
            .collect::<Result<_>>()?;
        for root in [Some(&root), ram_root.as_ref()].into_iter().flatten() {
            remove_dead(root)?;
        }
        let path = tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .tempdir_in(&root)?
            .keep();
        let mut locks = vec![locked(&path.join(LOCK))?];
        let id = path.file_name().context("a lab directory has a name")?;
        let ram = ram_root.map(|ram_root| ram_root.join(id));
        if let Some(ram) = &ram {
            private_dir(ram)?;
            locks.push(locked(&ram.join(LOCK))?);
        }
        fs::create_dir(path.join("logs"))?;
        Ok(Self {
            path,
            ram,
            _locks: locks,
        })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A place for data that should be fast and may be lost: in memory where that is possible.
    pub fn scratch(&self) -> &Path {
        self.ram.as_deref().unwrap_or(&self.path)
    }

    /// The log file of a process.
    pub fn log(&self, process: &str) -> PathBuf {
        self.path.join("logs").join(format!("{process}.log"))
    }

    /// Puts the logs where they outlive this lab and the next, until another one fails. Returns the place.
    pub fn keep_logs(&self) -> Result<PathBuf> {
        let kept = root()?.join(LAST_FAILURE);
        if kept.exists() {
            fs::remove_dir_all(&kept)?;
        }
        fs::rename(self.path.join("logs"), &kept)?;
        Ok(kept)
    }
}

impl Drop for LabDir {
    fn drop(&mut self) {
        // The next lab removes what this one cannot.
        let _ = fs::remove_dir_all(&self.path);
        if let Some(ram) = &self.ram {
            let _ = fs::remove_dir_all(ram);
        }
    }
}

/// The directories of the running labs.
pub fn living() -> Result<Vec<PathBuf>> {
    let mut living = Vec::new();
    for dir in lab_dirs(&root()?)? {
        if !is_dead(&dir) {
            living.push(dir);
        }
    }
    Ok(living)
}

/// Whether the lab of this directory is gone.
pub fn is_dead(dir: &Path) -> bool {
    match File::open(dir.join(LOCK)) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(_) => true,
    }
}

/// The directory in which the labs of this user have theirs.
pub fn root() -> Result<PathBuf> {
    let root = std::env::temp_dir().join(format!("wukong-lab-{}", uid()));
    private_dir(&root)?;
    Ok(root)
}

fn ram_root() -> Option<PathBuf> {
    let shm = Path::new("/dev/shm");
    let space = rustix::fs::statvfs(shm).ok()?;
    if space.f_bavail.saturating_mul(space.f_frsize) < RAM_NEEDED {
        return None;
    }
    let root = shm.join(format!("wukong-lab-{}", uid()));
    private_dir(&root).ok()?;
    Some(root)
}

/// Removes the directory. If a process that is just being killed still writes there, the next lab removes the rest.
fn remove_dead(root: &Path) -> Result<()> {
    for dir in lab_dirs(root)? {
        if is_dead(&dir) {
            let _ = fs::remove_dir_all(&dir);
        }
    }
    Ok(())
}

/// The file, locked as long as it is open.
fn locked(path: &Path) -> Result<File> {
    let file = File::create(path)?;
    file.lock()?;
    Ok(file)
}

fn lab_dirs(root: &Path) -> Result<Vec<PathBuf>> {
    let mut dirs = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && entry.file_name() != LAST_FAILURE {
            dirs.push(entry.path());
        }
    }
    dirs.sort();
    Ok(dirs)
}

/// Makes a directory that only this user can read: it will hold tokens. A foreign one of that name is refused.
fn private_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)?;
    let owner = fs::symlink_metadata(path)?;
    ensure!(
        owner.is_dir() && owner.uid() == uid(),
        "{} belongs to another user",
        path.display()
    );
    Ok(())
}

fn uid() -> u32 {
    rustix::process::getuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_is_living_until_it_is_dropped() {
        let lab = LabDir::create("dirs-test").unwrap();
        let path = lab.path().to_owned();
        let scratch = lab.scratch().to_owned();
        assert!(living().unwrap().contains(&path));
        drop(lab);
        assert!(!path.exists() && !scratch.exists());
    }

    #[test]
    fn the_next_lab_removes_what_a_dead_one_left() {
        let dead = root().unwrap().join("dirs-test-dead");
        fs::create_dir_all(&dead).unwrap();
        File::create(dead.join(LOCK)).unwrap();
        let _lab = LabDir::create("dirs-test").unwrap();
        assert!(!dead.exists());
    }
}
