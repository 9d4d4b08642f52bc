//! The nodes that can run the VM, and why each other node cannot.

use std::cell::OnceCell;

use jiff::Timestamp;
use wukong_api::ValidatedWukong;

use super::Environment;
use super::demand::{Demand, Stage};
use crate::facts::{HOST_NAME, NodeFact, Store};

/// The nodes, each with the stage that stops it. A stage is the cause if nodes reach it and none passes.
pub(crate) struct Nodes<'a> {
    demand: Demand<'a>,
    all: &'a Store<NodeFact>,
    /// The host name that the VM demands.
    host: Option<&'a String>,
    /// Whether a node passes every stage. The reasons of the other nodes are computed only on demand: most conditions do
    /// without them, and conditions are computed all the time.
    fit: bool,
    judged: OnceCell<Vec<(&'a NodeFact, Option<Stage>)>>,
}

impl<'a> Nodes<'a> {
    pub(crate) fn new(
        environment: &'a Environment,
        wukong: Option<&'a ValidatedWukong>,
        now: Timestamp,
    ) -> Self {
        let demand = Demand::new(environment, wukong, now);
        let all = &environment.nodes;
        let host = wukong.and_then(|wukong| wukong.placement.node_selector.get(HOST_NAME));
        Self {
            fit: candidates(all, host).any(|node| demand.stopped(node).is_none()),
            host,
            demand,
            all,
            judged: OnceCell::new(),
        }
    }

    fn judged(&self) -> &[(&'a NodeFact, Option<Stage>)] {
        let judge = |node| (node, self.demand.stopped(node));
        self.judged
            .get_or_init(|| self.all.iter().map(judge).collect())
    }

    /// The requirements of the VM for its node.
    pub(crate) fn demand(&self) -> &Demand<'a> {
        &self.demand
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The nodes that pass every stage before this one.
    pub(crate) fn reaching(&self, stage: Stage) -> impl Iterator<Item = &'a NodeFact> {
        let host = self.host.filter(|_| stage > Stage::Placement);
        candidates(self.all, host).filter(move |node| {
            let stopped = self.demand.stopped(node);
            stopped.is_none_or(|stopped| stopped >= stage)
        })
    }

    /// Whether a node passes everything up to and including this stage.
    pub(crate) fn any_passes(&self, stage: Stage) -> bool {
        let passes =
            |(_, stopped): &(_, Option<Stage>)| stopped.is_none_or(|stopped| stopped > stage);
        self.fit || self.judged().iter().any(passes)
    }

    /// The nodes that this stage stops, each with its cause.
    pub(crate) fn causes_at(&self, stage: Stage) -> Vec<(&'a str, String)> {
        self.causes(|stopped| stopped == stage)
    }

    /// The nodes that this stage or an earlier one stops, each with its cause.
    pub(crate) fn causes_until(&self, stage: Stage) -> Vec<(&'a str, String)> {
        self.causes(|stopped| stopped <= stage)
    }

    fn causes(&self, wanted: impl Fn(Stage) -> bool) -> Vec<(&'a str, String)> {
        let cause = |(node, stopped): &(&'a NodeFact, Option<Stage>)| {
            let stage = stopped.filter(|stage| wanted(*stage))?;
            Some((node.meta.name.as_str(), self.demand.cause(node, stage)))
        };
        self.judged().iter().filter_map(cause).collect()
    }

    /// Whether a node that the VM may be placed on has this device.
    pub(crate) fn offers(&self, resource: &str) -> bool {
        self.reaching(Stage::Handler)
            .any(|node| node.allocatable.device(resource) > 0)
    }
}

/// The nodes with this host name; all without one.
fn candidates<'a>(
    all: &'a Store<NodeFact>,
    host: Option<&String>,
) -> impl Iterator<Item = &'a NodeFact> + use<'a> {
    let on_host = host.map(|host| all.indexed(&NodeFact::on_host(host)).collect::<Vec<_>>());
    let others = on_host.is_none().then(|| all.iter());
    on_host
        .into_iter()
        .flatten()
        .chain(others.into_iter().flatten())
}
