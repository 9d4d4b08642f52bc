//! The end of the command by a signal.

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

/// Completes on Ctrl-C, on SIGTERM, or when the terminal closes.
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
