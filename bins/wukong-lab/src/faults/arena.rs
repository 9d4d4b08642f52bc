//! The cluster in which runs take place side by side, each in a namespace of its own.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use super::observed::Observed;
use crate::cluster::audit::{AuditLog, Mark};
use crate::cluster::{manifests, operator};
use crate::{Lab, Options, Process, Progress, SimulatorOptions};

/// How the operators of runs call themselves in the audit log; the name of their namespace follows.
pub(super) const AGENT: &str = "wukong-faults/";
/// Milliseconds that a step of the simulation takes.
const PACE: &str = "20";

/// A cluster for runs.
pub(super) struct Arena {
    pub lab: Lab,
    /// As an administrator.
    pub client: Client,
    /// With the operator's account, for the wires themselves.
    pub plain: Client,
    pub kubeconfig: PathBuf,
    pub observed: Observed,
    audit: Mutex<Audit>,
    _simulator: Process,
}

struct Audit {
    log: AuditLog,
    mark: Mark,
    /// Objects that each operator wrote, with their namespace, by the agent.
    written: HashMap<String, BTreeSet<String>>,
}

impl Arena {
    /// Starts a cluster with a simulator.
    pub(super) async fn start(
        name: &str,
        shim: Option<PathBuf>,
        progress: &Progress,
    ) -> Result<Self> {
        // An error only means that a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let options = Options::new(name).progress(progress.clone());
        let options = match shim {
            Some(shim) => options.shim(shim),
            None => options,
        };
        let lab = Lab::start(options).await?;
        let simulator = lab.start_simulator(SimulatorOptions::default().arg("--pace").arg(PACE))?;
        lab.simulator_ready().await?;
        let client = lab.client_named("wukong-faults-user").await?;
        rights(&client).await?;
        let audit = Audit {
            log: lab.audit(),
            mark: lab.audit().mark(),
            written: HashMap::new(),
        };
        Ok(Self {
            observed: Observed::start(&client),
            plain: lab.operator_client("wukong-faults-wire").await?,
            kubeconfig: lab.operator_kubeconfig().to_owned(),
            client,
            lab,
            audit: Mutex::new(audit),
            _simulator: simulator,
        })
    }

    /// The objects that the operator of a namespace wrote or tried to write, by the audit log: `resource NAMESPACE/name`.
    pub(super) fn written(&self, namespace: &str) -> Result<BTreeSet<String>> {
        let mut audit = self.audit.lock().unwrap_or_else(PoisonError::into_inner);
        let Audit { log, mark, written } = &mut *audit;
        for request in log.read_on(mark)?.writes().iter() {
            let Some(operator) = request.user_agent.strip_prefix(AGENT) else {
                continue;
            };
            // The names of events are random, and those of Leases and node policies derive from the run.
            let named = request.namespace == operator && !request.is_event();
            let name = if named { &*request.name } else { "" };
            let place = match request.namespace == operator {
                true => "NAMESPACE",
                false => &request.namespace,
            };
            let object = format!("{} {place}/{name}", request.resource);
            written
                .entry(operator.to_owned())
                .or_default()
                .insert(object);
        }
        Ok(written.remove(namespace).unwrap_or_default())
    }
}

/// What scenarios need besides the shipped roles: bridges on nodes, a Lease for each operator, and a KubeVirt that plugs NICs
/// into running VMs.
async fn rights(client: &Client) -> Result<()> {
    for file in ["cluster-role.yaml", "operator-makes-bridges.yaml"] {
        let path = manifests::repository("deploy/node-networks").join(file);
        manifests::apply(client, &path, "default").await?;
    }
    let params = PatchParams::apply("wukong-faults").force();
    let roles: Api<Role> = Api::namespaced(client.clone(), operator::NAMESPACE);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "wukong-faults-leases"},
        "rules": [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["list", "watch", "update"]}],
    });
    roles
        .patch("wukong-faults-leases", &params, &Patch::Apply(role))
        .await?;
    let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), operator::NAMESPACE);
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "wukong-faults-leases"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "wukong-faults-leases"},
        "subjects": [{"kind": "ServiceAccount", "name": operator::SERVICE_ACCOUNT, "namespace": operator::NAMESPACE}],
    });
    bindings
        .patch("wukong-faults-leases", &params, &Patch::Apply(binding))
        .await?;
    let kind = GroupVersionKind::gvk("kubevirt.io", "v1", "KubeVirt");
    let kubevirts: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), "kubevirt", &ApiResource::from_gvk(&kind));
    let methods =
        json!({"spec": {"workloadUpdateStrategy": {"workloadUpdateMethods": ["LiveMigrate"]}}});
    kubevirts
        .patch("kubevirt", &PatchParams::default(), &Patch::Merge(methods))
        .await?;
    Ok(())
}

/// Counts the panics of this process. A reconcile that panics is a bug, and is not noticed otherwise: the operator goes on.
pub(super) fn count_panics() -> Arc<Mutex<Vec<String>>> {
    let panics = Arc::new(Mutex::new(Vec::new()));
    let (seen, before) = (Arc::clone(&panics), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        seen.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(panic.to_string());
        before(panic);
    }));
    panics
}
