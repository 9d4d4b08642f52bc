//! Metrics for Prometheus: few labels, none of them a name of an object.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// All metrics; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    reconciles: Family<Outcome, Counter>,
    reconcile_duration: Histogram,
    requests: Family<Request, Counter>,
    request_duration: Family<Verb, Histogram, fn() -> Histogram>,
    events: Family<Watched, Counter>,
    watch_errors: Family<Watched, Counter>,
    queue_depth: Gauge,
    leader: Gauge,
    wukongs: Family<Phase, Gauge>,
}

/// How a look at a Wukong ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Ended {
    /// Everything was as it should be: nothing was written.
    Unchanged,
    /// Something was written.
    Changed,
    /// A write was refused.
    Refused,
    /// It panicked.
    Panicked,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Request {
    verb: &'static str,
    kind: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Verb {
    verb: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Watched {
    kind: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Phase {
    phase: String,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("wukong");
        let buckets = || Histogram::new(exponential_buckets(0.001, 2.0, 14));
        let mut metrics = Self {
            registry: Arc::default(),
            reconciles: Family::default(),
            reconcile_duration: buckets(),
            requests: Family::default(),
            request_duration: Family::new_with_constructor(buckets),
            events: Family::default(),
            watch_errors: Family::default(),
            queue_depth: Gauge::default(),
            leader: Gauge::default(),
            wukongs: Family::default(),
        };
        registry.register(
            "reconciles",
            "Looks at a Wukong",
            metrics.reconciles.clone(),
        );
        registry.register_with_unit(
            "reconcile_duration",
            "Duration of a look at a Wukong",
            Unit::Seconds,
            metrics.reconcile_duration.clone(),
        );
        registry.register(
            "requests",
            "Writes to the API server",
            metrics.requests.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "Duration of a write to the API server",
            Unit::Seconds,
            metrics.request_duration.clone(),
        );
        registry.register(
            "watch_events",
            "Objects that came by watches",
            metrics.events.clone(),
        );
        registry.register(
            "watch_errors",
            "Errors of watches",
            metrics.watch_errors.clone(),
        );
        registry.register(
            "queue_depth",
            "Wukongs that wait to be looked at",
            metrics.queue_depth.clone(),
        );
        registry.register(
            "leader",
            "Whether this replica leads",
            metrics.leader.clone(),
        );
        registry.register("wukongs", "Wukongs by phase", metrics.wukongs.clone());
        registry.register(
            "build",
            "The running version",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        metrics.registry = Arc::new(registry);
        metrics
    }
}

impl Metrics {
    /// A Wukong was looked at.
    pub fn reconciled(&self, ended: Ended, took: Duration) {
        let outcome = Outcome {
            outcome: ended.into(),
        };
        self.reconciles.get_or_create(&outcome).inc();
        self.reconcile_duration.observe(took.as_secs_f64());
    }

    /// A write was answered or given up.
    pub fn requested(&self, verb: &'static str, kind: &str, outcome: &'static str, took: Duration) {
        let request = Request {
            verb,
            kind: kind.to_owned(),
            outcome,
        };
        self.requests.get_or_create(&request).inc();
        self.request_duration
            .get_or_create(&Verb { verb })
            .observe(took.as_secs_f64());
    }

    /// An object came by a watch.
    pub fn watched(&self, kind: &str) {
        self.events
            .get_or_create(&Watched {
                kind: kind.to_owned(),
            })
            .inc();
    }

    /// A watch failed.
    pub fn watch_failed(&self, kind: &str) {
        self.watch_errors
            .get_or_create(&Watched {
                kind: kind.to_owned(),
            })
            .inc();
    }

    /// The text that Prometheus reads, with what is true just now.
    pub fn render(
        &self,
        leads: bool,
        queue_depth: usize,
        phases: impl IntoIterator<Item = (String, usize)>,
    ) -> String {
        self.leader.set(i64::from(leads));
        self.queue_depth
            .set(i64::try_from(queue_depth).unwrap_or(i64::MAX));
        self.wukongs.clear();
        for (phase, number) in phases {
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            self.wukongs.get_or_create(&Phase { phase }).set(number);
        }
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered() {
        let metrics = Metrics::default();
        metrics.reconciled(Ended::Changed, Duration::from_millis(3));
        metrics.requested("apply", "Secret", "ok", Duration::from_millis(2));
        metrics.watched("VirtualMachine");
        let text = metrics.render(true, 7, [("Running".to_owned(), 3)]);
        for line in [
            "wukong_reconciles_total{outcome=\"changed\"} 1",
            "wukong_requests_total{verb=\"apply\",kind=\"Secret\",outcome=\"ok\"} 1",
            "wukong_request_duration_seconds_count{verb=\"apply\"} 1",
            "wukong_watch_events_total{kind=\"VirtualMachine\"} 1",
            "wukong_queue_depth 7",
            "wukong_leader 1",
            "wukong_wukongs{phase=\"Running\"} 3",
            "wukong_build_info{version=",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        let later = metrics.render(false, 0, []);
        assert!(!later.contains("wukong_wukongs{"), "no phase is left over");
    }
}
