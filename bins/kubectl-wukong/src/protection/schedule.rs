//! `snapshot schedule create`, `list`, `suspend`, `resume` and `delete`.

use anyhow::{Context, bail};
use clap::Subcommand;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Api, ResourceExt};
use serde_json::{Map, Value, json};
use wukong_api::protection::{WukongSnapshotScheduleSpec, WukongSnapshotScheduleStatus};
use wukong_api::{Reason, WukongSnapshotSchedule};
use wukong_protection::calendar::Calendar;

use super::create;
use crate::action::FIELD_MANAGER;
use crate::cluster::{self, Cluster};
use crate::exit::Exit;
use crate::output;
use crate::text::{self, NONE};

/// Take snapshots at the times of a calendar
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubectl wukong snapshot schedule create nightly --wukong web --schedule \"30 1 * * *\" --time-zone Europe/Berlin --retain 7
  kubectl wukong snapshot schedule create hourly --selector tier=db --schedule \"0 * * * *\" --retain 24
  kubectl wukong snapshot schedule list
  kubectl wukong snapshot schedule resume nightly")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a schedule
    Create(CreateArgs),
    /// List the schedules of the namespace; times are in UTC
    List,
    /// Pause a schedule: it takes and deletes no snapshots
    Suspend {
        /// Name of the schedule
        schedule: String,
    },
    /// Continue a schedule after a pause, or after too many failures
    Resume {
        /// Name of the schedule
        schedule: String,
    },
    /// Delete a schedule, and keep its snapshots
    Delete {
        /// Name of the schedule
        schedule: String,
    },
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// Name of the schedule
    name: String,

    /// Name of the Wukong
    #[arg(
        long,
        required_unless_present = "selector",
        conflicts_with = "selector"
    )]
    wukong: Option<String>,

    /// Labels of the Wukongs, such as tier=db,zone=a
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,

    /// Cron expression of five fields: minute, hour, day of month, month, day of week
    #[arg(long = "schedule", value_name = "CRON")]
    cron: String,

    /// IANA name of the time zone of the schedule [default: UTC]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,

    /// Number of successful snapshots to keep of each VM
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    retain: u32,

    /// Number of failures in a row after which no more snapshots of a VM are taken [default: 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    max_failures: Option<u32>,

    /// Number of seconds by which a snapshot may be late [default: no limit]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(10..=31_536_000))]
    starting_deadline: Option<u32>,
}

/// Runs the command.
pub async fn run(args: &Args, cluster: &Cluster) -> anyhow::Result<Exit> {
    let resource = ApiResource::erase::<WukongSnapshotSchedule>(&());
    let api: Api<DynamicObject> =
        Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource);
    let done = match &args.command {
        Command::Create(args) => {
            create::<WukongSnapshotSchedule>(&api, &args.name, spec(args)?)
                .await
                .map_err(cluster::readable)?;
            format!("{}: schedule created\n", args.name)
        }
        Command::List => {
            let list = api
                .list(&ListParams::default())
                .await
                .map_err(cluster::readable)?;
            table(&list.items)
        }
        Command::Suspend { schedule } => {
            set_suspend(&api, schedule, true).await?;
            format!("{schedule}: suspended\n")
        }
        Command::Resume { schedule } => resume(&api, schedule).await?,
        Command::Delete { schedule } => {
            api.delete(schedule, &DeleteParams::default())
                .await
                .map_err(cluster::readable)?;
            format!("{schedule}: deleted; its snapshots stay\n")
        }
    };
    output::print(&done)?;
    Ok(Exit::Done)
}

/// The spec of a new schedule.
fn spec(args: &CreateArgs) -> anyhow::Result<Value> {
    if let Err(invalid) = Calendar::parse(&args.cron, args.time_zone.as_deref()) {
        bail!("{}: {}", invalid.field, invalid.message);
    }
    let selector = args.selector.as_deref().map(labels).transpose()?;
    let spec = json!({
        "wukongName": args.wukong,
        "selector": selector.map(|labels| json!({"matchLabels": labels})),
        "schedule": args.cron,
        "timeZone": args.time_zone,
        "retain": args.retain,
        "maxFailures": args.max_failures,
        "startingDeadlineSeconds": args.starting_deadline,
    });
    let fields = spec.as_object().into_iter().flatten();
    let given = fields.filter(|(_, value)| !value.is_null());
    Ok(Value::Object(
        given
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    ))
}

/// Labels from `key=value,key=value`.
fn labels(text: &str) -> anyhow::Result<Map<String, Value>> {
    let pair = |pair: &str| {
        let (key, value) = pair.trim().split_once('=')?;
        let value = value.strip_prefix('=').unwrap_or(value);
        (!key.is_empty()).then(|| (key.to_owned(), json!(value)))
    };
    let pairs = text
        .split(',')
        .map(|text| pair(text).with_context(|| format!("--selector: {text:?} is not KEY=VALUE")));
    pairs.collect()
}

async fn set_suspend(api: &Api<DynamicObject>, name: &str, suspend: bool) -> anyhow::Result<()> {
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(json!({"spec": {"suspend": suspend}}));
    api.patch(name, &params, &patch)
        .await
        .map_err(cluster::readable)?;
    Ok(())
}

/// Ends a pause. After too many failures, any change of the spec starts their count again, such as a short pause.
async fn resume(api: &Api<DynamicObject>, name: &str) -> anyhow::Result<String> {
    let found = api.get(name).await.map_err(cluster::readable)?;
    let conditions = status(&found).conditions;
    let left_out = conditions
        .iter()
        .any(|condition| condition.reason == Reason::TooManyFailures.as_ref());
    match (suspended(&found), left_out) {
        (false, false) => return Ok(format!("{name}: is not suspended\n")),
        (false, true) => set_suspend(api, name, true).await?,
        (true, _) => {}
    }
    set_suspend(api, name, false).await?;
    Ok(format!("{name}: resumed\n"))
}

