//! Many Wukongs at once: the requests and the CPU time for each.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Bench, MEDIAN, SETTLED_DEADLINE, SETTLES, seconds};
use crate::Operator;
use crate::bench::costs::{Instructions, cpu_time};
use crate::bench::fleet::CHILDREN;
use crate::bench::lifecycles::{self, Id, Lifecycle, is_ours, percentile};
use crate::bench::row::{Limit, Row, Unit};
use crate::cluster::audit::Requests;

impl Bench<'_> {
    /// Creates many at once. Returns how many a second came to run.
    pub(super) async fn bulk(&mut self, operator: &Operator, count: usize) -> Result<f64> {
        let (started, mark) = (Instant::now(), self.lab.audit().mark());
        let before = cpu_time(operator.process().pid())?;
        let instructions = Instructions::of(operator.process().pid());
        let task = self.progress.task(format!("Creating {count} Wukongs"));
        self.fleet.many(count, "bulk").await?;
        self.all_run(operator, "the Wukongs of the bulk").await?;
        let took = started.elapsed();
        let audit = self.lab.audit();
        audit
            .wait_quiet(audit.mark(), SETTLES, SETTLED_DEADLINE, is_ours)
            .await?;
        let cpu = cpu_time(operator.process().pid())?.saturating_sub(before);
        task.done(format!("{count} Wukongs run"));

        let requests = audit.since(mark)?;
        self.cost_of_creation(&requests, count, took);
        if !self.settings.counts_only {
            let each = cpu.as_secs_f64() / count.max(1) as f64;
            self.rows.push(Row::at_most(
                "A5",
                "CPU time for one lifecycle",
                0.002,
                each,
                Unit::Seconds,
            ));
            let instructions = instructions
                .count()
                .await
                .map(|all| all / count.max(1) as f64);
            self.rows.push(Row::new(
                "A5",
                "instructions for one lifecycle",
                Limit::None,
                instructions,
                Unit::Count,
            ));
            let found = lifecycles::read(&requests);
            let spans: Vec<Duration> = found.values().filter_map(Lifecycle::span).collect();
            let median = percentile(&spans, MEDIAN).as_secs_f64() / took.as_secs_f64();
            let row = Row::plain("A5", "creation -> running, median", median, Unit::Ratio);
            self.rows.push(row.detail("of the time until all run"));
        }
        self.ended("bulk", started);
        Ok(count as f64 / took.as_secs_f64())
    }

    /// A1: the requests for each Wukong until it runs.
    fn cost_of_creation(&mut self, requests: &Requests, count: usize, took: Duration) {
        let found: BTreeMap<Id, Lifecycle> = lifecycles::read(requests);
        let complete = found
            .values()
            .filter(|way| way.reported().is_some())
            .count();
        let figure = "Wukongs with a complete way in the audit log";
        let all = Limit::AtLeast(count as f64);
        let complete = Some(complete as f64);
        self.rows
            .push(Row::new("A1", figure, all, complete, Unit::Count));
        let most =
            |of: fn(&Lifecycle) -> usize| found.values().map(of).max().unwrap_or_default() as f64;
        let bound = (CHILDREN + 3) as f64;
        let longest = found.values().filter_map(Lifecycle::span).max();
        let writes = most(Lifecycle::writes);
        let row = Row::at_most("A1", "writes for one VM, most", bound, writes, Unit::Count);
        let longest = seconds(longest.unwrap_or_default());
        self.rows
            .push(row.detail(format!("the longest start took {longest}")));
        let figure = "writes of children for one VM, most";
        let applies = most(|way| way.applies);
        let children = CHILDREN as f64;
        let row = Row::at_most("A1", figure, children, applies, Unit::Count);
        self.rows.push(row);
        let figure = "status writes for one VM without progress, most";
        let statuses = most(Lifecycle::statuses_without_progress);
        let row = Row::at_most("A1", figure, 3.0, statuses, Unit::Count);
        self.rows
            .push(row.detail("one report in 5 s does not count"));
        self.rows.push(Row::at_most(
            "A1",
            "events for one VM, mean",
            3.0,
            lifecycles::events(requests) as f64 / found.len().max(1) as f64,
            Unit::Count,
        ));
        let mean =
            found.values().map(Lifecycle::writes).sum::<usize>() as f64 / found.len().max(1) as f64;
        self.rows.push(Row::plain(
            "A1",
            "writes for one VM, mean",
            mean,
            Unit::Count,
        ));
        let ours = requests.clone().filter(is_ours);
        let gets = ours.clone().gets().len() as f64;
        self.rows
            .push(Row::at_most("A1", "GETs", 0.0, gets, Unit::Count));
        let mut lists: BTreeMap<&str, usize> = BTreeMap::new();
        for request in ours.iter().filter(|request| request.verb == "list") {
            *lists.entry(&request.namespace).or_default() += 1;
        }
        let most = lists.values().max().copied().unwrap_or_default() as f64 / took.as_secs_f64();
        let row = Row::at_most(
            "A1",
            "LISTs in one namespace while VMs wait",
            1.0,
            most,
            Unit::PerSecond,
        );
        self.rows.push(row);
    }
}
