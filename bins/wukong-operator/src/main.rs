//! The operator binary.

use anyhow::Result;
use clap::Parser;
use wukong_operator::run::run;
use wukong_operator::settings::Settings;

fn main() -> Result<()> {
    let settings = Settings::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(run(settings));
    // No remaining task has to finish.
    runtime.shutdown_background();
    outcome
}
