//! Metadata and notes of the chart.

use serde_json::json;

/// Returns the content of Chart.yaml.
pub fn chart_yaml(version: &str) -> anyhow::Result<String> {
    Ok(serde_saphyr::to_string(&json!({
        "apiVersion": "v2",
        "name": "wukong-operator",
        "description": "Complete virtual machines on Kubernetes from one manifest",
        "type": "application",
        "version": version,
        "appVersion": version,
        "kubeVersion": ">=1.33.0-0",
    }))?)
}

/// Text that `helm install` prints at the end.
pub const NOTES: &str = "\
The Wukong operator is installed in {{ .Release.Namespace }}.

  kubectl -n {{ .Release.Namespace }} rollout status deployment/wukong-operator
  kubectl wukong preflight

Enforce the Pod Security level `restricted` in this namespace; the operator complies with it:

  kubectl label namespace {{ .Release.Namespace }} pod-security.kubernetes.io/enforce=restricted
";
