//! How long the operator takes, compared with a bare client: alone, at half load, and beside a burst.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Bench, MEDIAN, MOST, POLL, SETTLED_DEADLINE, SETTLES, Unloaded, ratio};
use crate::Operator;
use crate::bench::bare::{self, Bare};
use crate::bench::costs::cpu_time;
use crate::bench::lifecycles::{self, Lifecycle, between, durations, is_ours};
use crate::bench::row::{Row, Unit};
use crate::cluster::audit::{Request, Requests};

/// How long a disk or VM takes from one stage to the next in an unloaded cluster. Longer than the operator's window of a second.
const STARTS: Duration = Duration::from_millis(1500);
/// Between two Wukongs beside a burst.
const PROBE: Duration = Duration::from_secs(1);

impl Bench<'_> {
    /// Wukongs one after the other, each followed by a bare apply of its VirtualMachine, and by a repair.
    pub(super) async fn one_by_one(
        &mut self,
        operator: &Operator,
        bare: &Bare,
        count: usize,
    ) -> Result<Unloaded> {
        let (started, mark) = (Instant::now(), self.lab.audit().mark());
        let space = self.fleet.namespace("single").await?;
        self.neighbours.pause(STARTS);
        let mut created = Vec::new();
        for _ in 0..count {
            created.push(self.fleet.one(&space).await?);
            self.all_run(operator, "a single Wukong").await?;
            self.bare_apply(bare).await?;
        }
        let audit = self.lab.audit();
        audit
            .wait_quiet(audit.mark(), SETTLES, SETTLED_DEADLINE, is_ours)
            .await?;
        self.neighbours.pause(Duration::ZERO);
        let requests = audit.since(mark)?;
        let drifted = audit.mark();
        for wukong in &created {
            bare::disturb(&self.admin, wukong).await?;
            tokio::time::sleep(POLL).await;
        }
        audit
            .wait_quiet(drifted, Duration::from_secs(2), SETTLED_DEADLINE, is_ours)
            .await?;
        let changes = audit.since(drifted)?;
        let repaired = repairs(&changes);
        ensure!(
            repaired.len() == count,
            "{} of {count} changed children were repaired",
            repaired.len()
        );

        let found = lifecycles::read(&requests);
        let bare_apply = bare_durations(&requests, "");
        let bare_status = bare_durations(&requests, "status");
        let to_vm: Vec<Duration> = found.values().filter_map(Lifecycle::to_vm).collect();
        let to_report: Vec<Duration> = found.values().filter_map(Lifecycle::to_report).collect();
        for (part, name) in [(MEDIAN, "p50"), (MOST, "p99")] {
            self.compare(
                "A3",
                &format!("last claim -> VM stored, unloaded, {name}"),
                2.0,
                &to_vm,
                &bare_apply,
                part,
            );
        }
        self.compare(
            "A4",
            "VM runs -> status, p99",
            2.0,
            &to_report,
            &bare_status,
            MOST,
        );
        self.compare(
            "A4",
            "NAD changed -> repaired, p99",
            2.0,
            &repaired,
            &durations(&nads(&changes).of_agent(bare::AGENT)),
            MOST,
        );
        self.ended("one by one", started);
        Ok(Unloaded { bare_apply, to_vm })
    }

    /// A8: many Wukongs at once in one namespace, and single ones in another.
    pub(super) async fn burst(
        &mut self,
        operator: &Operator,
        bare: &Bare,
        unloaded: &Unloaded,
        count: usize,
    ) -> Result<()> {
        let (started, mark) = (Instant::now(), self.lab.audit().mark());
        let before = cpu_time(operator.process().pid())?;
        let crowded = self.fleet.namespace("burst").await?;
        let calm = self.fleet.namespace("calm").await?;
        let task = self
            .progress
            .task(format!("Creating {count} Wukongs in one namespace"));
        let target = self.expected() + count;
        let created = Cell::new(false);
        let creating = async {
            self.fleet.burst(count, &crowded).await?;
            created.set(true);
            anyhow::Ok(())
        };
        let probing = async {
            let mut probes = 0;
            while !(created.get() && self.neighbours.running() >= target) {
                self.neighbours.check()?;
                self.fleet.one(&calm).await?;
                bare.apply(self.bares + probes + 1).await?;
                probes += 1;
                tokio::time::sleep(PROBE).await;
            }
            anyhow::Ok(probes)
        };
        let ((), probes) = tokio::try_join!(creating, probing)?;
        self.bares += probes;
        self.all_run(operator, "the Wukongs of the burst").await?;
        task.done(format!("{count} Wukongs run"));
        let audit = self.lab.audit();
        audit
            .wait_quiet(audit.mark(), SETTLES, SETTLED_DEADLINE, is_ours)
            .await?;
        let cpu = cpu_time(operator.process().pid())?.saturating_sub(before);
        let requests = audit.since(mark)?;
        let found = lifecycles::read(&requests);
        let calm: Vec<Duration> = found
            .iter()
            .filter(|((namespace, _), _)| *namespace == calm)
            .filter_map(|(_, way)| way.to_vm())
            .collect();
        let bare_apply = bare_durations(&requests, "");
        self.compare(
            "A8",
            "another namespace in a burst, p99, to idle",
            2.0,
            &calm,
            &unloaded.to_vm,
            MOST,
        );
        let row = ratio(&bare_apply, &unloaded.bare_apply, MOST);
        self.rows.push(Row::plain(
            "A8",
            "a bare apply in the burst, p99, to idle",
            row,
            Unit::Ratio,
        ));
        let each = cpu.as_secs_f64() / (count + probes).max(1) as f64;
        self.rows.push(Row::plain(
            "A5",
            "CPU time for one lifecycle in a burst in one namespace",
            each,
            Unit::Seconds,
        ));
        self.ended("burst", started);
        Ok(())
    }

    /// A3 under load: Wukongs at half the rate that the cluster sustains.
    pub(super) async fn paced(
        &mut self,
        operator: &Operator,
        bare: &Bare,
        unloaded: &Unloaded,
        rate: f64,
        count: usize,
    ) -> Result<()> {
        let (started, mark) = (Instant::now(), self.lab.audit().mark());
        let space = self.fleet.namespace("paced").await?;
        let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / rate.max(0.1)));
        for _ in 0..count {
            ticks.tick().await;
            self.fleet.one(&space).await?;
            self.bare_apply(bare).await?;
        }
        self.all_run(operator, "the paced Wukongs").await?;
        let requests = self.lab.audit().since(mark)?;
        let found = lifecycles::read(&requests);
        let to_vm: Vec<Duration> = found.values().filter_map(Lifecycle::to_vm).collect();
        self.compare(
            "A3",
            "last claim -> VM stored, half load, p99",
            4.0,
            &to_vm,
            &unloaded.bare_apply,
            MOST,
        );
        self.ended("paced", started);
        Ok(())
    }
}

/// How long the applies of the bare client took.
fn bare_durations(requests: &Requests, subresource: &str) -> Vec<Duration> {
    let applies = requests.clone().of_agent(bare::AGENT).writes();
    let vms = applies.resource("virtualmachines");
    durations(&vms.filter(|request| request.subresource == subresource))
}

/// From each change of a NAD by the bare client until the operator's apply.
fn repairs(requests: &Requests) -> Vec<Duration> {
    let ours = nads(requests).filter(is_ours);
    let changes = nads(requests).of_agent(bare::AGENT);
    let repair = |change: &Request| {
        let repaired = ours.iter().find(|ours| {
            ours.name == change.name
                && ours.namespace == change.namespace
                && ours.logged > change.logged
        })?;
        between(change.logged, repaired.logged)
    };
    changes.iter().filter_map(repair).collect()
}

fn nads(requests: &Requests) -> Requests {
    let writes = requests.clone().writes();
    writes.resource("network-attachment-definitions")
}
