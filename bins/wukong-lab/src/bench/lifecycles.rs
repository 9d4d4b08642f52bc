//! The way of each Wukong from its creation until it runs, read from the audit log.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::{bare, fleet, neighbours};
use crate::cluster::audit::{Request, Requests};
use crate::cluster::operator::USER;

/// The shortest time between two reports of progress.
const PROGRESS: Duration = Duration::from_secs(5);

/// Namespace and name of a Wukong.
pub type Id = (String, String);

/// When the API server received a request, and when it had answered.
#[derive(Debug, Clone, Copy)]
struct Exchange {
    received: Timestamp,
    answered: Timestamp,
}

/// The requests for one Wukong. Times are those at which the API server answered.
#[derive(Debug, Default, Clone)]
pub struct Lifecycle {
    created: Option<Timestamp>,
    last_claim: Option<Timestamp>,
    vm_stored: Option<Timestamp>,
    /// The instance's report that it runs.
    ran: Option<Exchange>,
    statuses: Vec<Exchange>,
    /// Writes of children.
    pub applies: usize,
}

impl Lifecycle {
    /// Status writes up to the first after the answer to the report that the VM runs. Later ones report the guest.
    fn statuses_until_running(&self) -> usize {
        let ran = self.ran.map(|ran| ran.answered);
        let before = |status: &&Exchange| ran.is_none_or(|ran| status.answered <= ran);
        let early = self.statuses.iter().filter(before).count();
        (early + 1).min(self.statuses.len())
    }

    /// Writes until the Wukong is reported to run, without events.
    pub fn writes(&self) -> usize {
        self.applies + self.statuses_until_running()
    }

    /// Status writes without reports of progress, of which the operator may write one every five seconds.
    pub fn statuses_without_progress(&self) -> usize {
        let span = self.span().unwrap_or_default();
        let progress = usize::try_from(span.as_secs() / PROGRESS.as_secs()).unwrap_or(usize::MAX);
        self.statuses_until_running().saturating_sub(progress)
    }

    /// From the creation until the Wukong was reported to run.
    pub fn span(&self) -> Option<Duration> {
        between(self.created?, self.reported()?)
    }

    /// When the Wukong was reported to run. The operator can learn that from its watch before the answer is out.
    pub fn reported(&self) -> Option<Timestamp> {
        let ran = self.ran?.received;
        let report = self.statuses.iter().find(|status| status.received > ran)?;
        Some(report.answered)
    }

    /// From the creation, or from the last claim, until the VirtualMachine is stored.
    pub fn to_vm(&self) -> Option<Duration> {
        let start = self.created.max(self.last_claim)?;
        // The operator may be quicker than the answer to the creator of the claim.
        Some(between(start, self.vm_stored?).unwrap_or_default())
    }

    /// From the instance's report that it runs until the Wukong's.
    pub fn to_report(&self) -> Option<Duration> {
        Some(between(self.ran?.answered, self.reported()?).unwrap_or_default())
    }

    pub fn created(&self) -> Option<Timestamp> {
        self.created
    }
}

/// The time from one moment to a later one; none if it is not later.
pub fn between(from: Timestamp, to: Timestamp) -> Option<Duration> {
    Duration::try_from(to.duration_since(from)).ok()
}

/// Whether the operator sent a request that costs the API server something: no watch, and not for its Lease.
pub fn is_ours(request: &Request) -> bool {
    request.user == USER
        && !request.user_agent.starts_with(bare::AGENT)
        && request.complete
        && !request.is_lease()
        && !request.is_watch()
}

/// The lifecycles of all Wukongs to which the requests belong.
pub fn read(requests: &Requests) -> BTreeMap<Id, Lifecycle> {
    let mut found: BTreeMap<Id, Lifecycle> = BTreeMap::new();
    let writes = requests
        .iter()
        .filter(|request| request.complete && request.is_write() && request.code < 300);
    for request in writes.filter(|request| request.namespace.starts_with(neighbours::NAMESPACES)) {
        let id = (
            request.namespace.clone(),
            fleet::owner(&request.name).to_owned(),
        );
        let at = request.logged;
        let exchange = Exchange {
            received: request.received,
            answered: request.logged,
        };
        let of_neighbours = request.user_agent.starts_with(neighbours::AGENT);
        let resource = request.resource.as_str();
        let lifecycle = found.entry(id).or_default();
        if is_ours(request) {
            match (resource, request.subresource.as_str()) {
                // The log does not name the object of an event: see `events`.
                ("events", _) => {}
                ("wukongs", "status") => lifecycle.statuses.push(exchange),
                (_, _) => {
                    lifecycle.applies += 1;
                    if resource == "virtualmachines" {
                        lifecycle.vm_stored.get_or_insert(at);
                    }
                }
            }
        } else if resource == "wukongs" && request.verb == "create" {
            lifecycle.created = Some(at);
        } else if of_neighbours && resource == "persistentvolumeclaims" && request.verb == "create"
        {
            lifecycle.last_claim = lifecycle.last_claim.max(Some(at));
        } else if of_neighbours
            && resource == "virtualmachineinstances"
            && request.uri.contains(neighbours::RUNNING)
        {
            lifecycle.ran.get_or_insert(exchange);
        }
    }
    found.retain(|_, lifecycle| lifecycle.created.is_some());
    found
}

/// Events that the operator wrote in the namespaces of Wukongs.
pub fn events(requests: &Requests) -> usize {
    let ours = requests.clone().filter(is_ours).writes();
    let events = ours.filter(Request::is_event);
    let events = events.filter(|event| event.namespace.starts_with(neighbours::NAMESPACES));
    events.len()
}

/// How long requests took on the API server.
pub fn durations(requests: &Requests) -> Vec<Duration> {
    requests
        .iter()
        .filter_map(|request| between(request.received, request.logged))
        .collect()
}

/// The value below which this part of the values lies; zero without values.
pub fn percentile(values: &[Duration], part: f64) -> Duration {
    let mut values = values.to_vec();
    values.sort_unstable();
    let rank = (values.len() as f64 * part).ceil() as usize;
    values
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let values: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&values, 0.5), Duration::from_millis(50));
        assert_eq!(percentile(&values, 0.99), Duration::from_millis(99));
        assert_eq!(percentile(&values[..3], 0.99), Duration::from_millis(3));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn a_status_after_the_one_that_reports_the_running_vm_does_not_count() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let exchange = |second| Exchange {
            received: at(second - 1),
            answered: at(second),
        };
        let lifecycle = Lifecycle {
            created: Some(at(0)),
            last_claim: Some(at(1)),
            vm_stored: Some(at(2)),
            ran: Some(exchange(5)),
            statuses: vec![exchange(1), exchange(6), exchange(9)],
            applies: 5,
        };
        assert_eq!(lifecycle.writes(), 7);
        assert_eq!(lifecycle.statuses_without_progress(), 1);
        assert_eq!(lifecycle.to_vm(), Some(Duration::from_secs(1)));
        assert_eq!(lifecycle.to_report(), Some(Duration::from_secs(1)));
    }
}
