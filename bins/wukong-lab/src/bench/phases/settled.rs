//! A cluster in which nothing changes, another operator process on it, and Wukongs that cannot run.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Bench, MEDIAN, SETTLED_DEADLINE, SETTLES, Unloaded, seconds};
use crate::Operator;
use crate::bench::bare::Bare;
use crate::bench::costs::{Memory, cpu_time};
use crate::bench::lifecycles::{between, is_ours, percentile};
use crate::bench::row::{Limit, Row, Unit};
use crate::cluster::audit::Requests;
use crate::cluster::operator::USER;

/// When failing Wukongs are observed after their creation, and for how long. The back-off doubles from one second, so each
/// has a retry in that time: a shorter one can lie between two retries of all.
const BACKS_OFF: Duration = Duration::from_secs(35);
const RETRIES: Duration = Duration::from_secs(60);
/// Requests with a longer pause between them belong to different retries.
const ONE_RETRY: Duration = Duration::from_secs(5);

impl Bench<'_> {
    /// A2 and A6: a cluster in which nothing changes.
    pub(super) async fn steady(&mut self, operator: &Operator) -> Result<()> {
        let started = Instant::now();
        let task = self.progress.task("Observing the settled cluster");
        let audit = self.lab.audit();
        audit
            .wait_quiet(audit.mark(), SETTLES, SETTLED_DEADLINE, is_ours)
            .await?;
        let mark = audit.mark();
        let before = cpu_time(operator.process().pid())?;
        tokio::time::sleep(self.settings.steady).await;
        let asked = audit.since(mark)?.filter(is_ours).len() as f64;
        let cpu = cpu_time(operator.process().pid())?.saturating_sub(before);
        let seconds = self.settings.steady.as_secs();
        let row = Row::at_most("A2", "requests in steady state", 0.0, asked, Unit::Count);
        self.rows.push(row.detail(format!("in {seconds} s")));
        let share = cpu.as_secs_f64() / self.settings.steady.as_secs_f64();
        let row = Row::plain("A2", "CPU time in steady state", share, Unit::Seconds);
        self.rows.push(row.detail("each second"));
        let memory = Memory::of(operator.process().pid())?;
        self.memory("memory after the creations", memory);
        let peak = memory.peak as f64 / memory.resident as f64;
        self.rows.push(Row::at_most(
            "A6",
            "peak to steady memory",
            1.3,
            peak,
            Unit::Ratio,
        ));
        task.done("the settled cluster was observed");
        self.ended("steady", started);
        Ok(())
    }

    /// A2, A6 and A7: another operator process on the same cluster.
    pub(super) async fn restart(
        &mut self,
        operator: Operator,
        bare: &Bare,
        unloaded: Option<&Unloaded>,
    ) -> Result<Operator> {
        let started = Instant::now();
        let task = self.progress.task("Restarting the operator");
        operator.stop().await?;
        let audit = self.lab.audit();
        let mark = audit.mark();
        let restarted = Instant::now();
        let operator = self.start("restarted").await?;
        let wukongs = self.fleet.count() as f64;
        self.until(&operator, "all Wukongs are reconciled", |metrics| {
            metrics.reconciles() >= wukongs && metrics.value("wukong_queue_depth") == Some(0.0)
        })
        .await?;
        let cold = restarted.elapsed();
        let asked = audit
            .wait_quiet(mark, SETTLES, SETTLED_DEADLINE, is_ours)
            .await?;
        self.rows.push(Row::at_most(
            "A2",
            "writes after a restart",
            0.0,
            asked.clone().writes().len() as f64,
            Unit::Count,
        ));
        let others = asked.filter(|request| !request.is_write()).len() as f64;
        self.rows.push(Row::at_most(
            "A2",
            "other requests after a restart",
            0.0,
            others,
            Unit::Count,
        ));
        self.memory(
            "memory after a restart",
            Memory::of(operator.process().pid())?,
        );
        if let Some(unloaded) = unloaded {
            let watched = audit
                .since(mark)?
                .filter(|request| request.user == USER && request.is_watch());
            let mut lists = Vec::new();
            for _ in 0..3 {
                lists.push(bare.lists(&watched).await?);
            }
            let lists = percentile(&lists, MEDIAN);
            let ratio = cold.as_secs_f64() / lists.as_secs_f64();
            let detail = format!("{} to {}", seconds(cold), seconds(lists));
            // Below that size, the time is that of the election and of the discovery.
            let limit = if self.settings.size.wukongs < 10_000 {
                Limit::None
            } else {
                Limit::AtMost(1.3)
            };
            let row = Row::new(
                "A7",
                "cold start to bare LISTs",
                limit,
                Some(ratio),
                Unit::Ratio,
            );
            self.rows.push(row.detail(detail));
            let call = percentile(&unloaded.bare_apply, MEDIAN).as_secs_f64();
            if let Some(leads) = self
                .rows
                .iter_mut()
                .find(|row| row.figure == "start -> leader")
            {
                let calls = leads.measured.unwrap_or_default() / call;
                let detail = format!("{}, in bare applies", leads.value());
                *leads =
                    Row::at_most("A9", "start -> leader", 20.0, calls, Unit::Count).detail(detail);
            }
        }
        task.done("the restarted operator knows all Wukongs");
        self.ended("restart", started);
        Ok(operator)
    }

    /// A8: Wukongs that can never run, because another object has the name of their Secret.
    pub(super) async fn failing(&mut self, operator: &Operator) -> Result<()> {
        let started = Instant::now();
        let count = (self.settings.size.wukongs / 10).max(10);
        let task = self
            .progress
            .task(format!("Observing {count} failing Wukongs"));
        self.fleet.failing(count, "failing").await?;
        self.failing += count;
        let blocked = "wukong_vms_blocked{reason=\"NameConflict\"";
        self.until(operator, "the conflicts are reported", |metrics| {
            metrics.sum(blocked) == count as f64
        })
        .await?;
        tokio::time::sleep(BACKS_OFF).await;
        operator.process().check()?;
        let audit = self.lab.audit();
        let mark = audit.mark();
        tokio::time::sleep(RETRIES).await;
        let asked = audit.since(mark)?.filter(is_ours);
        let retries = retries(&asked);
        let (asked, count) = (asked.len() as f64, count as f64);
        let each = (retries > 0).then_some(asked / retries as f64);
        let figure = "requests for a retry of a failing Wukong";
        let row = Row::new("A8", figure, Limit::AtMost(1.0), each, Unit::Count);
        self.rows.push(row.detail(format!("{retries} retries")));
        // The back-off of a name conflict grows to ten minutes, so this rate is not the final one.
        let rate = asked / RETRIES.as_secs_f64() / count * 1000.0;
        let figure = "requests for 1,000 failing Wukongs, back-off still growing";
        self.rows
            .push(Row::plain("A8", figure, rate, Unit::PerSecond));
        task.done("the failing Wukongs were observed");
        self.ended("failing", started);
        Ok(())
    }
}

/// The number of retries: requests for one Secret, one shortly after the other, are one.
fn retries(requests: &Requests) -> usize {
    let mut last = BTreeMap::new();
    let mut found = 0;
    for request in requests.clone().writes().resource("secrets").iter() {
        let secret = (request.namespace.clone(), request.name.clone());
        let before = last.insert(secret, request.logged);
        let pause = before.and_then(|before| between(before, request.logged));
        if pause.is_none_or(|pause| pause > ONE_RETRY) {
            found += 1;
        }
    }
    found
}
