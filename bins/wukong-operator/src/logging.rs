//! Logs.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use crate::settings::LogFormat;

/// Starts logging to standard error.
///
/// # Errors
/// If the filter is malformed.
pub fn init(format: LogFormat, level: &str) -> Result<()> {
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter(level)?))
        .try_init()
        .context("logging")
}

/// Disables the client library unless the filter names it: it logs whole objects that it cannot decode, and these can
/// contain passwords. We receive its errors anyway.
fn filter(level: &str) -> Result<Targets> {
    let unnamed = ["kube_client", "kube_runtime"]
        .into_iter()
        .filter(|library| !level.contains(library));
    let filter = unnamed.fold(level.to_owned(), |filter, library| {
        format!("{filter},{library}=off")
    });
    filter
        .parse()
        .with_context(|| format!("--log-level {level}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_filters_are_accepted_and_invalid_ones_rejected() {
        assert!(filter("debug").is_ok());
        assert!(filter("info,wukong_operator=trace").is_ok());
        assert!(filter("wukong_operator=loud").is_err());
        for level in ["debug", "info,wukong_operator=debug"] {
            assert!(
                filter(level)
                    .unwrap()
                    .to_string()
                    .contains("kube_client=off")
            );
        }
        assert!(
            !filter("kube_client=debug")
                .unwrap()
                .to_string()
                .contains("kube_client=off")
        );
    }
}
