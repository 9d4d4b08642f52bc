//! One run: a scenario with faults, from an empty namespace until nothing changes any more.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::arena::{AGENT, Arena};
use super::fault::{At, Fault};
use super::objects::{Objects, comparable, differences};
use super::process::{self, Process};
use super::scenario::Scenario;
use super::user::User;
use super::wire::Wire;

/// How long an operator may send nothing before a run counts as over. Longer than the pause before the first repetition of any
/// write, and than the pause between reports of progress.
const IDLE: Duration = Duration::from_secs(6);
/// How long a run may take to come to an end after the last wait of its scenario.
const SETTLES: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(100);

/// What a run without faults showed.
pub(super) struct Golden {
    /// Its requests.
    pub trace: Vec<At>,
    /// Its objects at the end.
    pub objects: Objects,
    /// What its operator wrote.
    pub written: BTreeSet<String>,
}

/// What a run with faults showed.
pub(super) struct Outcome {
    /// Whether all faults were injected: a request of the golden run may not come up in another.
    pub injected: bool,
    /// What is wrong; empty if nothing is.
    pub problems: Vec<String>,
}

/// Runs a scenario without faults.
pub(super) async fn golden(arena: &Arena, scenario: Scenario) -> Result<Golden> {
    let run = Run::start(arena, scenario, Vec::new()).await?;
    run.play(scenario).await?;
    let idle = run.idle().await;
    anyhow::ensure!(idle, "{}: requests do not end", scenario.name);
    let golden = Golden {
        trace: run.wire.trace(),
        objects: run.objects(),
        written: run.arena.written(&run.namespace)?,
    };
    run.end().await;
    Ok(golden)
}

/// Runs a scenario with faults and compares it with the golden run.
pub(super) async fn faulty(
    arena: &Arena,
    scenario: Scenario,
    golden: &Golden,
    faults: Vec<Fault>,
) -> Result<Outcome> {
    let planned = faults.len();
    let run = Run::start(arena, scenario, faults).await?;
    let mut problems = Vec::new();
    if let Err(error) = run.play(scenario).await {
        problems.push(format!("{error:#}"));
    } else {
        problems = run.settles_like(golden).await;
    }
    problems.extend(run.process.check().err().map(|error| error.to_string()));
    let written = run.arena.written(&run.namespace)?;
    let foreign = written.difference(&golden.written);
    problems.extend(foreign.map(|object| format!("the operator wrote {object}")));
    let outcome = Outcome {
        injected: run.wire.injected().len() == planned,
        problems,
    };
    run.end().await;
    Ok(outcome)
}

struct Run<'a> {
    arena: &'a Arena,
    namespace: String,
    wire: Wire,
    process: Process,
    user: User,
}

impl<'a> Run<'a> {
    async fn start(arena: &'a Arena, scenario: Scenario, faults: Vec<Fault>) -> Result<Self> {
        let namespace = arena.lab.namespace("run").await?;
        let wire = Wire::new(&namespace, arena.plain.clone(), faults);
        let user = User {
            wire: wire.clone(),
            client: arena.client.clone(),
            namespace: namespace.clone(),
            observed: arena.observed.clone(),
        };
        // Objects of others, with names close to ours.
        for foreign in foreign() {
            user.apply(&foreign).await?;
        }
        let config = process::config(&arena.kubeconfig, &format!("{AGENT}{namespace}")).await?;
        let process = Process::start(
            process::settings(&namespace, scenario.flags)?,
            config,
            wire.clone(),
        );
        Ok(Self {
            arena,
            namespace,
            wire,
            process,
            user,
        })
    }

    async fn play(&self, scenario: Scenario) -> Result<()> {
        (scenario.play)(self.user.clone()).await
    }

    fn objects(&self) -> Objects {
        comparable(&self.arena.observed.space(&self.namespace), &self.namespace)
    }

    /// Waits until the operator sends nothing for a while. Returns false if that takes too long.
    async fn idle(&self) -> bool {
        let end = Instant::now() + SETTLES;
        while self.wire.idle() < IDLE {
            if Instant::now() > end {
                return false;
            }
            sleep(POLL).await;
        }
        true
    }

    /// Waits until the objects are those of the golden run and the operator sends nothing. Returns what is wrong if that takes
    /// too long.
    async fn settles_like(&self, golden: &Golden) -> Vec<String> {
        let end = Instant::now() + SETTLES;
        loop {
            let idle = self.wire.idle() >= IDLE;
            let differences = match idle {
                true => differences(&golden.objects, &self.objects()),
                false => Vec::new(),
            };
            if idle && differences.is_empty() {
                return differences;
            }
            if Instant::now() > end {
                return match idle {
                    true => differences,
                    false => vec!["requests do not end".to_owned()],
                };
            }
            sleep(POLL).await;
        }
    }

    /// Ends the operator and removes the namespace.
    async fn end(self) {
        drop(self.process);
        let namespaces: Api<Namespace> = Api::all(self.arena.client.clone());
        // What is left is removed with the cluster.
        let _ = namespaces
            .delete(&self.namespace, &DeleteParams::background())
            .await;
        self.arena.observed.forget(&self.namespace);
    }
}

fn foreign() -> [serde_json::Value; 2] {
    [
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web.cloud-init-old"}, "stringData": {"userdata": "theirs"}}),
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "web.other"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
    ]
}
