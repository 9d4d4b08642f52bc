//! The control plane's programs: taken from `KUBEBUILDER_ASSETS`, from the cache, or built with Go on first use.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::go::{self, Module, Program};
use super::progress::Progress;

const KUBERNETES: &str = "v1.36.3";
const ETCD: &str = "3.6.16";

/// Where the programs of a control plane are.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// etcd.
    pub etcd: PathBuf,
    /// kube-apiserver.
    pub kube_apiserver: PathBuf,
    /// kube-controller-manager; archives for `KUBEBUILDER_ASSETS` usually lack it.
    pub kube_controller_manager: Option<PathBuf>,
    /// kubectl.
    pub kubectl: PathBuf,
}

static ETCD_MODULE: Module = Module {
    name: "etcd",
    go_mod: include_str!("../../control-plane/etcd/go.mod"),
    go_sum: include_str!("../../control-plane/etcd/go.sum"),
    tools: include_str!("../../control-plane/etcd/tools.go"),
};

static KUBERNETES_MODULE: Module = Module {
    name: "kubernetes",
    go_mod: include_str!("../../control-plane/kubernetes/go.mod"),
    go_sum: include_str!("../../control-plane/kubernetes/go.sum"),
    tools: include_str!("../../control-plane/kubernetes/tools.go"),
};

const PROGRAMS: [Program; 4] = [
    Program {
        name: "etcd",
        package: "go.etcd.io/etcd/server/v3",
        module: &ETCD_MODULE,
        about: "about a minute",
    },
    Program {
        name: "kube-apiserver",
        package: "k8s.io/kubernetes/cmd/kube-apiserver",
        module: &KUBERNETES_MODULE,
        about: "about 6 minutes, the longest",
    },
    Program {
        name: "kube-controller-manager",
        package: "k8s.io/kubernetes/cmd/kube-controller-manager",
        module: &KUBERNETES_MODULE,
        about: "about a minute",
    },
    Program {
        name: "kubectl",
        package: "k8s.io/kubernetes/cmd/kubectl",
        module: &KUBERNETES_MODULE,
        about: "about half a minute",
    },
];

impl Binaries {
    /// Finds the programs, building them when this machine has none yet.
    ///
    /// Errors when there is neither `KUBEBUILDER_ASSETS` nor a Go toolchain, or when a build fails.
    pub async fn locate(progress: &Progress) -> Result<Self> {
        if let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS") {
            return Self::from_assets(Path::new(&assets));
        }
        let minor = KUBERNETES.split('.').nth(1).unwrap_or_default();
        let version = "k8s.io/component-base/version";
        let set = go::Set {
            name: "control-plane",
            version: &format!("{KUBERNETES}+etcd-{ETCD}"),
            programs: &PROGRAMS,
            tags: "",
            variables: &format!(
                "-X {version}.gitVersion={KUBERNETES} -X {version}.gitMajor=1 -X {version}.gitMinor={minor}"
            ),
            about: &format!(
                "building Kubernetes {KUBERNETES} and etcd {ETCD} with Go, once. \
                 Two cores take 6 to 10 minutes; it needs no container engine."
            ),
            without_go: &format!(
                "the lab needs a Kubernetes control plane, and there is none on this machine yet. Two ways out:\n  \
                 - install Go 1.26 or newer: the lab then builds etcd {ETCD} and Kubernetes {KUBERNETES} itself, once; or\n  \
                 - set KUBEBUILDER_ASSETS to a directory that has etcd, kube-apiserver and kubectl \
                 (and kube-controller-manager, for garbage collection)"
            ),
        };
        Ok(Self::in_dir(&set.locate(progress).await?))
    }

    fn from_assets(dir: &Path) -> Result<Self> {
        let mut found = Self::in_dir(dir);
        for program in [&found.etcd, &found.kube_apiserver, &found.kubectl] {
            if !program.exists() {
                bail!(
                    "KUBEBUILDER_ASSETS is set, but there is no {}",
                    program.display()
                );
            }
        }
        found.kube_controller_manager = found
            .kube_controller_manager
            .filter(|program| program.exists());
        Ok(found)
    }

    fn in_dir(dir: &Path) -> Self {
        Self {
            etcd: dir.join("etcd"),
            kube_apiserver: dir.join("kube-apiserver"),
            kube_controller_manager: Some(dir.join("kube-controller-manager")),
            kubectl: dir.join("kubectl"),
        }
    }
}
