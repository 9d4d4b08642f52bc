//! Opens the page in the browser of a desktop.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::session::Secret;

/// A file that leads the browser to the page, until it is dropped. Other users of the machine see the arguments of the browser,
/// and so must not see the token: it is in a file that only its owner can read.
pub struct Redirect(PathBuf);

impl Redirect {
    /// Opens the browser; `None` without a desktop.
    pub fn open(url: &str) -> Option<Self> {
        let program = program()?;
        let name = format!("wukong-ui-{}.html", Secret::random().ok()?.text());
        let path = std::env::temp_dir().join(name);
        let redirect = write(&path, url).ok()?;
        let mut command = Command::new(program);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.arg(&path).spawn().ok()?;
        Some(redirect)
    }
}

impl Drop for Redirect {
    fn drop(&mut self) {
        // Another program may have removed it.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn write(path: &Path, url: &str) -> std::io::Result<Redirect> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    let redirect = Redirect(path.to_owned());
    writeln!(
        file,
        "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=\"0; url={url}\"><a href=\"{url}\">Wukong</a>"
    )?;
    Ok(redirect)
}

/// Returns the program that opens a file.
fn program() -> Option<&'static str> {
    if cfg!(target_os = "macos") {
        return Some("open");
    }
    if cfg!(windows) {
        return Some("explorer");
    }
    let desktop = ["DISPLAY", "WAYLAND_DISPLAY"];
    let desktop = desktop
        .iter()
        .any(|variable| std::env::var_os(variable).is_some_and(|value| !value.is_empty()));
    desktop.then_some("xdg-open")
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_its_owner_reads_the_redirect_and_it_does_not_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.html");
        let redirect = write(&path, "http://127.0.0.1:1/#token=x").unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(redirect);
        assert!(!path.exists());
    }
}
