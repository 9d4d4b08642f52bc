//! `snapshot`, `restore` and `clone`.

mod await_end;
pub mod clone;
mod question;
pub mod restore;
pub mod schedule;
pub mod snapshot;

use anyhow::{Context, bail};
use kube::Api;
use kube::api::DynamicObject;
use kube::core::ApiResource;
use serde_json::{Value, json};
use wukong_api::protection::WukongSnapshotStatus;
use wukong_api::{WukongRestore, WukongSnapshot};

use crate::action;
use crate::cluster::{self, Cluster};
use await_end::blocker;

/// The snapshots of the namespace.
pub fn snapshots(cluster: &Cluster) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<WukongSnapshot>(&());
    Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource)
}

/// The restores of the namespace.
pub fn restores(cluster: &Cluster) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<WukongRestore>(&());
    Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource)
}

/// Creates an object with this spec.
async fn create<K>(api: &Api<DynamicObject>, name: &str, spec: Value) -> kube::Result<()>
where
    K: kube::Resource<DynamicType = ()>,
{
    let object = DynamicObject::new(name, &ApiResource::erase::<K>(&()));
    api.create(&action::creation(), &object.data(json!({"spec": spec})))
        .await?;
    Ok(())
}

/// The status of a snapshot of this Wukong, of which disks can be made.
///
/// # Errors
/// There is none of this name, it is of another Wukong, or it is not ready.
async fn ready_snapshot(
    cluster: &Cluster,
    name: &str,
    wukong: &str,
) -> anyhow::Result<WukongSnapshotStatus> {
    let found = snapshots(cluster)
        .get_opt(name)
        .await
        .map_err(cluster::readable)?;
    let found = found.with_context(|| format!("WukongSnapshot {name} does not exist"))?;
    let of = found
        .data
        .pointer("/spec/wukongName")
        .and_then(Value::as_str);
    if of != Some(wukong) {
        bail!("WukongSnapshot {name} is not a snapshot of {wukong}");
    }
    let status = found.data.get("status").cloned().unwrap_or_default();
    let parsed: WukongSnapshotStatus = serde_json::from_value(status.clone()).unwrap_or_default();
    if !parsed.ready_to_use {
        let why = match blocker(&status) {
            why if why.is_empty() => "it is being taken".to_owned(),
            why => why,
        };
        bail!("WukongSnapshot {name} is not ready: {why}");
    }
    Ok(parsed)
}

/// A name for a snapshot or restore of a Wukong: with the time, and short enough for a label.
pub fn timed_name(wukong: &str) -> String {
    let time = jiff::Timestamp::now().strftime("%Y%m%d%H%M%S").to_string();
    let short: String = wukong.chars().take(63 - 1 - time.len()).collect();
    format!("{}-{time}", short.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_the_time_is_a_label() {
        for wukong in ["web", &"a".repeat(63), &format!("{}-b", "a".repeat(47))] {
            let name = timed_name(wukong);
            assert!(name.len() <= 63 && !name.contains("--"), "{name}");
        }
    }
}
