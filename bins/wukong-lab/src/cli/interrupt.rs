//! The end of the command by a signal.

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

/// Completes when this process has to end: Ctrl-C, SIGTERM, or the terminal is gone.
pub(super) async fn interrupted() -> Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => outcome?,
        _ = term.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}
