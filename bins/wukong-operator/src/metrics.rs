//! Metrics for Prometheus. No label has the name of an object. A test compares docs/metrics.md with them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Metric, Registry, Unit};
use strum::IntoEnumIterator;
use wukong_api::Reason;
use wukong_engine::reasons::{Severity, doc};

const PREFIX: &str = "wukong";
/// Label value of a phase or reason that is not known.
pub const UNKNOWN: &str = "Unknown";
const SECONDS: &str = "_seconds";

/// All metrics; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    described: Arc<[Described]>,
    reconciles: Family<Outcome, Counter>,
    reconcile_duration: Histogram,
    requests: Family<Request, Counter>,
    request_duration: Family<Verb, Histogram, fn() -> Histogram>,
    applies_skipped: Counter,
    events_dropped: Counter,
    events: Family<Watched, Counter>,
    watch_errors: Family<Watched, Counter>,
    queue_depth: Gauge,
    queue_age: Gauge<f64, AtomicU64>,
    leader: Gauge,
    wukongs: Family<Phase, Gauge>,
    blocked: Family<Blocked, Gauge>,
    schedules: Family<Scheduled, Gauge>,
}

/// Description of a metric, as in docs/metrics.md.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Described {
    /// Name in queries. A histogram appends `_bucket`, `_sum` and `_count`.
    pub name: String,
    /// `counter`, `gauge`, `histogram` or `info`.
    pub kind: &'static str,
    /// Labels.
    pub labels: &'static [&'static str],
    /// What the metric measures.
    pub help: &'static str,
}

