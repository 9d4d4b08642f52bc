//! WukongPolicies from files, a dump or the cluster, and their violations by a manifest.

use std::collections::BTreeMap;
use std::path::PathBuf;

use k8s_openapi::api::core::v1 as core;
use kube::{Api, ResourceExt};
use serde_json::Value;
use wukong_api::policy::Namespace;
use wukong_api::validate::Problem;
use wukong_api::{Wukong, WukongPolicy};
use wukong_engine::facts::Presence;

use crate::cluster::{self, Cluster};
use crate::manifest::{self, Manifest, Refused};

/// Flags that name files with policies.
#[derive(Clone, Debug, clap::Args)]
pub struct PolicyFileArgs {
    /// File with WukongPolicies that the manifests have to meet. Namespaces in the file supply their labels; without
    /// them, a policy that selects namespaces by label applies
    #[arg(long = "policy", value_name = "FILE")]
    pub policy_files: Vec<PathBuf>,
}

/// WukongPolicies, and the labels of namespaces.
#[derive(Debug, Default)]
pub struct Policies {
    pub presence: Presence,
    policies: Vec<WukongPolicy>,
    labels: BTreeMap<String, BTreeMap<String, String>>,
}

impl Policies {
    /// Reads the policies of files.
    ///
    /// # Errors
    /// A file that cannot be read, or a policy that the API server would refuse.
    pub fn of_files(files: &[PathBuf]) -> anyhow::Result<Self> {
        let mut objects = Vec::new();
        for file in files {
            objects.extend(manifest::documents(file)?);
        }
        let known = Self::of_objects(objects)?;
        anyhow::ensure!(
            known.presence == Presence::Served,
            "no WukongPolicy in the files of --policy"
        );
        Ok(known)
    }

    /// Reads the policies among some objects. Without any, their presence is unknown.
    ///
    /// # Errors
    /// A policy that the API server would refuse.
    pub fn of_objects(objects: Vec<Value>) -> anyhow::Result<Self> {
        let mut known = Self::default();
        for object in objects {
            if manifest::is_policy(&object) {
                known.policies.push(manifest::policy(object)?);
                known.presence = Presence::Served;
            } else if object.get("kind").is_some_and(|kind| kind == "Namespace") {
                known.learn(&serde_json::from_value(object)?);
            }
        }
        Ok(known)
    }

    /// Reads the policies of the cluster.
    ///
    /// # Errors
    /// The API server cannot be reached.
    pub async fn of_cluster(cluster: &Cluster) -> anyhow::Result<Self> {
        let api: Api<WukongPolicy> = Api::all(cluster.client.clone());
        let (presence, policies) = match api.list(&Default::default()).await {
            Ok(list) => (Presence::Served, list.items),
            Err(error) => (cluster::unseen(error)?, Vec::new()),
        };
        Ok(Self {
            presence,
            policies,
            labels: BTreeMap::new(),
        })
    }

    /// Reads the labels of the namespace, if permitted.
    ///
    /// # Errors
    /// The API server cannot be reached.
    pub async fn read_namespace(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        let api: Api<core::Namespace> = Api::all(cluster.client.clone());
        match api.get(&cluster.namespace).await {
            Ok(namespace) => self.learn(&namespace),
            Err(error) => {
                cluster::unseen(error)?;
            }
        }
        Ok(())
    }

    fn learn(&mut self, namespace: &core::Namespace) {
        self.labels
            .insert(namespace.name_any(), namespace.labels().clone());
    }

    /// Returns every violation by a Wukong. `before` is the stored one.
    pub fn problems(&self, wukong: &Wukong, before: Option<&Wukong>) -> Vec<Problem> {
        let name = wukong.namespace().unwrap_or_default();
        let namespace = Namespace {
            labels: self.labels.get(&name).cloned(),
            name,
        };
        self.policies
            .iter()
            .filter(|policy| policy.is_about(&namespace))
            .flat_map(|policy| policy.problems(wukong, before))
            .collect()
    }

    /// Refuses new Wukongs that violate a policy.
    ///
    /// # Errors
    /// Every violation.
    pub fn hold(&self, manifests: &[Manifest]) -> Result<(), Refused> {
        let checked = manifests
            .iter()
            .map(|manifest| (manifest.to_string(), self.problems(&manifest.wukong, None)));
        let refused: Vec<_> = checked
            .filter(|(_, problems)| !problems.is_empty())
            .collect();
        match refused.is_empty() {
            true => Ok(()),
            false => Err(Refused(refused)),
        }
    }
}
