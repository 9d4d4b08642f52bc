//! Metrics for Prometheus: few labels, none of them a name of an object. docs/metrics.md is held against them.

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
use wukong_engine::reasons::{Tone, doc};

const PREFIX: &str = "wukong";
/// The label of what cannot be told.
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
    events: Family<Watched, Counter>,
    watch_errors: Family<Watched, Counter>,
    queue_depth: Gauge,
    queue_age: Gauge<f64, AtomicU64>,
    leader: Gauge,
    wukongs: Family<Phase, Gauge>,
    blocked: Family<Blocked, Gauge>,
}

/// What a metric is, as docs/metrics.md says it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Described {
    /// Its name in queries. A histogram has it before `_bucket`, `_sum` and `_count`.
    pub name: String,
    /// `counter`, `gauge`, `histogram` or `info`.
    pub kind: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it counts.
    pub about: &'static str,
}

/// What is true at the moment of reading.
#[derive(Clone, Debug, Default)]
pub struct Now {
    /// Whether this replica leads.
    pub leads: bool,
    /// How many Wukongs wait to be looked at.
    pub queue_depth: usize,
    /// How long the one that waits longest has waited.
    pub queue_age: Duration,
    /// Wukongs by phase.
    pub phases: BTreeMap<String, usize>,
    /// Wukongs that are not as asked, by the reason of their blocker; `None`: a reason that we do not know.
    pub blocked: HashMap<Option<Reason>, usize>,
}

/// How a look at a Wukong ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, strum::EnumIter, strum::IntoStaticStr)]
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

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Blocked {
    reason: &'static str,
    needs: &'static str,
}

/// A registry in the making, and what is said of its metrics.
struct Book {
    registry: Registry,
    described: Vec<Described>,
}

impl Book {
    /// Enters a metric. A name that ends in `_seconds` has that unit.
    fn enter<M: Metric + TypedMetric>(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str],
        about: &'static str,
        metric: M,
    ) {
        match name.strip_suffix(SECONDS) {
            Some(name) => self
                .registry
                .register_with_unit(name, about, Unit::Seconds, metric),
            None => self.registry.register(name, about, metric),
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
            about,
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
            events: Family::default(),
            watch_errors: Family::default(),
            queue_depth: Gauge::default(),
            queue_age: Gauge::default(),
            leader: Gauge::default(),
            wukongs: Family::default(),
            blocked: Family::default(),
        };
        let mut book = Book {
            registry: Registry::with_prefix(PREFIX),
            described: Vec::new(),
        };
        book.enter(
            "reconciles",
            &["outcome"],
            "Looks at a Wukong: `unchanged` (nothing was written), `changed`, `refused` (a write was refused), `panicked` (a bug)",
            metrics.reconciles.clone(),
        );
        book.enter(
            "reconcile_duration_seconds",
            &[],
            "Duration of a look at a Wukong, its writes included",
            metrics.reconcile_duration.clone(),
        );
        book.enter(
            "requests",
            &["verb", "kind", "outcome"],
            "Requests to the API server but watches and the lease; `apply` is a server-side apply, `look` a list of pods or events while a VM waits",
            metrics.requests.clone(),
        );
        book.enter(
            "request_duration_seconds",
            &["verb"],
            "Time from such a request to the end of its answer",
            metrics.request_duration.clone(),
        );
        book.enter(
            "applies_skipped",
            &[],
            "Objects that a look found as planned, so that no apply was sent",
            metrics.applies_skipped.clone(),
        );
        book.enter(
            "watch_events",
            &["kind"],
            "Objects that came by watches",
            metrics.events.clone(),
        );
        book.enter(
            "watch_errors",
            &["kind"],
            "Errors of watches; each is tried again",
            metrics.watch_errors.clone(),
        );
        book.enter(
            "queue_depth",
            &[],
            "Wukongs that wait to be looked at; 0 on a replica that stands by",
            metrics.queue_depth.clone(),
        );
        book.enter(
            "queue_age_seconds",
            &[],
            "How long the Wukong that waits longest to be looked at has waited; 0 on a replica that stands by",
            metrics.queue_age.clone(),
        );
        book.enter(
            "leader",
            &[],
            "1 on the replica that works, 0 on one that stands by",
            metrics.leader.clone(),
        );
        book.enter(
            "wukongs",
            &["phase"],
            "Wukongs by phase, as every replica sees them; `Unknown`: nothing was said of them yet",
            metrics.wukongs.clone(),
        );
        book.enter(
            "blocked",
            &["reason", "needs"],
            "Wukongs that are not as asked, by the reason of their blocker, as every replica sees them; it needs `time` (it usually comes by itself) or a `hand`",
            metrics.blocked.clone(),
        );
        book.enter(
            "build",
            &["version"],
            "The running version; always 1",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        for ended in Ended::iter() {
            // A counter that begins with 1 hides its first event from `increase`.
            let outcome = ended.into();
            drop(metrics.reconciles.get_or_create(&Outcome { outcome }));
        }
        metrics.registry = Arc::new(book.registry);
        metrics.described = book.described.into();
        metrics
    }
}

impl Metrics {
    /// Every metric.
    pub fn described(&self) -> &[Described] {
        &self.described
    }

    /// A Wukong was looked at.
    pub fn reconciled(&self, ended: Ended, took: Duration) {
        let outcome = Outcome {
            outcome: ended.into(),
        };
        self.reconciles.get_or_create(&outcome).inc();
        self.reconcile_duration.observe(took.as_secs_f64());
    }

    /// A request was answered or given up.
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

    /// So many objects were found as planned.
    pub fn skipped(&self, objects: usize) {
        self.applies_skipped
            .inc_by(u64::try_from(objects).unwrap_or(u64::MAX));
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
            let needs = match reason.map(|reason| doc(reason).tone) {
                Some(Tone::Waits) => "time",
                _ => "hand",
            };
            let reason = reason.map_or(UNKNOWN, Into::into);
            self.blocked
                .get_or_create(&Blocked { reason, needs })
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

    /// With a value in every metric.
    fn filled() -> Metrics {
        let metrics = Metrics::default();
        metrics.reconciled(Ended::Changed, Duration::from_millis(3));
        metrics.requested("apply", "Secret", "ok", Duration::from_millis(2));
        metrics.skipped(4);
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
        }
    }

    #[test]
    fn what_is_counted_is_rendered() {
        let metrics = filled();
        let text = metrics.render(now());
        for line in [
            "wukong_reconciles_total{outcome=\"changed\"} 1",
            "wukong_requests_total{verb=\"apply\",kind=\"Secret\",outcome=\"ok\"} 1",
            "wukong_request_duration_seconds_count{verb=\"apply\"} 1",
            "wukong_applies_skipped_total 4",
            "wukong_watch_events_total{kind=\"VirtualMachine\"} 1",
            "wukong_watch_errors_total{kind=\"DataVolume\"} 1",
            "wukong_queue_depth 7",
            "wukong_queue_age_seconds 1.5",
            "wukong_leader 1",
            "wukong_wukongs{phase=\"Running\"} 3",
            "wukong_blocked{reason=\"ImportFailed\",needs=\"hand\"} 2",
            "wukong_blocked{reason=\"Importing\",needs=\"time\"} 1",
            "wukong_build_info{version=",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        let later = metrics.render(Now::default());
        for gone in ["wukong_wukongs{", "wukong_blocked{"] {
            assert!(!later.contains(gone), "{gone} is left over");
        }
    }

    #[test]
    fn metrics_have_the_names_types_and_labels_that_they_are_described_with() {
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
    fn the_guide_has_a_row_for_every_metric_and_no_other() {
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
                    described.about
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
