//! KubeVirt's subresources: calls on a VirtualMachine or its instance.

use anyhow::{Context, bail};
use http::Request;
use http::header::ACCEPT;

use crate::cluster::{self, Cluster};

/// The two kinds that have subresources.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum On {
    Machine,
    Instance,
}

/// Result of a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// KubeVirt accepted the call.
    Accepted,
    /// The state of the VM does not allow the call, or the VM is in the desired state already; the message of KubeVirt.
    Conflict(String),
}

/// Returns the path of a subresource.
pub fn path(cluster: &Cluster, on: On, name: &str, call: &str) -> String {
    let kind = match on {
        On::Machine => "virtualmachines",
        On::Instance => "virtualmachineinstances",
    };
    let namespace = &cluster.namespace;
    format!("/apis/subresources.kubevirt.io/v1/namespaces/{namespace}/{kind}/{name}/{call}")
}

/// Calls a subresource that changes something.
///
/// KubeVirt answers a request for JSON with 406, a call that is in progress already with 500, and a call that does not fit
/// the state of the VM with 409.
pub async fn call(cluster: &Cluster, on: On, name: &str, call: &str) -> anyhow::Result<Outcome> {
    let request = Request::put(path(cluster, on, name, call))
        .header(ACCEPT, "*/*")
        .body(b"{}".to_vec())?;
    match cluster.client.request_text(request).await {
        Ok(_) => Ok(Outcome::Accepted),
        Err(kube::Error::Api(status)) => match status.code {
            409 => Ok(Outcome::Conflict(status.message.clone())),
            500 if status.message.contains("already underway") => Ok(Outcome::Accepted),
            404 => bail!("KubeVirt cannot {call} {name}: {}", status.message),
            _ => bail!("KubeVirt refuses to {call} {name}: {}", status.message),
        },
        Err(error) => {
            Err(cluster::readable(error)).with_context(|| format!("cannot {call} {name}"))
        }
    }
}
