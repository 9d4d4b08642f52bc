//! A question before a change.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::bail;

/// Asks, and returns whether the answer is yes.
///
/// # Errors
/// There is no terminal to ask on.
pub(super) fn confirmed(question: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("standard input is not a terminal: confirm with --yes");
    }
    let mut out = anstream::stderr();
    write!(out, "{question} [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
