//! A view of watched objects that is redrawn on every change.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use futures::{FutureExt, StreamExt, TryStreamExt};
use kube::api::DynamicObject;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, ResourceExt};

use crate::{cluster, output};

/// How often the view is redrawn without a change, for the ages in it.
const REDRAW: Duration = Duration::from_secs(2);

/// What is kept of the objects, by their namespace and name.
pub type Objects<T> = BTreeMap<(String, String), T>;

/// Draws the objects on every change, until the process is interrupted. On a terminal, each view replaces the previous
/// one. Of each object, only what `keep` returns stays in memory.
pub async fn draw<T>(
    api: Api<DynamicObject>,
    config: watcher::Config,
    keep: impl Fn(DynamicObject) -> T,
    view: impl Fn(&Objects<T>) -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    let terminal = std::io::stdout().is_terminal();
    let mut events = std::pin::pin!(watch(api, config).default_backoff());
    let mut objects = Objects::new();
    let mut complete = false;
    loop {
        match tokio::time::timeout(REDRAW, events.try_next()).await {
            Ok(Ok(Some(event))) => complete |= apply(&mut objects, event, &keep),
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => lasting(error)?,
            Err(_) if !terminal => continue,
            Err(_) => {}
        }
        // Events that are ready are drawn together.
        while let Some(Some(Ok(event))) = events.next().now_or_never() {
            complete |= apply(&mut objects, event, &keep);
        }
        if !complete {
            continue;
        }
        if terminal {
            let mut out = std::io::stdout().lock();
            out.write_all(b"\x1b[H\x1b[2J")?;
        }
        output::print(&view(&objects)?)?;
    }
}

/// Applies an event. Returns whether it completes the initial list.
fn apply<T>(
    objects: &mut Objects<T>,
    event: Event<DynamicObject>,
    keep: impl Fn(DynamicObject) -> T,
) -> bool {
    let key = |object: &DynamicObject| (object.namespace().unwrap_or_default(), object.name_any());
    match event {
        Event::Init => objects.clear(),
        Event::InitApply(object) | Event::Apply(object) => {
            objects.insert(key(&object), keep(object));
        }
        Event::Delete(object) => {
            objects.remove(&key(&object));
        }
        Event::InitDone => return true,
    }
    false
}

/// Returns the errors that a retry cannot fix; the watch retries the others.
pub fn lasting(error: watcher::Error) -> anyhow::Result<()> {
    match error {
        watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) => {
            match &error {
                kube::Error::Api(status) if matches!(status.code, 400..=409) => {
                    Err(cluster::readable(error))
                }
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}
