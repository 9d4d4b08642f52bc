//! `cargo lab bench` counts what the operator promises: the requests for a VM, none afterwards, no writes after a restart.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::time::Duration;

use wukong_lab::Progress;
use wukong_lab::bench;
use wukong_lab::bench::report::{Run, Size};
use wukong_lab::bench::settings::Settings;
use wukong_lab::cluster::programs;

/// Objects of each VM: the VirtualMachine, two disks, the network, the Secret.
const CHILDREN: f64 = 5.0;

async fn counted() -> Run {
    let progress = Progress::stderr();
    let settings = Settings {
        size: Size {
            wukongs: 100,
            nodes: 3,
            foreign: 100,
        },
        shim: env!("CARGO_BIN_EXE_wukong-lab").into(),
        operator: programs::OPERATOR.built(&progress).await.unwrap().into(),
        plugin: None,
        steady: Duration::from_secs(5),
        counts_only: true,
    };
    bench::run(&settings, &progress).await.unwrap()
}

#[tokio::test]
async fn a_hundred_vms_cost_their_children_and_three_writes_each_and_nothing_afterwards() {
    let run = counted().await;
    let value = |goal, figure| {
        let value = run.value(goal, figure);
        value.unwrap_or_else(|| panic!("no {figure} in\n{}", run.table(None)))
    };
    // The counts are of something: every VM has its children, and a status that reports that it runs.
    assert_eq!(
        value("A1", "Wukongs with a complete way in the audit log"),
        99.0
    );
    assert!(value("A1", "writes for one VM, mean") > CHILDREN + 1.0);
    assert!(value("A1", "events for one VM, mean") > 0.0);
    for (goal, figure, most) in [
        ("A1", "writes of children for one VM, most", CHILDREN),
        ("A1", "status writes for one VM without progress, most", 3.0),
        ("A1", "events for one VM, mean", 3.0),
        ("A1", "GETs", 0.0),
        ("A2", "requests in steady state", 0.0),
        ("A2", "writes after a restart", 0.0),
        ("A2", "other requests after a restart", 0.0),
    ] {
        let measured = value(goal, figure);
        let table = run.table(None);
        assert!(measured <= most, "{table}\n{figure}: {measured} > {most}");
    }
}
