//! The list of Wukongs: one watch for all pages, and a stream of changes for each.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt, stream};
use kube::runtime::watcher::{self, Event as Change};
use kube::runtime::{WatchStreamExt, watcher as watch};

use super::app::App;
use super::problem::Problem;
use crate::cluster::Cluster;
use crate::live;

/// Changes within this time are sent together.
const TOGETHER: Duration = Duration::from_millis(100);

/// Keeps the rows up to date. Does not end.
pub async fn follow(app: &App, cluster: &Cluster, all_namespaces: bool) {
    let api = cluster.wukongs(all_namespaces);
    let mut changes = std::pin::pin!(watch(api, watcher::Config::default()).default_backoff());
    while let Some(change) = changes.next().await {
        match change {
            Ok(Change::Init) => app.rows.begin(),
            Ok(Change::InitApply(object)) => app.rows.insert(&object, true),
            Ok(Change::InitDone) => app.rows.end(),
            Ok(Change::Apply(object)) => app.rows.insert(&object, false),
            Ok(Change::Delete(object)) => app.rows.remove(&object),
            // A retry cannot fix it, but an administrator can.
            Err(error) => {
                if let Err(error) = live::lasting(error) {
                    app.rows.fail(format!("{error:#}"));
                }
            }
        }
    }
}

/// Streams the rows. A page that reads slowly gets fewer and larger changes, because only its own reading makes the next one.
pub async fn stream(
    State(app): State<Arc<App>>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let held = (app.stream()?, app.activity.open());
    let changes = app.rows.subscribe();
    let batches = stream::unfold(
        (app, changes, 0, held),
        |(app, mut changes, version, held)| async move {
            if version > 0 {
                changes.changed().await.ok()?;
                tokio::time::sleep(TOGETHER).await;
            }
            changes.mark_unchanged();
            let batch = app.rows.since(version);
            let event = Event::default().data(batch.json);
            // Version 0 is the state before the first change.
            Some((Ok(event), (app, changes, batch.version.max(1), held)))
        },
    );
    Ok(Sse::new(batches).keep_alive(KeepAlive::default()))
}
