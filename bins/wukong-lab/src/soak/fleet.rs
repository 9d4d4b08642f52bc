//! The Wukongs of a soak, and the changes of their users.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fastrand::Rng;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
};
use kube::core::Status;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::Lab;
use crate::value::{at, set};

const SPACES: usize = 4;
/// Pause between two changes.
const PAUSE: Duration = Duration::from_millis(400);
/// A user repeats what an API server that is away did not take.
const RETRY: Duration = Duration::from_secs(1);
const RETRIES: usize = 60;
/// Bound on the time from the end of a disturbance until all Wukongs have reached their spec.
const CONVERGES: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(250);

/// The spec that a user wants, by namespace and name.
type Wanted = BTreeMap<(String, String), Value>;

/// The Wukongs of a soak.
pub(super) struct Fleet {
    client: Client,
    spaces: Vec<String>,
    wanted: Wanted,
    created: usize,
}

/// A change of a user.
enum Change {
    Apply {
        namespace: String,
        name: String,
        spec: Value,
    },
    Delete {
        namespace: String,
        name: String,
    },
}

impl Fleet {
    /// Creates the first Wukongs.
    pub(super) async fn create(lab: &Lab, count: usize, random: &mut Rng) -> Result<Self> {
        let mut spaces = Vec::new();
        for _ in 0..SPACES {
            spaces.push(lab.namespace("soak").await?);
        }
        let mut fleet = Self {
            client: lab.client_named("soak-user").await?,
            spaces,
            wanted: Wanted::new(),
            created: 0,
        };
        for _ in 0..count {
            let change = fleet.creation(random);
            fleet.carry_out(change).await?;
        }
        Ok(fleet)
    }

    /// Number of Wukongs.
    pub(super) fn len(&self) -> usize {
        self.wanted.len()
    }

    fn creation(&mut self, random: &mut Rng) -> Change {
        self.created += 1;
        let namespace = random.choice(&self.spaces).cloned().unwrap_or_default();
        let mut spec = json!({
            "cpu": 1, "memory": "64Mi", "restartApproval": "Automatic",
            "disks": [{"name": "root", "size": "2Gi", "image": "http://images.example.com/disk.qcow2"},
                      {"name": "data", "size": "1Gi", "reclaimPolicy": "Delete"}],
        });
        if random.bool() {
            set(
                &mut spec,
                "networks",
                json!([{"name": "lan", "type": "bridge"}]),
            );
        }
        Change::Apply {
            namespace,
            name: format!("vm-{}", self.created),
            spec,
        }
    }

    /// So many changes of users, one after the other.
    pub(super) async fn churn(&mut self, changes: usize, random: &mut Rng) -> Result<()> {
        for _ in 0..changes {
            let change = self.change(random);
            self.carry_out(change).await?;
            sleep(PAUSE).await;
        }
        Ok(())
    }

    fn change(&mut self, random: &mut Rng) -> Change {
        let existing: Vec<_> = self.wanted.keys().cloned().collect();
        let Some((namespace, name)) = random.choice(&existing).cloned() else {
            return self.creation(random);
        };
        let spec = self.wanted.get(&(namespace.clone(), name.clone()));
        let mut spec = spec.cloned().unwrap_or_default();
        match random.u8(0..6) {
            0 => return self.creation(random),
            // As many go as come.
            1 => return Change::Delete { namespace, name },
            2 => toggle(&mut spec, "powerState", "Stopped", "Running"),
            3 => toggle(&mut spec, "firmware", "UEFI", "BIOS"),
            4 => grow(&mut spec),
            _ => set(
                &mut spec,
                "terminationGracePeriodSeconds",
                json!(random.u8(1..100)),
            ),
        }
        Change::Apply {
            namespace,
            name,
            spec,
        }
    }

    async fn carry_out(&mut self, change: Change) -> Result<()> {
        match change {
            Change::Apply {
                namespace,
                name,
                spec,
            } => {
                let object = json!({
                    "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong",
                    "metadata": {"name": name}, "spec": spec,
                });
                let api = wukongs(&self.client, &namespace);
                let params = PatchParams::apply("a-user").force();
                let patch = Patch::Apply(&object);
                retried(async || api.patch(&name, &params, &patch).await.map(drop)).await?;
                self.wanted.insert((namespace, name), spec);
            }
            Change::Delete { namespace, name } => {
                let api = wukongs(&self.client, &namespace);
                let params = DeleteParams::background();
                retried(async || match api.delete(&name, &params).await {
                    Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                    other => other.map(drop),
                })
                .await?;
                self.wanted.remove(&(namespace, name));
            }
        }
        Ok(())
    }

