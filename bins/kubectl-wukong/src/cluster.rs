//! The cluster that a command speaks to, chosen as kubectl does it.

use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use kube::api::DynamicObject;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::ApiResource;
use kube::{Api, Client, Config};
use wukong_api::Wukong;
use wukong_engine::store::Presence;

/// Which cluster and namespace.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ClusterArgs {
    /// Namespace [default: that of the context]
    #[arg(
        short,
        long,
        global = true,
        help_heading = "Cluster",
        value_name = "NAMESPACE"
    )]
    pub namespace: Option<String>,

    /// Context of the kubeconfig [default: its current one]
    #[arg(long, global = true, help_heading = "Cluster", value_name = "NAME")]
    pub context: Option<String>,

    /// The kubeconfig [default: $KUBECONFIG, else ~/.kube/config, else the service account of this pod]
    #[arg(long, global = true, help_heading = "Cluster", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

/// A cluster, and a namespace in it.
#[derive(Clone)]
pub struct Cluster {
    pub client: Client,
    pub namespace: String,
}

impl ClusterArgs {
    /// Connects. Nothing is sent yet.
    pub async fn connect(&self) -> anyhow::Result<Cluster> {
        let config = self.config().await?;
        let namespace = self
            .namespace
            .clone()
            .unwrap_or_else(|| config.default_namespace.clone());
        // Somebody else in this process may have chosen a provider; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::try_from(config).context("the kubeconfig cannot be used")?;
        Ok(Cluster { client, namespace })
    }

    async fn config(&self) -> anyhow::Result<Config> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        let kubeconfig = match &self.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let kubeconfig = match kubeconfig {
            Ok(kubeconfig) => kubeconfig,
            // A pod has no kubeconfig, and needs none.
            Err(error) => {
                let asked = self.kubeconfig.is_some() || self.context.is_some();
                return match Config::incluster() {
                    Ok(config) if !asked => Ok(config),
                    _ => bail!("there is no cluster to speak to: {error}"),
                };
            }
        };
        Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .context("the kubeconfig cannot be used")
    }
}

impl Cluster {
    /// The Wukongs of the namespace, or of all namespaces, whether or not we could read each of them.
    pub fn wukongs(&self, all_namespaces: bool) -> Api<DynamicObject> {
        let resource = ApiResource::erase::<Wukong>(&());
        match all_namespaces {
            true => Api::all_with(self.client.clone(), &resource),
            false => Api::namespaced_with(self.client.clone(), &self.namespace, &resource),
        }
    }

    /// The Wukong of that name, if there is one and it may be seen.
    ///
    /// # Errors
    /// The API server cannot be reached.
    pub async fn wukong_opt(&self, name: &str) -> anyhow::Result<Option<Wukong>> {
        match self.wukongs(false).get(name).await {
            Ok(object) => decode(&object).map(Some),
            Err(error) => unseen(error).map(|_| None),
        }
    }

    /// The Wukong of that name.
    pub async fn wukong(&self, name: &str) -> anyhow::Result<Wukong> {
        match self.wukongs(false).get_opt(name).await {
            Ok(Some(object)) => decode(&object),
            Ok(None) => bail!(
                "there is no Wukong {name} in the namespace {}",
                self.namespace
            ),
            Err(error) => Err(readable(error)),
        }
    }
}

/// A stored object as a Wukong.
pub fn decode(object: &DynamicObject) -> anyhow::Result<Wukong> {
    object
        .clone()
        .try_parse()
        .context("the stored Wukong cannot be read; is this plugin older than the operator?")
}

/// An error of the API server in words that say what to do.
pub fn readable(error: kube::Error) -> anyhow::Error {
    match error {
        kube::Error::Api(status) if status.code == 404 => {
            anyhow!("the cluster does not know Wukongs: install the CustomResourceDefinition")
        }
        kube::Error::Api(status) => anyhow!("{}", status.message),
        other => anyhow::Error::new(other).context("the API server cannot be reached"),
    }
}

/// What an answer without objects says about a kind; `None`: the API server could not answer.
pub fn denied(error: &kube::Error) -> Option<Presence> {
    match error {
        kube::Error::Api(status) if status.code == 404 => Some(Presence::Missing),
        kube::Error::Api(status) if matches!(status.code, 401 | 403) => Some(Presence::Forbidden),
        _ => None,
    }
}

/// The same.
///
/// # Errors
/// The API server could not answer.
pub fn unseen(error: kube::Error) -> anyhow::Result<Presence> {
    denied(&error).ok_or_else(|| readable(error))
}
