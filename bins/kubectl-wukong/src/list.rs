//! `list`: a table of Wukongs.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::watcher;
use serde::Deserialize;
use serde_json::Value;
use wukong_api::status::{Phase, WukongStatus};
use wukong_api::{Wukong, WukongSpec};

use crate::cluster::{self, Cluster, ClusterArgs};
use crate::exit::Exit;
use crate::items::{self, Selection};
use crate::live;
use crate::output::{self, Format};
use crate::text::{self, NONE};

/// List Wukongs with phase, address, node, and the reason why a VM does not run.
#[derive(Debug, clap::Args)]
#[command(
    visible_alias = "ls",
    after_help = "\
Examples:
  kubectl wukong list
  kubectl wukong list -A --watch
  kubectl wukong list -l app.kubernetes.io/name=web -o json"
)]
pub struct Args {
    /// List the Wukongs of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,

    /// Label selector
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,

    /// Redraw the list on every change, until interrupted
    #[arg(short, long)]
    watch: bool,

    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    output: Format,
}

/// Bytes of output that are printed together.
const TOGETHER: usize = 64 << 10;

pub async fn run(args: &Args, cluster: &ClusterArgs) -> anyhow::Result<Exit> {
    let cluster = cluster.connect().await?;
    match (args.watch, args.output) {
        (true, _) => watch(args, &cluster).await?,
        (false, Format::Table) => print_table(args, &cluster).await?,
        (false, format) => print_objects(args, &cluster, format).await?,
    }
    Ok(Exit::Done)
}

/// Passes the listed Wukongs to `each`, as JSON.
async fn list(args: &Args, cluster: &Cluster, mut each: impl FnMut(&[u8])) -> anyhow::Result<()> {
    let kind = ApiResource::erase::<Wukong>(&());
    let selection = Selection {
        namespace: (!args.all_namespaces).then(|| cluster.namespace.clone()),
        labels: args.selector.clone(),
        ..Selection::default()
    };
    let listed = items::each(&cluster.client, &kind, &selection, |json| {
        each(json);
        Ok(())
    });
    listed.await.map_err(cluster::readable)
}

async fn print_table(args: &Args, cluster: &Cluster) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    list(args, cluster, |json| rows.push(Row::of_json(json))).await?;
    if rows.is_empty() {
        let place = match args.all_namespaces {
            true => "the cluster".to_owned(),
            false => format!("namespace {}", cluster.namespace),
        };
        output::note(&format!("No Wukongs found in {place}."));
        return Ok(());
    }
    let now = Timestamp::now();
    output::print(&table(&mut rows.iter(), args.all_namespaces, now))
}

/// Prints the objects as they arrive.
async fn print_objects(args: &Args, cluster: &Cluster, format: Format) -> anyhow::Result<()> {
    let mut objects = output::Objects::new(format);
    let mut text = String::new();
    let mut printed = Ok(());
    list(args, cluster, |json| {
        if printed.is_ok() {
            printed = print_object(&mut objects, json, &mut text);
        }
    })
    .await?;
    printed?;
    output::print_objects(&(text + &objects.end()))
}

fn print_object(
    objects: &mut output::Objects,
    json: &[u8],
    text: &mut String,
) -> anyhow::Result<()> {
    let object: Value = serde_json::from_slice(json)?;
    *text += &objects.next(&object)?;
    if text.len() > TOGETHER {
        output::print_objects(text)?;
        text.clear();
    }
    Ok(())
}

async fn watch(args: &Args, cluster: &Cluster) -> anyhow::Result<()> {
    let api = cluster.wukongs(args.all_namespaces);
    let mut config = watcher::Config::default();
    config.label_selector.clone_from(&args.selector);
    match args.output {
        Format::Table => {
            let view = |rows: &live::Objects<Row>| {
                let mut rows = rows.values();
                Ok(table(&mut rows, args.all_namespaces, Timestamp::now()))
            };
            live::draw(api, config, |object| Row::of(&object), view).await
        }
        format => {
            let view = |objects: &live::Objects<DynamicObject>| {
                let values: Result<Vec<Value>, _> =
                    objects.values().map(serde_json::to_value).collect();
                output::objects(&values?, format)
            };
            live::draw(api, config, |object| object, view).await
        }
    }
}

/// What the table shows of a Wukong.
#[derive(Debug)]
struct Row {
    namespace: String,
    name: String,
    created: Option<Time>,
    /// `None` for one that this version cannot read.
    state: Option<State>,
}

#[derive(Debug)]
struct State {
    phase: Option<Phase>,
    cpu: String,
    memory: String,
    ip: Option<String>,
    node: Option<String>,
    reason: Option<String>,
}

/// A Wukong without the metadata that the table does not show.
#[derive(Deserialize)]
struct Listed {
    spec: WukongSpec,
    #[serde(default)]
    status: Option<WukongStatus>,
}