    /// Waits until every Wukong has reached its spec and what was deleted is gone. Returns how long that took.
    pub(super) async fn converge(&self) -> Result<Duration> {
        let begin = Instant::now();
        loop {
            let lagging = match self.lagging().await {
                Ok(lagging) if lagging.is_empty() => return Ok(begin.elapsed()),
                Ok(lagging) => lagging.join("\n"),
                Err(error) => format!("{error:#}"),
            };
            if begin.elapsed() > CONVERGES {
                bail!("not converged within {} s:\n{lagging}", CONVERGES.as_secs());
            }
            sleep(POLL).await;
        }
    }

    /// Wukongs and VMs that are not as their users want them.
    async fn lagging(&self) -> Result<Vec<String>> {
        let mut lagging = Vec::new();
        let mut found = Wanted::new();
        for namespace in &self.spaces {
            for wukong in wukongs(&self.client, namespace)
                .list(&ListParams::default())
                .await?
            {
                let wukong = serde_json::to_value(wukong)?;
                let name = at(&wukong, "/metadata/name")
                    .as_str()
                    .context("an object has a name")?;
                found.insert((namespace.clone(), name.to_owned()), wukong);
            }
        }
        for (place @ (namespace, name), spec) in &self.wanted {
            let wukong = found.remove(place).unwrap_or_default();
            let status = at(&wukong, "/status");
            let phase = if at(spec, "/powerState") == "Stopped" {
                "Stopped"
            } else {
                "Running"
            };
            let settled = at(status, "/observedGeneration") == at(&wukong, "/metadata/generation")
                && at(status, "/phase") == phase
                && waits_at_most_for_a_migration(at(status, "/pendingChanges"))
                && at(status, "/blocker").is_null();
            if !settled {
                lagging.push(format!(
                    "{namespace}/{name} is not {phase}: {}",
                    status_of(status)
                ));
            }
        }
        lagging.extend(
            found
                .keys()
                .map(|(namespace, name)| format!("{namespace}/{name} is not gone")),
        );
        let kind = GroupVersionKind::gvk("kubevirt.io", "v1", "VirtualMachine");
        for namespace in &self.spaces {
            let machines: Api<DynamicObject> = Api::namespaced_with(
                self.client.clone(),
                namespace,
                &ApiResource::from_gvk(&kind),
            );
            for machine in machines.list_metadata(&ListParams::default()).await? {
                let place = (namespace.clone(), machine.metadata.name.unwrap_or_default());
                if !self.wanted.contains_key(&place) {
                    lagging.push(format!("the VM {}/{} is not gone", place.0, place.1));
                }
            }
        }
        Ok(lagging)
    }
}

/// Sets a field to `one`, or to `other` if it is `one`.
fn toggle(spec: &mut Value, field: &str, one: &str, other: &str) {
    let is_one = spec.get(field).and_then(Value::as_str) == Some(one);
    set(spec, field, json!(if is_one { other } else { one }));
}

/// Makes the second disk 1 GiB larger.
fn grow(spec: &mut Value) {
    if let Some(size) = spec.pointer_mut("/disks/1/size") {
        let number = size.as_str().and_then(|size| size.strip_suffix("Gi"));
        let number: u32 = number
            .and_then(|number| number.parse().ok())
            .unwrap_or_default();
        *size = json!(format!("{}Gi", number + 1));
    }
}

fn status_of(status: &Value) -> String {
    format!(
        "phase {}, blocker {}, pending {}",
        at(status, "/phase"),
        at(status, "/blocker"),
        at(status, "/pendingChanges")
    )
}

fn wukongs(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("vm.novasphere.dev", "v1alpha1", "Wukong");
    let resource = ApiResource::from_gvk_with_plural(&kind, "wukongs");
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// Repeats a request while the API server is away.
async fn retried(request: impl AsyncFn() -> kube::Result<()>) -> Result<()> {
    let mut attempts = 0;
    loop {
        match request().await {
            Ok(()) => return Ok(()),
            Err(error) if attempts >= RETRIES => return Err(error.into()),
            Err(kube::Error::Api(status)) if is_final(&status) => {
                return Err(kube::Error::Api(status).into());
            }
            Err(_) => {
                attempts += 1;
                sleep(RETRY).await;
            }
        }
    }
}

/// Whether a rejection stays. An API server that has just started rejects every Wukong until it knows the kind of its policies.
fn is_final(status: &Status) -> bool {
    let starting = status.message.contains("failed to configure policy");
    (400..500).contains(&status.code) && status.code != 429 && !starting
}

/// Whether all pending changes are those that a user brings by a live migration: a VM that was created without Multus gets its NIC
/// on the way.
fn waits_at_most_for_a_migration(pending: &Value) -> bool {
    let mut changes = pending.as_array().into_iter().flatten();
    changes.all(|change| at(change, "/effect") == "hot-plug")
}
