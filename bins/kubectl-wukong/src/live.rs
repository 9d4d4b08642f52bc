//! Objects as they change: one picture that is drawn anew.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use futures::{FutureExt, StreamExt, TryStreamExt};
use kube::api::DynamicObject;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, ResourceExt};

use crate::{cluster, output};

/// How often the picture is drawn while nothing happens, for the ages in it.
const REDRAW: Duration = Duration::from_secs(2);

/// The objects by namespace and name.
pub type Objects = BTreeMap<(String, String), DynamicObject>;

/// Draws the objects whenever they change, until the process is interrupted. On a terminal the picture is replaced;
/// elsewhere one follows the other.
pub async fn draw(
    api: Api<DynamicObject>,
    config: watcher::Config,
    picture: impl Fn(&Objects) -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    let terminal = std::io::stdout().is_terminal();
    let mut events = std::pin::pin!(watch(api, config).default_backoff());
    let mut objects = Objects::new();
    let mut complete = false;
    loop {
        match tokio::time::timeout(REDRAW, events.try_next()).await {
            Ok(Ok(Some(event))) => complete |= take_in(&mut objects, event),
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => lasting(error)?,
            Err(_) if !terminal => continue,
            Err(_) => {}
        }
        // What happened at the same time is drawn at once.
        while let Some(Some(Ok(event))) = events.next().now_or_never() {
            complete |= take_in(&mut objects, event);
        }
        if !complete {
            continue;
        }
        if terminal {
            let mut out = std::io::stdout().lock();
            out.write_all(b"\x1b[H\x1b[2J")?;
        }
        output::print(&picture(&objects)?)?;
    }
}

/// Takes in what happened. Returns whether the list is complete with it.
fn take_in(objects: &mut Objects, event: Event<DynamicObject>) -> bool {
    let key = |object: &DynamicObject| (object.namespace().unwrap_or_default(), object.name_any());
    match event {
        Event::Init => objects.clear(),
        Event::InitApply(object) | Event::Apply(object) => {
            objects.insert(key(&object), object);
        }
        Event::Delete(object) => {
            objects.remove(&key(&object));
        }
        Event::InitDone => return true,
    }
    false
}

/// Ends with errors that do not mend themselves; the others are retried.
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
