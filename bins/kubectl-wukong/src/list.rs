//! `list`: a table of Wukongs.

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{DynamicObject, ListParams};
use kube::runtime::watcher;
use serde_json::Value;

use crate::cluster::{self, ClusterArgs};
use crate::exit::Exit;
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

pub async fn run(args: &Args, cluster: &ClusterArgs) -> anyhow::Result<Exit> {
    let cluster = cluster.connect().await?;
    let api = cluster.wukongs(args.all_namespaces);
    let view = |objects: &mut dyn Iterator<Item = &DynamicObject>| match args.output {
        Format::Table => Ok(table(objects, args.all_namespaces, Timestamp::now())),
        format => {
            let values: Result<Vec<Value>, _> = objects.map(serde_json::to_value).collect();
            output::objects(&values?, format)
        }
    };
    if args.watch {
        let mut config = watcher::Config::default();
        config.label_selector.clone_from(&args.selector);
        live::draw(api, config, |objects| view(&mut objects.values())).await?;
        return Ok(Exit::Done);
    }
    let mut params = ListParams::default();
    params.label_selector.clone_from(&args.selector);
    let list = api.list(&params).await.map_err(cluster::readable)?;
    if list.items.is_empty() && args.output == Format::Table {
        let place = match args.all_namespaces {
            true => "the cluster".to_owned(),
            false => format!("namespace {}", cluster.namespace),
        };
        output::note(&format!("No Wukongs found in {place}."));
        return Ok(Exit::Done);
    }
    output::print(&view(&mut list.items.iter())?)?;
    Ok(Exit::Done)
}

fn table(
    objects: &mut dyn Iterator<Item = &DynamicObject>,
    all_namespaces: bool,
    now: Timestamp,
) -> String {
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
    for object in objects {
        let mut row: Vec<comfy_table::Cell> = vec![
            object.namespace().unwrap_or_default().into(),
            object.name_any().into(),
        ];
        match cluster::decode(object) {
            Ok(wukong) => {
                let status = wukong.status.unwrap_or_default();
                let ip = status
                    .networks
                    .iter()
                    .find_map(|nic| nic.ip_address.clone());
                let reason = status.blocker.map(|blocker| text::plain(&blocker.reason));
                let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.into());
                row.push(text::phase(status.phase));
                row.extend([
                    wukong.spec.cpu.to_string().into(),
                    text::plain(&wukong.spec.memory.0).into(),
                    or_none(ip).into(),
                    or_none(status.node_name).into(),
                    or_none(reason).into(),
                ]);
            }
            Err(_) => row.extend(
                [NONE; 5]
                    .map(Into::into)
                    .into_iter()
                    .chain(["Unreadable".into()]),
            ),
        }
        row.push(text::age(object.metadata.creation_timestamp.as_ref(), now).into());
        table.add_row(row);
    }
    if !all_namespaces && let Some(column) = table.column_mut(0) {
        column.set_constraint(comfy_table::ColumnConstraint::Hidden);
    }
    output::lines(&table)
}

#[cfg(test)]
mod tests {
    use kube::core::ApiResource;
    use serde_json::json;

    use super::*;

    fn object(name: &str, spec: Value, status: Value) -> DynamicObject {
        let resource = ApiResource::erase::<wukong_api::Wukong>(&());
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
        let plain =
            |all| anstream::adapter::strip_str(&table(&mut objects.iter(), all, now)).to_string();
        insta::assert_snapshot!("list", plain(false));
        insta::assert_snapshot!("list-all-namespaces", plain(true));
    }

    #[test]
    fn a_long_row_is_one_line() {
        let long = "a".repeat(200);
        let objects = [object(
            &long,
            json!({"cpu": 2, "memory": "4Gi"}),
            json!({"nodeName": long}),
        )];
        let now = "2026-01-20T12:00:00Z".parse().unwrap();
        let text = table(&mut objects.iter(), true, now);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[1].matches(&long).count(), 2, "{text}");
    }
}
