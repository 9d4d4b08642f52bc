//! Waits for the end of a snapshot or restore.

use std::time::Duration;

use anyhow::bail;
use futures::{StreamExt, TryStreamExt};
use kube::Api;
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::watch_object;
use serde_json::Value;
use tokio::time::Instant;

use crate::exit::Exit;
use crate::{live, output, text};

/// Waits until `ended` returns how the object has ended, and prints its blocker whenever that changes.
pub(super) async fn await_end(
    api: Api<DynamicObject>,
    name: &str,
    timeout: Duration,
    ended: impl Fn(&Value) -> Option<Result<String, String>>,
) -> anyhow::Result<Exit> {
    let begin = Instant::now();
    let mut shown = String::new();
    let mut changes = std::pin::pin!(watch_object(api, name).default_backoff().filter_map(
        |change| async {
            match change {
                Ok(object) => Some(Ok(object)),
                Err(error) => live::lasting(error).err().map(Err),
            }
        }
    ));
    loop {
        let left = timeout.saturating_sub(begin.elapsed());
        let Ok(change) = tokio::time::timeout(left, changes.try_next()).await else {
            output::note(&format!(
                "{name}: timed out after {} s: {shown}",
                timeout.as_secs()
            ));
            return Ok(Exit::TimedOut);
        };
        let object = match change? {
            Some(Some(object)) => object.data,
            Some(None) => bail!("{name} was deleted"),
            None => bail!("the API server ended the watch"),
        };
        let status = object.get("status").cloned().unwrap_or_default();
        match ended(&status) {
            Some(Ok(sentence)) => {
                let seconds = begin.elapsed().as_secs();
                output::print(&format!("{name}: {sentence} ({seconds} s)\n"))?;
                return Ok(Exit::Done);
            }
            Some(Err(why)) => bail!("{name}: {why}"),
            None => {}
        }
        let words = blocker(&status);
        if !words.is_empty() && words != shown {
            output::note(&words);
            shown = words;
        }
    }
}

/// The blocker in a status: its message, and what to do.
pub(super) fn blocker(status: &Value) -> String {
    let part = |field: &str| {
        let blocker = status.get("blocker").and_then(|blocker| blocker.get(field));
        text::plain(blocker.and_then(Value::as_str).unwrap_or_default())
    };
    match part("hint").as_str() {
        "" => part("message"),
        hint => format!("{}; {hint}", part("message")),
    }
}