fn suspended(schedule: &DynamicObject) -> bool {
    schedule.data.pointer("/spec/suspend") == Some(&json!(true))
}

fn status(schedule: &DynamicObject) -> WukongSnapshotScheduleStatus {
    let status = schedule.data.get("status").cloned().unwrap_or_default();
    serde_json::from_value(status).unwrap_or_default()
}

fn table(schedules: &[DynamicObject]) -> String {
    if schedules.is_empty() {
        return "no schedules\n".into();
    }
    let mut table = output::table([
        "NAME",
        "VMS",
        "SCHEDULE",
        "ZONE",
        "RETAIN",
        "LAST SUCCESS",
        "NEXT",
        "FAILURES",
        "REASON",
    ]);
    for schedule in schedules {
        let spec = schedule.data.get("spec").cloned().unwrap_or_default();
        let spec: WukongSnapshotScheduleSpec = serde_json::from_value(spec).unwrap_or_default();
        let status = status(schedule);
        let reason = match &status.blocker {
            Some(blocker) => text::plain(&blocker.reason),
            None if suspended(schedule) => Reason::ScheduleSuspended.to_string(),
            None => NONE.to_owned(),
        };
        table.add_row([
            text::plain(&schedule.name_any()),
            text::plain(&vms(&spec)),
            text::plain(&spec.schedule),
            text::plain(spec.time_zone.as_deref().unwrap_or("UTC")),
            spec.retain.to_string(),
            slot(status.last_successful_slot.as_ref()),
            slot(status.next_slot.as_ref()),
            status.consecutive_failures.to_string(),
            reason,
        ]);
    }
    output::lines(&table)
}

/// The Wukong, or the labels of the Wukongs.
fn vms(spec: &WukongSnapshotScheduleSpec) -> String {
    let Some(selector) = &spec.selector else {
        return spec.wukong_name.clone().unwrap_or_default();
    };
    let labels = selector.match_labels.iter();
    let mut terms: Vec<String> = labels
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let conditions = selector.match_expressions.iter();
    terms.extend(conditions.map(|condition| {
        let values = condition.values.join(",");
        format!("{} {:?} ({values})", condition.key, condition.operator).replace(" ()", "")
    }));
    match terms.is_empty() {
        true => "all".to_owned(),
        false => terms.join(","),
    }
}

fn slot(slot: Option<&Time>) -> String {
    slot.map_or(NONE.to_owned(), |slot| {
        slot.0.strftime("%Y-%m-%d %H:%M").to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(selector: Option<&str>, cron: &str) -> CreateArgs {
        CreateArgs {
            name: "nightly".into(),
            wukong: selector.is_none().then(|| "web".into()),
            selector: selector.map(str::to_owned),
            cron: cron.into(),
            time_zone: None,
            retain: 7,
            max_failures: None,
            starting_deadline: Some(600),
        }
    }

    #[test]
    fn the_spec_has_what_was_given() {
        assert_eq!(
            spec(&args(None, "30 1 * * *")).unwrap(),
            json!({"wukongName": "web", "schedule": "30 1 * * *", "retain": 7, "startingDeadlineSeconds": 600})
        );
        let selected = spec(&args(Some("tier=db,zone==a"), "30 1 * * *")).unwrap();
        assert_eq!(
            selected["selector"],
            json!({"matchLabels": {"tier": "db", "zone": "a"}})
        );
        let error = |args: &CreateArgs| spec(args).unwrap_err().to_string();
        assert!(error(&args(None, "61 * * * *")).starts_with("spec.schedule: "));
        assert!(error(&args(Some("tier"), "0 1 * * *")).contains("KEY=VALUE"));
    }

    #[test]
    fn the_list_shows_when_and_why_not() {
        let schedule = |name: &str, spec: Value, status: Value| -> DynamicObject {
            serde_json::from_value(json!({
                "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "WukongSnapshotSchedule",
                "metadata": {"name": name}, "spec": spec, "status": status,
            }))
            .unwrap()
        };
        let all = [
            schedule(
                "hourly",
                json!({"selector": {"matchLabels": {"tier": "db"}, "matchExpressions": [{"key": "test", "operator": "DoesNotExist"}]},
                    "schedule": "0 * * * *", "retain": 24}),
                json!({"consecutiveFailures": 3, "blocker": {"condition": "ScheduleActive", "reason": "TooManyFailures",
                    "message": "m", "since": "2026-11-30T11:00:00Z"}}),
            ),
            schedule(
                "nightly",
                json!({"wukongName": "web", "schedule": "30 1 * * *", "timeZone": "Europe/Berlin", "retain": 7}),
                json!({"lastSuccessfulSlot": "2026-11-30T00:30:00Z", "nextSlot": "2026-12-01T00:30:00Z"}),
            ),
            schedule(
                "paused",
                json!({"selector": {}, "schedule": "0 0 * * *", "retain": 1, "suspend": true}),
                json!({}),
            ),
        ];
        assert_eq!(
            table(&all),
            "NAME     VMS                        SCHEDULE    ZONE           RETAIN  LAST SUCCESS      NEXT              FAILURES  REASON\n\
             hourly   tier=db,test DoesNotExist  0 * * * *   UTC            24      -                 -                 3         TooManyFailures\n\
             nightly  web                        30 1 * * *  Europe/Berlin  7       2026-11-30 00:30  2026-12-01 00:30  0         -\n\
             paused   all                        0 0 * * *   UTC            1       -                 -                 0         ScheduleSuspended\n"
        );
    }
}
