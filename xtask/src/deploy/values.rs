//! What whoever installs the chart may set.

/// A value of the chart.
pub struct Setting {
    /// Path in values.yaml, with dots.
    pub path: &'static str,
    /// What it means, for whoever installs.
    pub about: &'static str,
    /// What it may be, as JSON schema.
    pub schema: &'static str,
    pub place: Place,
}

/// What a value changes. The default is what the manifest says there.
pub enum Place {
    /// A field, by JSON pointer, of the only object of that kind, or of the one called `kind/name`.
    Field(&'static str, &'static str),
    /// An environment variable of the operator.
    Env(&'static str),
    /// Registry and name of the operator's image.
    ImageName,
    /// A part of the operator's image that is left out when empty.
    ImagePart,
    /// Whether objects are installed.
    Switch(Objects, bool),
    /// Whether objects are installed where this version of Kubernetes, or a newer one, runs; on an older one they always are.
    SwitchFrom(Objects, &'static str),
    /// Whether objects are installed, which the operator is told by an environment variable.
    SwitchAndEnv(Objects, &'static str),
}

/// Objects that are installed together or not at all.
pub enum Objects {
    OfKind(&'static str),
    /// By their file, or the folder of it.
    OfPath(&'static str),
}

use Objects::{OfKind, OfPath};
use Place::{Env, Field, ImageName, ImagePart, Switch, SwitchAndEnv, SwitchFrom};

const BOOLEAN: &str = r#"{"type": "boolean"}"#;
const OBJECT: &str = r#"{"type": "object"}"#;
const OBJECTS: &str = r#"{"type": "array", "items": {"type": "object"}}"#;
const TEXT: &str = r#"{"type": "string", "minLength": 1}"#;
const UP_TO_1024: &str = r#"{"type": "integer", "minimum": 1, "maximum": 1024}"#;

pub const SETTINGS: &[Setting] = &[
    Setting {
        path: "image.repository",
        about: "Registry and name of the image",
        schema: TEXT,
        place: ImageName,
    },
    Setting {
        path: "image.tag",
        about: "Tag of the image. If empty, the version of the chart",
        schema: r#"{"type": "string"}"#,
        place: ImagePart,
    },
    Setting {
        path: "image.digest",
        about: "Digest of the image (`sha256:...`). It takes precedence over the tag",
        schema: r#"{"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"}"#,
        place: ImagePart,
    },
    Setting {
        path: "image.pullPolicy",
        about: "Pull policy of the image",
        schema: r#"{"enum": ["Always", "IfNotPresent", "Never"]}"#,
        place: Field(
            "Deployment",
            "/spec/template/spec/containers/0/imagePullPolicy",
        ),
    },
    Setting {
        path: "image.pullSecrets",
        about: "Pull Secrets for a private registry, each as `name: ...`",
        schema: OBJECTS,
        place: Field("Deployment", "/spec/template/spec/imagePullSecrets"),
    },
    Setting {
        path: "replicas",
        about: "Number of replicas. One is the leader, the others are on standby",
        schema: r#"{"type": "integer", "minimum": 0, "maximum": 5}"#,
        place: Field("Deployment", "/spec/replicas"),
    },
    Setting {
        path: "settings.logLevel",
        about: "Level of the logs: `error`, `warn`, `info`, `debug`, or filters such as `info,wukong_operator=debug`",
        schema: TEXT,
        place: Env("WUKONG_LOG_LEVEL"),
    },
    Setting {
        path: "settings.logFormat",
        about: "Format of the logs: `json` or `text`",
        schema: r#"{"enum": ["json", "text"]}"#,
        place: Env("WUKONG_LOG_FORMAT"),
    },
    Setting {
        path: "settings.osImagePrefix",
        about: "Prefix of short image names such as `ubuntu:24.04`",
        schema: TEXT,
        place: Env("WUKONG_OS_IMAGE_PREFIX"),
    },
    Setting {
        path: "settings.deniedHosts",
        about: "Hosts whose images the operator rejects: names (with their subdomains) and networks, separated by commas",
        schema: TEXT,
        place: Env("WUKONG_DENIED_HOSTS"),
    },
    Setting {
        path: "settings.concurrency",
        about: "Maximum number of Wukongs that are reconciled at once",
        schema: UP_TO_1024,
        place: Env("WUKONG_CONCURRENCY"),
    },
    Setting {
        path: "settings.maxInFlight",
        about: "Maximum number of concurrent requests to the API server",
        schema: UP_TO_1024,
        place: Env("WUKONG_MAX_IN_FLIGHT"),
    },
    Setting {
        path: "settings.leaseSeconds",
        about: "Seconds after the last renewal of the Lease until another replica takes over",
        schema: r#"{"type": "integer", "minimum": 3, "maximum": 600}"#,
        place: Env("WUKONG_LEASE_SECONDS"),
    },
    Setting {
        path: "resources",
        about: "Resource requests and limits of the operator's container",
        schema: OBJECT,
        place: Field("Deployment", "/spec/template/spec/containers/0/resources"),
    },
    Setting {
        path: "priorityClassName",
        about: "PriorityClass of the operator's pods",
        schema: TEXT,
        place: Field("Deployment", "/spec/template/spec/priorityClassName"),
    },
    Setting {
        path: "podAnnotations",
        about: "Annotations of the operator's pods",
        schema: r#"{"type": "object", "additionalProperties": {"type": "string"}}"#,
        place: Field("Deployment", "/spec/template/metadata/annotations"),
    },
    Setting {
        path: "nodeSelector",
        about: "Node selector of the operator's pods",
        schema: r#"{"type": "object", "additionalProperties": {"type": "string"}}"#,
        place: Field("Deployment", "/spec/template/spec/nodeSelector"),
    },
    Setting {
        path: "tolerations",
        about: "Tolerations of the operator's pods",
        schema: OBJECTS,
        place: Field("Deployment", "/spec/template/spec/tolerations"),
    },
    Setting {
        path: "affinity",
        about: "Affinity of the operator's pods",
        schema: OBJECT,
        place: Field("Deployment", "/spec/template/spec/affinity"),
    },
    Setting {
        path: "topologySpreadConstraints",
        about: "Topology spread constraints of the operator's pods",
        schema: OBJECTS,
        place: Field(
            "Deployment",
            "/spec/template/spec/topologySpreadConstraints",
        ),
    },
    Setting {
        path: "networkPolicy.enabled",
        about: "Install a NetworkPolicy that allows only `ingress` and `egress`",
        schema: BOOLEAN,
        place: Switch(OfKind("NetworkPolicy"), true),
    },
    Setting {
        path: "networkPolicy.ingress",
        about: "Ingress rules: who may read the metrics",
        schema: OBJECTS,
        place: Field("NetworkPolicy", "/spec/ingress"),
    },
    Setting {
        path: "networkPolicy.egress",
        about: "Egress rules: where the API server is. Restrict them to its address if you know it",
        schema: OBJECTS,
        place: Field("NetworkPolicy", "/spec/egress"),
    },
    Setting {
        path: "policies.violations",
        about: "Action for a Wukong that a WukongPolicy does not allow: `Deny` rejects it, `Warn` and `Audit` only report it",
        schema: r#"{"type": "array", "minItems": 1, "items": {"enum": ["Warn", "Audit", "Deny"]}}"#,
        place: Field(
            "ValidatingAdmissionPolicyBinding/wukong-policy",
            "/spec/validationActions",
        ),
    },
    Setting {
        path: "crds.install",
        about: "Install and upgrade the CustomResourceDefinitions with the chart. They stay when you uninstall the chart",
        schema: BOOLEAN,
        place: Switch(OfKind("CustomResourceDefinition"), true),
    },
    Setting {
        path: "diagnosis.enabled",
        about: "Install the ClusterRole for diagnosis of the cluster (nodes, KubeVirt pods, drivers). Without it, `EnvironmentReady` is `Unknown`",
        schema: BOOLEAN,
        place: Switch(OfPath("rbac/11-diagnosis-role.yaml"), true),
    },
    Setting {
        path: "lists.enabled",
        about: "Install the ClusterRole to list what the operator watches, for Kubernetes with the feature gate WatchList disabled. Kubernetes 1.33 always gets it",
        schema: BOOLEAN,
        place: SwitchFrom(OfPath("lists/"), "1.34.0"),
    },
    Setting {
        path: "nodeNetworks.enabled",
        about: "Create bridges on nodes through NMState for `networks[].nodeNetwork`",
        schema: BOOLEAN,
        place: SwitchAndEnv(OfPath("node-networks/"), "WUKONG_MANAGE_NODE_NETWORKS"),
    },
    Setting {
        path: "userRoles.enabled",
        about: "Extend the cluster's view, edit and admin roles to Wukongs, and the view role to WukongPolicies",
        schema: BOOLEAN,
        place: Switch(OfPath("rbac/30-user-roles.yaml"), true),
    },
    Setting {
        path: "serviceMonitor.enabled",
        about: "Install a ServiceMonitor. It needs the Prometheus operator",
        schema: BOOLEAN,
        place: Switch(OfKind("ServiceMonitor"), false),
    },
    Setting {
        path: "serviceMonitor.endpoints",
        about: "Endpoints of the ServiceMonitor",
        schema: OBJECTS,
        place: Field("ServiceMonitor", "/spec/endpoints"),
    },
    Setting {
        path: "prometheusRule.enabled",
        about: "Install a PrometheusRule with alerts. It needs the Prometheus operator",
        schema: BOOLEAN,
        place: Switch(OfKind("PrometheusRule"), false),
    },
    Setting {
        path: "namespace.create",
        about: "Include the namespace in the objects, for `helm template`. `helm install` needs an existing namespace",
        schema: BOOLEAN,
        place: Switch(OfKind("Namespace"), false),
    },
];
