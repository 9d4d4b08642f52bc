//! Which nodes can run the VM, and what keeps it from each of the others.

use jiff::Timestamp;
use wukong_api::ValidatedWukong;

use super::Environment;
use super::demand::{Demand, Stage};
use super::facts::NodeFact;

/// Every node with the stage that stops it. A stage is to blame when nodes reach it and none passes.
pub(super) struct Nodes<'a> {
    demand: Demand<'a>,
    judged: Vec<(&'a NodeFact, Option<Stage>)>,
}

impl<'a> Nodes<'a> {
    pub(super) fn new(
        environment: &'a Environment,
        wukong: Option<&'a ValidatedWukong>,
        now: Timestamp,
    ) -> Self {
        let demand = Demand::new(environment, wukong, now);
        let judged = environment
            .nodes
            .in_namespace("")
            .map(|node| (node, demand.stopped(node)))
            .collect();
        Self { demand, judged }
    }

    /// The same with one node only, where one passes every stage: what is amiss with the others does not matter to a
    /// verdict that is asked for all the time.
    pub(super) fn first_fit(
        environment: &'a Environment,
        wukong: Option<&'a ValidatedWukong>,
        now: Timestamp,
    ) -> Self {
        let demand = Demand::new(environment, wukong, now);
        let mut nodes = environment.nodes.in_namespace("");
        match nodes.find(|node| demand.stopped(node).is_none()) {
            Some(fit) => Self {
                demand,
                judged: vec![(fit, None)],
            },
            None => Self::new(environment, wukong, now),
        }
    }

    /// What the VM asks of a node.
    pub(super) fn demand(&self) -> &Demand<'a> {
        &self.demand
    }

    pub(super) fn is_empty(&self) -> bool {
        self.judged.is_empty()
    }

    /// The nodes that pass every stage before this one.
    pub(super) fn reaching(&self, stage: Stage) -> impl Iterator<Item = &'a NodeFact> {
        self.judged
            .iter()
            .filter(move |(_, stopped)| stopped.is_none_or(|stopped| stopped >= stage))
            .map(|(node, _)| *node)
    }

    /// Whether a node passes everything up to and including this stage.
    pub(super) fn any_passes(&self, stage: Stage) -> bool {
        self.judged
            .iter()
            .any(|(_, stopped)| stopped.is_none_or(|stopped| stopped > stage))
    }

    /// The nodes that this stage stops, each with its cause.
    pub(super) fn causes_at(&self, stage: Stage) -> Vec<(&'a str, String)> {
        self.causes(|stopped| stopped == stage)
    }

    /// The nodes that this stage or an earlier one stops, each with its cause.
    pub(super) fn causes_until(&self, stage: Stage) -> Vec<(&'a str, String)> {
        self.causes(|stopped| stopped <= stage)
    }

    fn causes(&self, wanted: impl Fn(Stage) -> bool) -> Vec<(&'a str, String)> {
        let cause = |(node, stopped): &(&'a NodeFact, Option<Stage>)| {
            let stage = stopped.filter(|stage| wanted(*stage))?;
            Some((node.meta.name.as_str(), self.demand.cause(node, stage)))
        };
        self.judged.iter().filter_map(cause).collect()
    }

    /// Whether a node that the VM may be placed on has this device.
    pub(super) fn offers(&self, resource: &str) -> bool {
        self.reaching(Stage::Handler)
            .any(|node| node.allocatable.device(resource) > 0)
    }
}
