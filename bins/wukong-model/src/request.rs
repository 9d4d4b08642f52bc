//! The requests of a decision, in the order in which the operator sends them.

use serde_json::Value;
use wukong_engine::{Apply, Call, Decision, Expand, Expect, Prune, Target};

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    pub wave: Wave,
    pub act: Act,
}

/// Requests of one wave are sent side by side; a wave follows when the one before has ended.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Wave {
    Needs,
    Vm,
    Growth,
    Calls,
    Prunes,
    Status,
}

#[derive(Clone, Debug)]
pub enum Act {
    Apply {
        target: Target,
        /// `None`: whatever there is. Only a mistake leads to it.
        expect: Option<Expect>,
        body: Value,
        hash: String,
    },
    Expand {
        expand: Expand,
        /// Whether it must be the object with this uid.
        exact: bool,
    },
    Call(Call),
    Prune {
        prune: Prune,
        exact: bool,
    },
    Status(Value),
}

impl Request {
    /// The requests of a decision. The status is written once there is nothing else to do.
    pub fn of(decision: Decision, now: jiff::Timestamp) -> Vec<Self> {
        let settled = decision.is_settled();
        let apply = |wave| {
            move |apply: Apply| Self {
                wave,
                act: Act::Apply {
                    target: apply.target,
                    expect: Some(apply.expect),
                    body: apply.body,
                    hash: apply.hash,
                },
            }
        };
        let mut requests: Vec<Self> = Vec::new();
        requests.extend(decision.apply.into_iter().map(apply(Wave::Needs)));
        requests.extend(decision.apply_vm.into_iter().map(apply(Wave::Vm)));
        requests.extend(decision.expand.into_iter().map(|expand| Self {
            wave: Wave::Growth,
            act: Act::Expand {
                expand,
                exact: true,
            },
        }));
        requests.extend(decision.calls.into_iter().map(|call| Self {
            wave: Wave::Calls,
            act: Act::Call(call),
        }));
        requests.extend(decision.prune.into_iter().map(|prune| Self {
            wave: Wave::Prunes,
            act: Act::Prune { prune, exact: true },
        }));
        if settled && decision.write_status.is_some_and(|at| at <= now) {
            let status = serde_json::to_value(&decision.status).unwrap();
            requests.push(Self {
                wave: Wave::Status,
                act: Act::Status(status),
            });
        }
        requests
    }
}

/// The requests of a decision that were not answered yet.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The uid of the Wukong that they are for.
    pub uid: String,
    pub requests: Vec<Request>,
    /// Whether it makes a disk under the name of a claim that the operator knows to have an owner.
    pub risk: bool,
}

impl Batch {
    /// What distinguishes it from other batches. The hash of an apply stands for its body, unless a mistake changes that.
    pub fn key(&self, whole: bool) -> String {
        let key = |request: &Request| match &request.act {
            Act::Apply {
                target,
                expect,
                hash,
                ..
            } if !whole => format!("{target} {expect:?} {hash}"),
            act => format!("{act:?}"),
        };
        let keys: Vec<String> = self.requests.iter().map(key).collect();
        format!("{} {} {}", self.uid, self.risk, keys.join(" "))
    }

    /// The positions of the requests that are sent now.
    pub fn current(&self) -> impl Iterator<Item = usize> {
        let first = self.requests.iter().map(|request| request.wave).min();
        let now = move |request: &Request| Some(request.wave) == first;
        let current: Vec<usize> = (0..self.requests.len())
            .filter(|index| now(&self.requests[*index]))
            .collect();
        current.into_iter()
    }

    /// The batch after the request at a position has ended.
    pub fn after(&self, index: usize, succeeded: bool) -> Self {
        let mut requests = self.requests.clone();
        let ended = requests.remove(index);
        if !succeeded && ended.wave <= Wave::Vm {
            requests.retain(|request| !matches!(request.wave, Wave::Vm | Wave::Prunes));
        }
        Self {
            uid: self.uid.clone(),
            requests,
            risk: false,
        }
    }

    /// The requests that are on the wire when the operator is cut off.
    pub fn on_the_wire(&self) -> Self {
        let first = self.requests.iter().map(|request| request.wave).min();
        let sent = |request: &&Request| Some(request.wave) == first;
        Self {
            uid: self.uid.clone(),
            requests: self.requests.iter().filter(sent).cloned().collect(),
            risk: false,
        }
    }
}
