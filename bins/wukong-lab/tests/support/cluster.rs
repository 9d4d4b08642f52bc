//! A lab in which the simulator plays.

use serde_json::Value;
use wukong_lab::cluster::audit::{Mark, Requests};
use wukong_lab::cluster::manifests;
use wukong_lab::{
    BootImages, Lab, Operator, OperatorOptions, Options, Process, SimulatorOptions, Upstream,
};

use super::Space;

pub const SHIM: &str = env!("CARGO_BIN_EXE_wukong-lab");

/// Milliseconds that a step of the simulation takes.
const PACE: &str = "30";

/// A lab in which the simulator plays.
pub struct Cluster {
    pub lab: Lab,
    _simulator: Process,
}

impl Cluster {
    /// With the CRDs of all projects but `absent`.
    pub async fn start(name: &str, absent: &[Upstream]) -> Self {
        Self::start_with(name, absent, SimulatorOptions::default()).await
    }

    /// In which real guests boot.
    pub async fn booting(name: &str, images: BootImages) -> Self {
        Self::start_with(name, &[], SimulatorOptions::default().boot(images)).await
    }

    async fn start_with(name: &str, absent: &[Upstream], simulator: SimulatorOptions) -> Self {
        let options = Options::new(name).shim(SHIM);
        let options = absent
            .iter()
            .fold(options, |options, project| options.without(*project));
        let lab = Lab::start(options).await.unwrap();
        let simulator = lab
            .start_simulator(simulator.arg("--pace").arg(PACE))
            .unwrap();
        lab.simulator_ready().await.unwrap();
        Self {
            lab,
            _simulator: simulator,
        }
    }

    /// With the CRDs of all projects, and an operator that is never stopped.
    pub async fn with_operator(name: &str) -> (Self, Operator) {
        let cluster = Self::start(name, &[]).await;
        let operator = cluster.operator().await;
        (cluster, operator)
    }

    /// Starts an operator and waits until it knows the cluster.
    pub async fn operator(&self) -> Operator {
        let operator = self.operator_with(OperatorOptions::default()).await;
        operator.ready().await.unwrap();
        operator
    }

    /// The same for an operator that makes bridges on nodes, with the role for it.
    pub async fn bridge_maker(&self) -> Operator {
        let client = self.lab.client().await.unwrap();
        for file in ["cluster-role.yaml", "operator-makes-bridges.yaml"] {
            let path = manifests::repository("deploy/node-networks").join(file);
            manifests::apply(&client, &path, "default").await.unwrap();
        }
        let options = OperatorOptions::default().arg("--manage-node-networks");
        let operator = self.operator_with(options).await;
        operator.ready().await.unwrap();
        operator
    }

    pub async fn operator_with(&self, options: OperatorOptions) -> Operator {
        self.lab.start_operator(options).await.unwrap()
    }

    /// A namespace of its own for a test.
    pub async fn space(&self, prefix: &str) -> Space<'_> {
        let name = self.lab.namespace(prefix).await.unwrap();
        Space::existing(self, &name).await
    }

    /// What the operator asked since then, without its watches, leases and events.
    pub fn asked(&self, mark: Mark) -> Requests {
        operators(self.lab.audit().since(mark).unwrap())
    }
}

/// What the operator asked, without its watches, leases and events.
pub fn operators(requests: Requests) -> Requests {
    requests
        .of_user(wukong_lab::cluster::operator::USER)
        .complete()
        .filter(|request| !request.is_watch() && !request.is_lease() && !request.is_event())
}

/// The last lines of the operators' logs that name a namespace.
pub fn operator_log(lab: &Lab, namespace: &str) -> String {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(lab.dir().join("logs"))
        .into_iter()
        .flatten()
    {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains("operator-") {
            let text = std::fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            lines.extend(
                text.lines()
                    .filter(|line| line.contains(namespace))
                    .map(str::to_owned),
            );
        }
    }
    lines.split_off(lines.len().saturating_sub(30)).join("\n")
}

/// An object for a message, without the fields that do not help a reader.
pub fn shown(object: &Value) -> String {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    serde_json::to_string_pretty(&object).unwrap()
}
