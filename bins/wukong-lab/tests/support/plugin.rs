//! The kubectl plugin, run against a cluster of the tests.

use serde_json::Value;
use tokio::process::Command;
use wukong_lab::Progress;
use wukong_lab::cluster::programs;

use super::Space;

/// The plugin, about to run in a space. It dies with the test.
pub async fn command(space: &Space<'_>, args: &[&str]) -> Command {
    let plugin = programs::PLUGIN.built(&Progress::stderr()).await.unwrap();
    let mut command = Command::new(plugin);
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
