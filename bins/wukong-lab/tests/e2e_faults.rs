//! A fault at any request of the operator leaves no trace.

#![allow(clippy::unwrap_used)]

use wukong_lab::Progress;
use wukong_lab::faults::{Choice, Plan, campaign};

/// A part with a fixed seed: five requests of each scenario, and each kind of fault. `cargo lab faults` tries one kind at each
/// request, and `cargo lab faults --all` each kind.
#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_a_request_leaves_the_objects_of_a_run_without_faults() {
    let plan = Plan {
        scenarios: Vec::new(),
        choice: Choice::Sample(5),
        at: None,
        seed: 1,
        jobs: 12,
        shim: Some(env!("CARGO_BIN_EXE_wukong-lab").into()),
    };
    let report = campaign(&plan, &Progress::stderr()).await.unwrap();
    println!("{report}");
    assert!(report.passed(), "{report}");
}
