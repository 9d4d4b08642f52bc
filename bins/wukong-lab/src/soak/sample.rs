//! What the operator's process holds at the end of a round.

use std::fs;

use anyhow::Result;

use crate::Operator;
use crate::bench::costs::Memory;

/// What the operator's process holds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// Resident memory in bytes.
    pub memory: u64,
    /// Open file descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
    /// Wukongs that wait to be reconciled.
    pub queued: f64,
}

impl Sample {
    /// Measures a running operator.
    pub(super) async fn of(operator: &Operator) -> Result<Self> {
        let pid = operator.process().pid();
        let count = |of: &str| anyhow::Ok(fs::read_dir(format!("/proc/{pid}/{of}"))?.count());
        let metrics = operator.get("/metrics").await?;
        let queued = metrics
            .lines()
            .find_map(|line| line.strip_prefix("wukong_queue_depth "));
        Ok(Self {
            memory: Memory::of(pid)?.resident,
            descriptors: count("fd")?,
            threads: count("task")?,
            queued: queued
                .and_then(|value| value.parse().ok())
                .unwrap_or_default(),
        })
    }
}
