//! What the kubectl plugin costs in a cluster of this size.

use std::fs;
use std::path::Path;

use anyhow::Result;
use tokio::process::Command;

use super::costs;
use super::fleet::{self, Created};
use super::row::{Row, Unit};
use crate::Lab;

const MIB: f64 = 1024.0 * 1024.0;

/// One command, its goals, and the exit codes with which it works.
struct Case<'a> {
    figure: &'static str,
    args: Vec<&'a str>,
    seconds: f64,
    bytes: f64,
    codes: &'static [i32],
}

/// Runs each command that reads the cluster once, for one Wukong of it or for one more.
pub async fn measure(lab: &Lab, plugin: &Path, wukong: &Created) -> Result<Vec<Row>> {
    let manifest = lab.dir().join("one-more.json");
    fs::write(&manifest, fleet::manifest(&wukong.namespace))?;
    let manifest = manifest.to_string_lossy();
    let case = |figure, args, seconds, mebibytes, codes| Case {
        figure,
        args,
        seconds,
        bytes: mebibytes * MIB,
        codes,
    };
    let named = |command| vec![command, "-n", &wukong.namespace, &wukong.name];
    let with_file = |command| vec![command, "-f", &*manifest];
    let cases = [
        case("doctor NAME", named("doctor"), 1.0, 64.0, &[0]),
        case("list -A", vec!["list", "-A"], 2.0, 128.0, &[0]),
        case("plan -f FILE", with_file("plan"), 1.0, 64.0, &[0, 2]),
        case(
            "preflight -f FILE",
            with_file("preflight"),
            1.0,
            64.0,
            &[0, 1],
        ),
    ];
    let mut rows = Vec::new();
    for case in cases {
        let mut command = Command::new(plugin);
        command.args(&case.args).env("KUBECONFIG", lab.kubeconfig());
        let run = costs::run(&mut command, case.codes).await?;
        let time = Row::at_most(
            "A11",
            case.figure,
            case.seconds,
            run.took.as_secs_f64(),
            Unit::Seconds,
        );
        let peak = format!("{}: peak memory", case.figure);
        let peak = Row::at_most("A11", &peak, case.bytes, run.peak as f64, Unit::Bytes);
        rows.extend([time, peak]);
    }
    Ok(rows)
}