/// Values that are read when Prometheus scrapes.
#[derive(Clone, Debug, Default)]
pub struct Now {
    /// Whether this replica leads.
    pub leads: bool,
    /// Number of Wukongs that wait to be reconciled.
    pub queue_depth: usize,
    /// Waiting time of the Wukong that has waited longest.
    pub queue_age: Duration,
    /// Number of Wukongs by phase.
    pub phases: BTreeMap<String, usize>,
    /// Number of Wukongs with a blocker, by its reason; `None`: a reason that this version does not define.
    pub blocked: HashMap<Option<Reason>, usize>,
    /// Number of schedules by their state, and the reason of it; `None`: a reason that this version does not define.
    pub schedules: HashMap<(&'static str, Option<Reason>), usize>,
}

/// Result of one reconcile.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Ended {
    /// Nothing had to be written.
    Unchanged,
    /// At least one object was written.
    Changed,
    /// The API server rejected a write.
    Rejected,
    /// The reconcile panicked.
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

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Blocked {
    reason: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Scheduled {
    state: &'static str,
    reason: &'static str,
}

/// A registry under construction, with the descriptions of its metrics.
struct Builder {
    registry: Registry,
    described: Vec<Described>,
}

impl Builder {
    /// Registers a metric. A name that ends in `_seconds` has the unit seconds.
    fn register<M: Metric + TypedMetric>(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
        metric: M,
    ) {
        match name.strip_suffix(SECONDS) {
            Some(name) => self
                .registry
                .register_with_unit(name, help, Unit::Seconds, metric),
            None => self.registry.register(name, help, metric),
        }
        let suffix = match M::TYPE {
            MetricType::Counter => "_total",
            MetricType::Info => "_info",
            _ => "",
        };
        self.described.push(Described {
            name: format!("{PREFIX}_{name}{suffix}"),
            kind: const { M::TYPE }.as_str(),
            labels,
            help,
        });
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let buckets = || Histogram::new(exponential_buckets(0.001, 2.0, 14));
        let mut metrics = Self {
            registry: Arc::default(),
            described: Arc::default(),
            reconciles: Family::default(),
            reconcile_duration: buckets(),
            requests: Family::default(),
            request_duration: Family::new_with_constructor(buckets),
            applies_skipped: Counter::default(),
            events_dropped: Counter::default(),
            events: Family::default(),
            watch_errors: Family::default(),
            queue_depth: Gauge::default(),
            queue_age: Gauge::default(),
            leader: Gauge::default(),
            wukongs: Family::default(),
            blocked: Family::default(),
            schedules: Family::default(),
        };
        let mut builder = Builder {
            registry: Registry::with_prefix(PREFIX),
            described: Vec::new(),
        };
        builder.register(
            "reconciles",
            &["outcome"],
            "Reconciles, by result: `unchanged` (nothing to write), `changed` (objects were written), `rejected` (the API server rejected a write), `panicked` (a bug)",
            metrics.reconciles.clone(),
        );
        builder.register(
            "reconcile_duration_seconds",
            &[],
            "Duration of a reconcile, including its writes",
            metrics.reconcile_duration.clone(),
        );
        builder.register(
            "api_requests",
            &["verb", "kind", "outcome"],
            "Requests to the API server, without watches and the Lease. `apply` is a server-side apply; `list` is a list of pods or events while a VM waits",
            metrics.requests.clone(),
        );
        builder.register(
            "api_request_duration_seconds",
            &["verb"],
            "Duration of these requests, until the end of the response",
            metrics.request_duration.clone(),
        );
        builder.register(
            "applies_skipped",
            &[],
            "Applies that a reconcile skipped because the object already matched",
            metrics.applies_skipped.clone(),
        );
        builder.register(
            "events_dropped",
            &[],
            "Kubernetes events that the operator did not publish because too many waited for the API server",
            metrics.events_dropped.clone(),
        );
        builder.register(
            "watch_events",
            &["kind"],
            "Objects received from watches",
            metrics.events.clone(),
        );
        builder.register(
            "watch_errors",
            &["kind"],
            "Errors of watches; the operator retries each watch",
            metrics.watch_errors.clone(),
        );
        builder.register(
            "queue_depth",
            &[],
            "Wukongs that wait to be reconciled; 0 on a standby replica",
            metrics.queue_depth.clone(),
        );
        builder.register(
            "queue_age_seconds",
            &[],
            "Longest time that a Wukong has waited to be reconciled; 0 on a standby replica",
            metrics.queue_age.clone(),
        );
        builder.register(
            "leader",
            &[],
            "1 on the leader, 0 on a standby replica",
            metrics.leader.clone(),
        );
        builder.register(
            "vms",
            &["phase"],
            "Wukongs by phase, on every replica; `Unknown`: without a phase yet",
            metrics.wukongs.clone(),
        );
        builder.register(
            "vms_blocked",
            &["reason", "state"],
            "Wukongs with a blocker, by its reason, on every replica. `state` is `waiting` (usually resolves without action) or `error` (needs action)",
            metrics.blocked.clone(),
        );
        builder.register(
            "snapshot_schedules",
            &["state", "reason"],
            "WukongSnapshotSchedules, on every replica. `state` is `active`, `suspended` (by its spec), or `failing` (its last snapshots failed or were skipped, or it takes none). `reason` is the reason of the condition that determines the state",
            metrics.schedules.clone(),
        );
        builder.register(
            "build",
            &["version"],
            "Version of the operator; always 1",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        for ended in Ended::iter() {
            // A counter that begins with 1 hides its first event from `increase`.
            let outcome = ended.into();
            drop(metrics.reconciles.get_or_create(&Outcome { outcome }));
        }
        metrics.registry = Arc::new(builder.registry);
        metrics.described = builder.described.into();
        metrics
    }
}

impl Metrics {
    /// Returns the description of every metric.
    pub fn described(&self) -> &[Described] {
        &self.described
    }

    /// Records a reconcile.
    pub fn reconciled(&self, ended: Ended, took: Duration) {
        let outcome = Outcome {
            outcome: ended.into(),
        };
        self.reconciles.get_or_create(&outcome).inc();
        self.reconcile_duration.observe(took.as_secs_f64());
    }

    /// Records a request that was answered or given up.
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

    /// Records applies that were skipped.
    pub fn skipped(&self, objects: usize) {
        self.applies_skipped
            .inc_by(u64::try_from(objects).unwrap_or(u64::MAX));
    }

    /// Records an event that was dropped.
    pub fn event_dropped(&self) {
        self.events_dropped.inc();
    }

    /// Records an object received from a watch.
    pub fn watched(&self, kind: &str) {
        self.events
            .get_or_create(&Watched {
                kind: kind.to_owned(),
            })
            .inc();
    }

    /// Records an error of a watch.
    pub fn watch_failed(&self, kind: &str) {
        self.watch_errors
            .get_or_create(&Watched {
                kind: kind.to_owned(),
            })
            .inc();
    }

    /// Returns the text that Prometheus scrapes.
    pub fn render(&self, now: Now) -> String {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.leader.set(i64::from(now.leads));
        self.queue_depth.set(count(now.queue_depth));
        self.queue_age.set(now.queue_age.as_secs_f64());
        self.wukongs.clear();
        for (phase, number) in now.phases {
            self.wukongs
                .get_or_create(&Phase { phase })
                .set(count(number));
        }
        self.blocked.clear();
        for (reason, number) in now.blocked {
            let state = match reason.map(|reason| doc(reason).severity) {
                Some(Severity::Waiting) => "waiting",
                _ => "error",
            };
            let reason = reason.map_or(UNKNOWN, Into::into);
            self.blocked
                .get_or_create(&Blocked { reason, state })
                .set(count(number));
        }
        self.schedules.clear();
        for ((state, reason), number) in now.schedules {
            let reason = reason.map_or(UNKNOWN, Into::into);
            self.schedules
                .get_or_create(&Scheduled { state, reason })
                .set(count(number));
        }
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Metrics with a value in each family.
    fn filled() -> Metrics {
        let metrics = Metrics::default();
        metrics.reconciled(Ended::Changed, Duration::from_millis(3));
        metrics.requested("apply", "Secret", "ok", Duration::from_millis(2));
        metrics.skipped(4);
        metrics.event_dropped();
        metrics.watched("VirtualMachine");
        metrics.watch_failed("DataVolume");
        metrics
    }

    fn now() -> Now {
        Now {
            leads: true,
            queue_depth: 7,
            queue_age: Duration::from_millis(1500),
            phases: BTreeMap::from([("Running".to_owned(), 3)]),
            blocked: HashMap::from([
                (Some(Reason::ImportFailed), 2),
                (Some(Reason::Importing), 1),
            ]),
            schedules: HashMap::from([(("failing", Some(Reason::RunFailed)), 2)]),
        }
    }

    #[test]
    fn every_metric_is_rendered_with_its_value() {
        let metrics = filled();
        let text = metrics.render(now());
        for line in [
            "wukong_reconciles_total{outcome=\"changed\"} 1",
            "wukong_api_requests_total{verb=\"apply\",kind=\"Secret\",outcome=\"ok\"} 1",
            "wukong_api_request_duration_seconds_count{verb=\"apply\"} 1",
            "wukong_applies_skipped_total 4",
            "wukong_events_dropped_total 1",
            "wukong_watch_events_total{kind=\"VirtualMachine\"} 1",
            "wukong_watch_errors_total{kind=\"DataVolume\"} 1",
            "wukong_queue_depth 7",
            "wukong_queue_age_seconds 1.5",
            "wukong_leader 1",
            "wukong_vms{phase=\"Running\"} 3",
            "wukong_vms_blocked{reason=\"ImportFailed\",state=\"error\"} 2",
            "wukong_vms_blocked{reason=\"Importing\",state=\"waiting\"} 1",
            "wukong_snapshot_schedules{state=\"failing\",reason=\"RunFailed\"} 2",
            "wukong_build_info{version=",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        let later = metrics.render(Now::default());
        for gone in [
            "wukong_vms{",
            "wukong_vms_blocked{",
            "wukong_snapshot_schedules{",
        ] {
            assert!(!later.contains(gone), "{gone} is left over");
        }
    }

    #[test]
    fn metrics_have_the_names_types_and_labels_of_their_descriptions() {
        let metrics = filled();
        let text = metrics.render(now());
        for described in metrics.described() {
            let Described {
                name, kind, labels, ..
            } = described;
            let family = name.trim_end_matches("_total").trim_end_matches("_info");
            let typed = format!("# TYPE {family} {kind}");
            assert!(text.contains(&typed), "`{typed}` is not in\n{text}");
            let sample = match *kind {
                "histogram" => format!("{name}_sum"),
                _ => name.clone(),
            };
            let line = text
                .lines()
                .find(|line| line.split(['{', ' ']).next() == Some(&sample));
            let line = line.unwrap_or_else(|| panic!("{sample} is not in\n{text}"));
            let inside = line
                .split_once('{')
                .and_then(|(_, rest)| rest.split_once('}'));
            let found: BTreeSet<&str> = inside
                .into_iter()
                .flat_map(|(inside, _)| inside.split(','))
                .filter_map(|label| Some(label.split_once('=')?.0))
                .collect();
            assert_eq!(found, labels.iter().copied().collect(), "{name}");
        }
    }

    #[test]
    fn the_guide_lists_exactly_the_metrics() {
        let guide = include_str!("../../../docs/metrics.md");
        let metrics = Metrics::default();
        let wanted: Vec<String> = metrics
            .described()
            .iter()
            .map(|described| {
                let labels: Vec<String> = described
                    .labels
                    .iter()
                    .map(|label| format!("`{label}`"))
                    .collect();
                format!(
                    "| `{}` | {} | {} | {} |",
                    described.name,
                    described.kind,
                    labels.join(", "),
                    described.help
                )
            })
            .collect();
        let rows: Vec<&str> = guide
            .lines()
            .filter(|line| line.starts_with("| `wukong_"))
            .collect();
        assert_eq!(
            rows,
            wanted,
            "docs/metrics.md should say:\n{}",
            wanted.join("\n")
        );
    }
}
