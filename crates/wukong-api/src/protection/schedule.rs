//! `WukongSnapshotSchedule`: snapshots at the times of a calendar.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::selector::WukongSelector;
use crate::status::Blocker;

/// Number of failed snapshots in a row after which a schedule without `maxFailures` takes no more.
pub const MAX_FAILURES: u32 = 3;

/// When to take snapshots, of which VMs, and how many to keep.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::kubernetes_formats)]
#[kube(
    group = "vm.novasphere.dev",
    version = "v1alpha1",
    kind = "WukongSnapshotSchedule",
    plural = "wukongsnapshotschedules",
    shortname = "wksched",
    namespaced,
    status = "WukongSnapshotScheduleStatus",
    derive = "PartialEq",
    doc = "Takes snapshots of Wukongs at the times of a calendar, and keeps a number of them. Deleting the schedule keeps its snapshots.",
    validation = Rule::new("size(self.metadata.name) <= 40 && !self.metadata.name.contains('.')")
        .message("metadata.name must be a DNS label of at most 40 characters: the names of the snapshots begin with it"),
    printcolumn(name = "Wukong", type_ = "string", json_path = ".spec.wukongName"),
    printcolumn(name = "Schedule", type_ = "string", json_path = ".spec.schedule"),
    printcolumn(name = "Zone", type_ = "string", json_path = ".spec.timeZone"),
    printcolumn(name = "Suspend", type_ = "boolean", json_path = ".spec.suspend"),
    printcolumn(name = "Last", type_ = "date", json_path = ".status.lastSuccessfulSlot"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextSlot"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.blocker.reason")
)]
#[x_kube(
    validation = Rule::new("has(self.wukongName) != has(self.selector)")
        .message("set either wukongName or selector")
)]
pub struct WukongSnapshotScheduleSpec {
    /// Name of a Wukong in the namespace of the schedule. Excludes `selector`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub wukong_name: Option<String>,

    /// Wukongs in the namespace of the schedule, by their labels. `{}` selects all of them. Each one has its own snapshots, and
    /// `retain` and `maxFailures` count for each one. Excludes `wukongName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<WukongSelector>,

    /// Times of the snapshots: a cron expression of five fields (minute, hour, day of month, month, day of week), such as
    /// `30 1 * * *` or `0 */6 * * MON-FRI`. A time that a clock skips in spring is taken at its end; a time of day that a clock
    /// repeats in autumn is taken once.
    #[schemars(length(min = 9, max = 128), regex(pattern = r"^[^ ]+( +[^ ]+){4}$"))]
    pub schedule: String,

    /// IANA name of the time zone of `schedule`, such as `Europe/Berlin`. Default `UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,

    /// Number of successful snapshots of this schedule to keep of each Wukong, from 1 to 64. When a later snapshot has succeeded,
    /// the operator deletes the oldest ones, and failed ones before them. It deletes no snapshot that this schedule did not
    /// create.
    #[schemars(range(min = 1, max = 64))]
    pub retain: u32,

    /// Number of failed snapshots in a row of one Wukong, after which the schedule takes no more of it. Any change of the spec
    /// starts the count again. Default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub max_failures: Option<u32>,

    /// Whether the schedule pauses: it takes and deletes no snapshots. Times that pass during the pause are not made up for.
    /// Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,

    /// Number of seconds by which a snapshot may be late, for example after an outage. Of several missed times, only the
    /// newest is made up for. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 31_536_000))]
    pub starting_deadline_seconds: Option<u32>,
}

/// Observed state of the schedule. A slot is one of its times.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::kubernetes_formats)]
pub struct WukongSnapshotScheduleStatus {
    /// Generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Schedule and time zone to which `lastSlot` belongs. A slot before a change of them is not made up for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_schedule: Option<String>,
    /// Next slot. Absent while the schedule takes no snapshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_slot: Option<Time>,
    /// Newest slot that is done: its snapshots were taken or skipped, or it passed before a change or during a pause. The operator takes no snapshot for it
    /// again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_slot: Option<Time>,
    /// Newest slot with a successful snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_slot: Option<Time>,
    /// Newest slot that was skipped, for all Wukongs or for some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_skipped: Option<SkippedSlot>,
    /// Number of failed snapshots in a row; of several Wukongs, the highest.
    #[serde(default)]
    pub consecutive_failures: u32,
    /// Slot up to which failures do not count: the last one before the spec changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures_count_after: Option<Time>,
    /// Conditions in causal order: a later one depends on the earlier ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Cause that keeps the schedule from successful snapshots. Absent when nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocker: Option<Blocker>,
}

/// A slot without a snapshot.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct SkippedSlot {
    /// Slot.
    pub slot: Time,
    /// Reason.
    pub message: String,
}