#[derive(Default, Deserialize)]
struct Object {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    namespace: String,
    name: String,
    creation_timestamp: Option<Time>,
}

impl Row {
    /// Reads the row of an object in a list.
    fn of_json(json: &[u8]) -> Self {
        let Metadata {
            namespace,
            name,
            creation_timestamp,
        } = serde_json::from_slice::<Object>(json)
            .unwrap_or_default()
            .metadata;
        let state = serde_json::from_slice::<Listed>(json)
            .ok()
            .map(|listed| State::of(listed.spec, listed.status));
        Self {
            namespace,
            name,
            created: creation_timestamp,
            state,
        }
    }

    /// Reads the row of an object of a watch.
    fn of(object: &DynamicObject) -> Self {
        let wukong = cluster::decode(object).ok();
        Self {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            created: object.metadata.creation_timestamp.clone(),
            state: wukong.map(|wukong| State::of(wukong.spec, wukong.status)),
        }
    }
}

impl State {
    fn of(spec: WukongSpec, status: Option<WukongStatus>) -> Self {
        let status = status.unwrap_or_default();
        let mut nics = status.networks.into_iter();
        Self {
            phase: status.phase,
            cpu: spec.cpu.to_string(),
            memory: text::plain(&spec.memory.0),
            ip: nics.find_map(|nic| nic.ip_address),
            node: status.node_name,
            reason: status.blocker.map(|blocker| text::plain(&blocker.reason)),
        }
    }
}

fn table(rows: &mut dyn Iterator<Item = &Row>, all_namespaces: bool, now: Timestamp) -> String {
    let mut table = output::table([
        "NAMESPACE",
        "NAME",
        "PHASE",
        "CPU",
        "MEMORY",
        "IP",
        "NODE",
        "REASON",
        "AGE",
    ]);
    for row in rows {
        let mut cells: Vec<comfy_table::Cell> = vec![(&row.namespace).into(), (&row.name).into()];
        match &row.state {
            Some(state) => {
                let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| NONE.into());
                cells.push(text::phase(state.phase));
                cells.extend([
                    (&state.cpu).into(),
                    (&state.memory).into(),
                    or_none(&state.ip).into(),
                    or_none(&state.node).into(),
                    or_none(&state.reason).into(),
                ]);
            }
            None => cells.extend(
                [NONE; 5]
                    .map(Into::into)
                    .into_iter()
                    .chain(["Unreadable".into()]),
            ),
        }
        cells.push(text::age(row.created.as_ref(), now).into());
        table.add_row(cells);
    }
    if !all_namespaces && let Some(column) = table.column_mut(0) {
        column.set_constraint(comfy_table::ColumnConstraint::Hidden);
    }
    output::lines(&table)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, spec: Value, status: Value) -> DynamicObject {
        let resource = ApiResource::erase::<Wukong>(&());
        let mut object = DynamicObject::new(name, &resource).within("shop");
        object.metadata.creation_timestamp =
            serde_json::from_value(json!("2026-01-20T11:59:18Z")).unwrap();
        object.data = json!({"spec": spec, "status": status});
        object
    }

    #[test]
    fn the_columns() {
        let objects = [
            object(
                "web",
                json!({"cpu": 2, "memory": "4Gi"}),
                json!({
                    "phase": "Running", "nodeName": "node-1",
                    "networks": [{"name": "pod-network"}, {"name": "lan", "ipAddress": "10.0.0.5"}],
                }),
            ),
            object(
                "db",
                json!({"cpu": 16, "memory": "64Gi"}),
                json!({
                    "phase": "Error",
                    "blocker": {"condition": "Scheduled", "reason": "InsufficientMemory", "message": "m", "since": "2026-01-20T11:59:18Z"},
                }),
            ),
            object("new", json!({"cpu": 1, "memory": "1Gi"}), json!({})),
            object("odd", json!({"cpu": "many"}), json!({})),
        ];
        let now = "2026-01-20T12:00:00Z".parse().unwrap();
        let json = |object: &DynamicObject| serde_json::to_vec(object).unwrap();
        let listed = objects.iter().map(|object| Row::of_json(&json(object)));
        for rows in [
            listed.collect::<Vec<_>>(),
            objects.iter().map(Row::of).collect(),
        ] {
            let plain =
                |all| anstream::adapter::strip_str(&table(&mut rows.iter(), all, now)).to_string();
            insta::assert_snapshot!("list", plain(false));
            insta::assert_snapshot!("list-all-namespaces", plain(true));
        }
    }

    #[test]
    fn a_long_row_is_one_line() {
        let long = "a".repeat(200);
        let rows = [Row::of(&object(
            &long,
            json!({"cpu": 2, "memory": "4Gi"}),
            json!({"nodeName": long}),
        ))];
        let now = "2026-01-20T12:00:00Z".parse().unwrap();
        let text = table(&mut rows.iter(), true, now);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[1].matches(&long).count(), 2, "{text}");
    }
}
