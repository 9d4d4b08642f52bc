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
        about: "Tag of the image; empty: the version of the chart",
        schema: r#"{"type": "string"}"#,
        place: ImagePart,
    },
    Setting {
        path: "image.digest",
        about: "Digest of the image (`sha256:...`), which goes before the tag",
        schema: r#"{"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"}"#,
        place: ImagePart,
    },
    Setting {
        path: "image.pullPolicy",
        about: "When the image is pulled",
        schema: r#"{"enum": ["Always", "IfNotPresent", "Never"]}"#,
        place: Field(
            "Deployment",
            "/spec/template/spec/containers/0/imagePullPolicy",
        ),
    },
    Setting {
        path: "image.pullSecrets",
        about: "Secrets for a private registry, each as `name: ...`",
        schema: OBJECTS,
        place: Field("Deployment", "/spec/template/spec/imagePullSecrets"),
    },
    Setting {
        path: "replicas",
        about: "How many operators run; one works, the others stand by",
        schema: r#"{"type": "integer", "minimum": 0, "maximum": 5}"#,
        place: Field("Deployment", "/spec/replicas"),
    },
    Setting {
        path: "settings.logLevel",
        about: "`error`, `warn`, `info`, `debug`, or filters such as `info,wukong_operator=debug`",
        schema: TEXT,
        place: Env("WUKONG_LOG_LEVEL"),
    },
    Setting {
        path: "settings.logFormat",
        about: "`json` or `text`",
        schema: r#"{"enum": ["json", "text"]}"#,
        place: Env("WUKONG_LOG_FORMAT"),
    },
    Setting {
        path: "settings.osImagePrefix",
        about: "Put before a short image name such as `ubuntu:24.04`",
        schema: TEXT,
        place: Env("WUKONG_OS_IMAGE_PREFIX"),
    },
    Setting {
        path: "settings.deniedHosts",
        about: "Hosts that no image may come from: names (with their subdomains) and networks, separated by commas",
        schema: TEXT,
        place: Env("WUKONG_DENIED_HOSTS"),
    },
    Setting {
        path: "settings.concurrency",
        about: "How many Wukongs are worked on at once",
        schema: UP_TO_1024,
        place: Env("WUKONG_CONCURRENCY"),
    },
    Setting {
        path: "settings.maxInFlight",
        about: "How many writes to the API server may be under way at once",
        schema: UP_TO_1024,
        place: Env("WUKONG_MAX_IN_FLIGHT"),
    },
    Setting {
        path: "settings.leaseSeconds",
        about: "How many seconds after the last sign of life of a leader another replica takes over",
        schema: r#"{"type": "integer", "minimum": 3, "maximum": 600}"#,
        place: Env("WUKONG_LEASE_SECONDS"),
    },
    Setting {
        path: "resources",
        about: "Requests and limits of the operator's container",
        schema: OBJECT,
        place: Field("Deployment", "/spec/template/spec/containers/0/resources"),
    },
    Setting {
        path: "priorityClassName",
        about: "Priority of the operator's pods",
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
        about: "Labels of the nodes that the operator may run on",
        schema: r#"{"type": "object", "additionalProperties": {"type": "string"}}"#,
        place: Field("Deployment", "/spec/template/spec/nodeSelector"),
    },
    Setting {
        path: "tolerations",
        about: "Taints that the operator's pods tolerate",
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
        about: "How the operator's pods are spread",
        schema: OBJECTS,
        place: Field(
            "Deployment",
            "/spec/template/spec/topologySpreadConstraints",
        ),
    },
    Setting {
        path: "networkPolicy.enabled",
        about: "Whether a NetworkPolicy closes everything but `ingress` and `egress`",
        schema: BOOLEAN,
        place: Switch(OfKind("NetworkPolicy"), true),
    },
    Setting {
        path: "networkPolicy.ingress",
        about: "Who may read the metrics",
        schema: OBJECTS,
        place: Field("NetworkPolicy", "/spec/ingress"),
    },
    Setting {
        path: "networkPolicy.egress",
        about: "Where the API server is; narrow it to its address when that is known",
        schema: OBJECTS,
        place: Field("NetworkPolicy", "/spec/egress"),
    },
    Setting {
        path: "policies.violations",
        about: "What becomes of a Wukong that a WukongPolicy does not allow: `Deny`, or `Warn` and `Audit` to see who would be refused",
        schema: r#"{"type": "array", "minItems": 1, "items": {"enum": ["Warn", "Audit", "Deny"]}}"#,
        place: Field(
            "ValidatingAdmissionPolicyBinding/wukong-policy",
            "/spec/validationActions",
        ),
    },
    Setting {
        path: "crds.install",
        about: "Whether the CustomResourceDefinitions are installed and upgraded with the chart. They stay when the chart is removed",
        schema: BOOLEAN,
        place: Switch(OfKind("CustomResourceDefinition"), true),
    },
    Setting {
        path: "diagnosis.enabled",
        about: "Whether the operator may read what it says of the cluster itself (nodes, pods of KubeVirt, drivers); without it, `EnvironmentReady` is `Unknown`",
        schema: BOOLEAN,
        place: Switch(OfPath("rbac/11-diagnosis-role.yaml"), true),
    },
    Setting {
        path: "lists.enabled",
        about: "Whether the operator may list what it watches: for Kubernetes with the feature gate WatchList switched off. On 1.33 it always may",
        schema: BOOLEAN,
        place: SwitchFrom(OfPath("lists/"), "1.34.0"),
    },
    Setting {
        path: "nodeNetworks.enabled",
        about: "Whether the operator makes bridges on nodes, through NMState, for Wukongs that ask for it (`networks[].nodeNetwork`)",
        schema: BOOLEAN,
        place: SwitchAndEnv(OfPath("node-networks/"), "WUKONG_MANAGE_NODE_NETWORKS"),
    },
    Setting {
        path: "userRoles.enabled",
        about: "Whether the cluster's view, edit and admin roles speak of Wukongs, and the view role of WukongPolicies",
        schema: BOOLEAN,
        place: Switch(OfPath("rbac/30-user-roles.yaml"), true),
    },
    Setting {
        path: "serviceMonitor.enabled",
        about: "Whether a ServiceMonitor is installed; it needs the Prometheus operator",
        schema: BOOLEAN,
        place: Switch(OfKind("ServiceMonitor"), false),
    },
    Setting {
        path: "serviceMonitor.endpoints",
        about: "How the metrics are read",
        schema: OBJECTS,
        place: Field("ServiceMonitor", "/spec/endpoints"),
    },
    Setting {
        path: "prometheusRule.enabled",
        about: "Whether a PrometheusRule with alerts is installed; it needs the Prometheus operator",
        schema: BOOLEAN,
        place: Switch(OfKind("PrometheusRule"), false),
    },
    Setting {
        path: "namespace.create",
        about: "Whether the namespace is among the objects: for `helm template`. `helm install` needs it before",
        schema: BOOLEAN,
        place: Switch(OfKind("Namespace"), false),
    },
];
