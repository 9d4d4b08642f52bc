//! Lifecycles a second, by the operator and by a client that only sends prepared requests.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::{Bench, POLL};
use crate::Operator;
use crate::bench::bare::{self, Prepared};
use crate::bench::lifecycles::{self, Lifecycle, between};
use crate::bench::neighbours;
use crate::bench::row::{Limit, Row, Unit};
use crate::cluster::audit::Request;

impl Bench<'_> {
    /// A5: lifecycles a second, by the operator and by a client that only sends prepared requests.
    pub(super) async fn throughput(
        &mut self,
        operator: Operator,
        prepared: &Prepared,
    ) -> Result<()> {
        let started = Instant::now();
        let count = (self.settings.size.wukongs / 10).clamp(10, 200);
        let task = self
            .progress
            .task("Comparing with a client that only sends requests");
        let audit = self.lab.audit();
        let mark = audit.mark();
        self.fleet.many(count, "rate").await?;
        self.all_run(&operator, "the Wukongs of the comparison")
            .await?;
        let found = lifecycles::read(&audit.since(mark)?);
        let first = found.values().filter_map(Lifecycle::created).min();
        let last = found.values().filter_map(Lifecycle::reported).max();
        let ours = first
            .zip(last)
            .and_then(|(first, last)| between(first, last));
        operator.stop().await?;

        let mark = audit.mark();
        let target = self.neighbours.running() + count;
        let client = self.lab.operator_client(bare::AGENT).await?;
        bare::run(&client, prepared, &self.fleet, count).await?;
        while self.neighbours.running() < target {
            self.neighbours.check()?;
            tokio::time::sleep(POLL).await;
        }
        let requests = audit.since(mark)?;
        let sent = requests.clone().of_agent(bare::AGENT).writes().len();
        ensure!(
            sent == count * bare::WRITES,
            "the client sent {sent} requests for {count} Wukongs"
        );
        let first = lifecycles::read(&requests)
            .values()
            .filter_map(Lifecycle::created)
            .min();
        let ends = |request: &&Request| {
            request.user_agent.starts_with(bare::AGENT) || request.uri.contains(neighbours::RUNNING)
        };
        let last = requests
            .iter()
            .filter(ends)
            .map(|request| request.logged)
            .max();
        let theirs = first
            .zip(last)
            .and_then(|(first, last)| between(first, last));
        let share = theirs
            .zip(ours)
            .map(|(theirs, ours)| theirs.as_secs_f64() / ours.as_secs_f64());
        let row = Row::new(
            "A5",
            "lifecycles a second to a client that only sends requests",
            Limit::AtLeast(0.9),
            share,
            Unit::Ratio,
        );
        self.rows.push(row.detail(format!("{count} at once")));
        task.done("the comparison is done");
        self.ended("throughput", started);
        Ok(())
    }
}
