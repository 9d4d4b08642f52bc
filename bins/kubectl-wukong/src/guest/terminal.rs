//! The user's terminal, in raw mode while the guest's console has it.

use std::io::IsTerminal;
use std::panic;

use anyhow::Context;
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

/// Raw mode: every key goes to the guest, also Ctrl-C. Dropping it gives the terminal back as it was.
pub struct Raw(());

impl Raw {
    /// Switches to raw mode. `None` when standard input is no terminal.
    pub fn enable() -> anyhow::Result<Option<Self>> {
        if !std::io::stdin().is_terminal() {
            return Ok(None);
        }
        enable_raw_mode().context("the terminal cannot be put into raw mode")?;
        // A panic ends a release build without dropping anything.
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
        // Nothing is left to be done when the terminal is gone.
        let _ = disable_raw_mode();
    }
}

/// Comes when the process is asked to end.
#[cfg(unix)]
pub async fn told_to_end() -> std::io::Result<()> {
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

/// Comes when the process is asked to end.
#[cfg(not(unix))]
pub async fn told_to_end() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
