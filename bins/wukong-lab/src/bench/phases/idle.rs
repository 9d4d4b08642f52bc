//! The operator before the first Wukongs: its start, the change of the leader, its memory.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::metrics::Metrics;
use super::{Bench, IDLE_BYTES, MIB, SETTLED_DEADLINE, SETTLES};
use crate::Operator;
use crate::bench::bare::Prepared;
use crate::bench::costs::Memory;
use crate::bench::fleet::Created;
use crate::bench::lifecycles::is_ours;
use crate::bench::row::{Row, Unit};

impl Bench<'_> {
    /// Starts the operator; takes over between replicas if times are measured; its memory without Wukongs.
    pub(super) async fn idle(&mut self) -> Result<Operator> {
        let started = Instant::now();
        let task = self.progress.task("Starting the operator");
        let mut operator = self.start("first").await?;
        until_leader(&operator).await?;
        let leads = started.elapsed();
        if !self.settings.counts_only {
            let bytes = std::fs::metadata(&self.settings.operator)?.len();
            self.rows.push(Row::at_most(
                "A9",
                "size of the operator's program",
                8.0 * MIB,
                bytes as f64,
                Unit::Bytes,
            ));
            self.rows.push(Row::plain(
                "A9",
                "start -> leader",
                leads.as_secs_f64(),
                Unit::Seconds,
            ));
            let standby = self.standby("second").await?;
            let stopped = Instant::now();
            let (ended, led) = tokio::join!(operator.stop(), until_leader(&standby));
            ended?;
            led?;
            let handed_over = stopped.elapsed().as_secs_f64();
            self.rows.push(Row::at_most(
                "A9",
                "SIGTERM -> the standby leads",
                0.5,
                handed_over,
                Unit::Seconds,
            ));
            operator = self.standby("third").await?;
            let killed = Instant::now();
            standby.kill().await?;
            until_leader(&operator).await?;
            let taken_over = killed.elapsed().as_secs_f64();
            self.rows.push(Row::at_most(
                "A9",
                "SIGKILL -> the standby leads",
                6.0,
                taken_over,
                Unit::Seconds,
            ));
        }
        operator.ready().await?;
        tokio::time::sleep(SETTLES).await;
        let memory = Memory::of(operator.process().pid())?;
        self.rows.push(Row::at_most(
            "A6",
            "memory when idle",
            IDLE_BYTES,
            memory.resident as f64,
            Unit::Bytes,
        ));
        task.done("the operator is idle");
        self.ended("idle", started);
        Ok(operator)
    }

    /// The first Wukong: the neighbours record it, and the bare client repeats its objects.
    pub(super) async fn specimen(&mut self, operator: &Operator) -> Result<(Created, Prepared)> {
        let space = self.fleet.namespace("specimen").await?;
        let specimen = self.fleet.one(&space).await?;
        self.all_run(operator, "the first Wukong").await?;
        let audit = self.lab.audit();
        audit
            .wait_quiet(audit.mark(), SETTLES, SETTLED_DEADLINE, is_ours)
            .await?;
        let prepared = Prepared::of(&self.admin, specimen.clone()).await?;
        Ok((specimen, prepared))
    }
}

/// Waits until an operator leads.
async fn until_leader(operator: &Operator) -> Result<()> {
    let patience = Duration::from_secs(60);
    let leads = async {
        loop {
            let metrics = operator.get("/metrics").await.unwrap_or_default();
            if Metrics(metrics).value("wukong_leader") == Some(1.0) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(patience, leads)
        .await
        .context("the operator does not lead within a minute")
}
