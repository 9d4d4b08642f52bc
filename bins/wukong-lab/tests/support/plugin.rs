//! The kubectl plugin, run against a cluster of the tests.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::{SHIM, Space};

/// The plugin of this source tree. `WUKONG_PLUGIN_BIN` names one that is there already.
async fn binary() -> &'static Path {
    static BINARY: OnceCell<PathBuf> = OnceCell::const_new();
    BINARY
        .get_or_init(|| async {
            if let Some(binary) = std::env::var_os("WUKONG_PLUGIN_BIN") {
                return binary.into();
            }
            let profile = Path::new(SHIM).parent().unwrap();
            let status = Command::new("cargo")
                .args([
                    "build",
                    "--quiet",
                    "--package",
                    "kubectl-wukong",
                    "--target-dir",
                ])
                .arg(profile.parent().unwrap())
                .current_dir(wukong_lab::manifests::repository(""))
                .status()
                .await
                .unwrap();
            assert!(status.success());
            profile.join("kubectl-wukong")
        })
        .await
}

/// The plugin, about to run in a space. It dies with the test.
pub async fn command(space: &Space<'_>, args: &[&str]) -> Command {
    let mut command = Command::new(binary().await);
    // Behind the subcommand: what follows `--` is not the plugin's.
    command
        .args(&args[..1])
        .args(["-n", &space.name])
        .args(&args[1..])
        .env("KUBECONFIG", space.lab.kubeconfig())
        .kill_on_drop(true);
    command
}

/// Exit code, standard output and error.
pub async fn run(space: &Space<'_>, args: &[&str]) -> (i32, String, String) {
    let output = command(space, args).await.output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// What `doctor` says.
pub async fn doctor(space: &Space<'_>, args: &[&str]) -> Value {
    let (_, out, err) = run(space, &[&["doctor", "-o", "json"], args].concat()).await;
    serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"))
}
