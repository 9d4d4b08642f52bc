//! WukongPolicies, from files, from a dump or from the cluster, and what they do not allow of a manifest.

use std::collections::BTreeMap;
use std::path::PathBuf;

use k8s_openapi::api::core::v1 as core;
use kube::{Api, ResourceExt};
use serde_json::Value;
use wukong_api::policy::Namespace;
use wukong_api::validate::Problem;
use wukong_api::{Wukong, WukongPolicy};
use wukong_engine::store::Presence;

use crate::cluster::{self, Cluster};
use crate::manifest::{self, Manifest, Refused};

/// Where the policies are.
#[derive(Clone, Debug, clap::Args)]
pub struct PolicyFileArgs {
    /// File with WukongPolicies that the manifests are held to. Namespaces in it tell their labels; where these are not
    /// known, a policy that asks for labels counts
    #[arg(long = "policy", value_name = "FILE")]
    pub policy_files: Vec<PathBuf>,
}

/// WukongPolicies, and what is known of namespaces.
#[derive(Debug, Default)]
pub struct Policies {
    pub presence: Presence,
    policies: Vec<WukongPolicy>,
    labels: BTreeMap<String, BTreeMap<String, String>>,
}

impl Policies {
    /// Those of files.
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
            "there is no WukongPolicy in the files given as --policy"
        );
        Ok(known)
    }

    /// Those among some objects. Without any, nothing is known of policies.
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

    /// Those of the cluster.
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

    /// Learns the labels of the cluster's namespace, if they may be seen.
    ///
    /// # Errors
    /// The API server cannot be reached.
    pub async fn look_at_namespace(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
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

    /// Everything that they do not allow of a Wukong. `before` is how it is stored.
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

    /// Refuses new Wukongs that they do not allow.
    ///
    /// # Errors
    /// Everything that is not allowed.
    pub fn hold(&self, manifests: &[Manifest]) -> Result<(), Refused> {
        let judged = manifests
            .iter()
            .map(|manifest| (manifest.to_string(), self.problems(&manifest.wukong, None)));
        let refused: Vec<_> = judged
            .filter(|(_, problems)| !problems.is_empty())
            .collect();
        match refused.is_empty() {
            true => Ok(()),
            false => Err(Refused(refused)),
        }
    }
}
