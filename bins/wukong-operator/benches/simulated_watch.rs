//! Memory of the operator's cache for many Wukongs, in a simulated watch without an API server.
//!
//! `cargo bench -p wukong-operator --bench simulated_watch -- 10000 100000` prints one line for each number of Wukongs. The objects
//! are those of a VM that ran on a real node: a Wukong and seven other objects. The watches list them as streams, the engine
//! decides once for each Wukong, and then the memory of the process is read.

use std::convert::Infallible;
use std::fs;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use axum::body::Body;
use futures::{StreamExt, stream};
use http::{Request, Response};
use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};
use wukong_api::OperatorSettings;
use wukong_engine::catalogue::{self, Reader};
use wukong_engine::{Memory, Observed, decide};
use wukong_operator::cluster::Cluster;
use wukong_operator::metrics::Metrics;
use wukong_operator::watch::Watches;

/// A Wukong with its VirtualMachine, instance, network, and two disks.
const OBJECTS: &str = include_str!("../tests/objects/running-vm.json");
/// Tells this program, started by itself, the one number to measure.
const ONE: &str = "WUKONG_BENCH_WUKONGS";

fn main() -> Result<()> {
    if let Ok(count) = std::env::var(ONE) {
        return measure(count.parse()?);
    }
    let counts: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    println!(" Wukongs   resident       peak   for each Wukong");
    for count in counts {
        // Each in a process of its own: the memory of one would hide that of the next.
        let status = Command::new(std::env::current_exe()?)
            .env(ONE, count)
            .status()?;
        if !status.success() {
            bail!("the measurement ended with {status}");
        }
    }
    Ok(())
}

#[tokio::main]
async fn measure(count: usize) -> Result<()> {
    let idle = watch(0).await?.0;
    let (resident, peak) = watch(count).await?;
    let each = resident.saturating_sub(idle) as f64 / 1024.0 / count as f64;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "{count:8} {:6.1} MiB {:6.1} MiB {each:13.1} KiB",
        mib(resident),
        mib(peak)
    );
    Ok(())
}

/// Watches this many Wukongs and decides for each. Returns the resident memory and its peak in bytes.
async fn watch(count: usize) -> Result<(u64, u64)> {
    let (client, cluster) = (client(count)?, Arc::new(Cluster::default()));
    let watches = Watches::start(&client, &cluster, &Metrics::default(), false);
    watches.waiting().over().await;
    let keys = cluster.wukongs().keys();
    if keys.len() != count {
        bail!("{} of {count} Wukongs were read", keys.len());
    }
    let settings = OperatorSettings::default();
    for key in keys {
        let entry = cluster.wukong(&key).context("a listed Wukong is known")?;
        let wukong = entry.wukong.readable().context("it is readable")?;
        let world = cluster.world();
        decide(&Observed {
            wukong: &wukong,
            world: &world,
            memory: &Memory::default(),
            settings: &settings,
            now: Timestamp::now(),
        });
    }
    Ok((
        resident("Rss:", "smaps_rollup")?,
        resident("VmHWM:", "status")?,
    ))
}

fn resident(key: &str, file: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/self/{file}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number
        .context("the kernel tells the memory")?
        .parse::<u64>()?
        << 10)
}

/// A client of a simulated API server with this many Wukongs and their objects.
fn client(count: usize) -> Result<Client> {
    let objects: Value = serde_json::from_str(OBJECTS)?;
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let answer = answer(&objects, request.uri().path(), count);
        async move { Ok::<_, Infallible>(answer) }
    });
    Ok(Client::new(service, "default"))
}

/// A watch that lists the objects of a kind as a stream, and then stays open.
fn answer(objects: &Value, path: &str, count: usize) -> Response<Body> {
    let plural = path.rsplit('/').next().unwrap_or_default();
    let one: Vec<String> = match plural {
        "customresourcedefinitions" => catalogue::all(Reader::Operator)
            .into_iter()
            .filter(|watched| watched.custom)
            .map(|watched| crd(&watched.api_resource()))
            .chain([crd(&catalogue::WUKONG.api_resource())])
            .collect(),
        _ => objects[plural]
            .as_array()
            .into_iter()
            .flatten()
            .map(Value::to_string)
            .collect(),
    };
    let many = if plural == "customresourcedefinitions" {
        1
    } else {
        count
    };
    let lines = stream::iter(0..many).flat_map(move |number| {
        let lines: Vec<_> = one
            .iter()
            .map(|object| {
                let object = object
                    .replace("vm-00000", &format!("vm-{number:05}"))
                    .replace("\"00000000-", &format!("\"{number:08x}-"));
                Ok::<_, Infallible>(format!("{{\"type\":\"ADDED\",\"object\":{object}}}\n"))
            })
            .collect();
        stream::iter(lines)
    });
    let end = json!({"type": "BOOKMARK", "object": {"apiVersion": "v1", "kind": "X",
        "metadata": {"resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}}}});
    let end = stream::iter([Ok(format!("{end}\n"))]);
    let open = stream::pending();
    Response::new(Body::from_stream(lines.chain(end).chain(open)))
}

fn crd(resource: &kube::core::ApiResource) -> String {
    let name = format!("{}.{}", resource.plural, resource.group);
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": name, "uid": name, "resourceVersion": "1"}})
    .to_string()
}
