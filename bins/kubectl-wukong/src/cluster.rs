//! The cluster that a command connects to, selected as in kubectl.

use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use kube::api::DynamicObject;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::ApiResource;
use kube::{Api, Client, Config};
use wukong_api::Wukong;
use wukong_engine::facts::Presence;

/// Runs a command that connects to a cluster.
pub fn with_cluster<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(command)
}

/// Flags that select cluster and namespace.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ClusterArgs {
    /// Namespace [default: the namespace of the context]
    #[arg(
        short,
        long,
        global = true,
        help_heading = "Cluster",
        value_name = "NAMESPACE"
    )]
    pub namespace: Option<String>,

    /// Context of the kubeconfig [default: its current context]
    #[arg(long, global = true, help_heading = "Cluster", value_name = "NAME")]
    pub context: Option<String>,

    /// Path of the kubeconfig [default: $KUBECONFIG, then ~/.kube/config, then the service account of the pod]
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
    /// Creates the client. Sends no request.
    pub async fn connect(&self) -> anyhow::Result<Cluster> {
        let config = self.config().await?;
        let namespace = self
            .namespace
            .clone()
            .unwrap_or_else(|| config.default_namespace.clone());
        // Fails if the process has a provider already, which works as well.
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
            // A pod uses its service account instead.
            Err(error) => {
                let selected = self.kubeconfig.is_some() || self.context.is_some();
                return match Config::incluster() {
                    Ok(config) if !selected => Ok(config),
                    _ => bail!("no cluster is configured: {error}"),
                };
            }
        };
        Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .context("the kubeconfig cannot be used")
    }
}

impl Cluster {
    /// Returns the API of the Wukongs in the namespace or in all namespaces. A Wukong that cannot be decoded does not fail
    /// a list.
    pub fn wukongs(&self, all_namespaces: bool) -> Api<DynamicObject> {
        let resource = ApiResource::erase::<Wukong>(&());
        match all_namespaces {
            true => Api::all_with(self.client.clone(), &resource),
            false => Api::namespaced_with(self.client.clone(), &self.namespace, &resource),
        }
    }

    /// Reads a Wukong; `None` if it does not exist or may not be read.
    ///
    /// # Errors
    /// The API server cannot be reached.
    pub async fn wukong_opt(&self, name: &str) -> anyhow::Result<Option<Wukong>> {
        match self.wukongs(false).get(name).await {
            Ok(object) => decode(&object).map(Some),
            Err(error) => unseen(error).map(|_| None),
        }
    }

    /// Reads a Wukong.
    ///
    /// # Errors
    /// It does not exist, or the API server refuses.
    pub async fn wukong(&self, name: &str) -> anyhow::Result<Wukong> {
        match self.wukongs(false).get_opt(name).await {
            Ok(Some(object)) => decode(&object),
            Ok(None) => bail!(
                "Wukong {name} does not exist in namespace {}",
                self.namespace
            ),
            Err(error) => Err(readable(error)),
        }
    }
}

/// Decodes a stored Wukong.
pub fn decode(object: &DynamicObject) -> anyhow::Result<Wukong> {
    object
        .clone()
        .try_parse()
        .context("cannot decode the stored Wukong; is the plugin older than the operator?")
}

/// Converts an error of the API server into a message for users.
pub fn readable(error: kube::Error) -> anyhow::Error {
    match error {
        kube::Error::Api(status) if status.code == 404 => {
            anyhow!("the cluster does not serve Wukongs: install the CustomResourceDefinition")
        }
        kube::Error::Api(status) => anyhow!("{}", status.message),
        other => anyhow::Error::new(other).context("the API server cannot be reached"),
    }
}

/// Returns the presence of a kind that a failed request implies; `None` if the API server could not answer.
pub fn denied(error: &kube::Error) -> Option<Presence> {
    match error {
        kube::Error::Api(status) if status.code == 404 => Some(Presence::Missing),
        kube::Error::Api(status) if matches!(status.code, 401 | 403) => Some(Presence::Forbidden),
        _ => None,
    }
}

/// Like [`denied`], with a message for users if the API server could not answer.
///
/// # Errors
/// The API server could not answer.
pub fn unseen(error: kube::Error) -> anyhow::Result<Presence> {
    denied(&error).ok_or_else(|| readable(error))
}
