//! The terminal of the user, in raw mode during a console session.

use std::io::IsTerminal;
use std::panic;

use anyhow::Context;
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

/// Raw mode: every key goes to the guest, including Ctrl-C. Drop restores the terminal.
pub struct Raw(());

impl Raw {
    /// Enables raw mode; returns `None` if standard input is not a terminal.
    pub fn enable() -> anyhow::Result<Option<Self>> {
        if !std::io::stdin().is_terminal() {
            return Ok(None);
        }
        enable_raw_mode().context("cannot put the terminal into raw mode")?;
        // A panic aborts a release build without a drop.
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let _ = disable_raw_mode();
            default(info);
        }));
        Ok(Some(Self(())))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is closed cannot be restored.
        let _ = disable_raw_mode();
    }
}

/// Completes on a signal that ends the process.
#[cfg(unix)]
pub async fn terminated() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
        _ = quit.recv() => {}
    }
    Ok(())
}

/// Completes on a signal that ends the process.
#[cfg(not(unix))]
pub async fn terminated() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
