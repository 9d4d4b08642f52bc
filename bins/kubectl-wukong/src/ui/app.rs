//! What the handlers share.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use http::StatusCode;
use http::request::Parts;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wukong_api::OperatorSettings;

use super::activity::Activity;
use super::authority::Listening;
use super::problem::Problem;
use super::rows::Rows;
use super::session::Session;
use super::viewers::Viewers;
use crate::bundle::Bundle;
use crate::cluster::Cluster;

/// Most streams at the same time: of lists, VMs and consoles.
const STREAMS_MAX: usize = 64;
/// Most surveys at the same time: each is dozens of requests to the API server.
const SURVEYS_MAX: usize = 2;

/// Where the objects come from.
pub enum Source {
    Cluster {
        cluster: Cluster,
        all_namespaces: bool,
    },
    Bundle(Box<Bundle>),
}

/// What the handlers share.
pub struct App {
    pub source: Source,
    pub settings: OperatorSettings,
    pub listening: Listening,
    pub session: Session,
    pub activity: Activity,
    pub rows: Rows,
    pub viewers: Viewers,
    streams: Arc<Semaphore>,
    surveys: Semaphore,
}

impl App {
    pub fn new(
        source: Source,
        settings: OperatorSettings,
        listening: Listening,
        session: Session,
    ) -> Self {
        Self {
            source,
            settings,
            listening,
            session,
            activity: Activity::new(),
            rows: Rows::default(),
            viewers: Viewers::default(),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            surveys: Semaphore::new(SURVEYS_MAX),
        }
    }

    /// Returns the cluster with the namespace of a VM.
    ///
    /// # Errors
    /// A bundle is open.
    pub fn cluster(&self, namespace: &str) -> Result<Cluster, Problem> {
        match &self.source {
            Source::Cluster { cluster, .. } => Ok(Cluster {
                namespace: namespace.to_owned(),
                ..cluster.clone()
            }),
            Source::Bundle(_) => Err(Problem::no_cluster()),
        }
    }

    /// Returns the permit of a stream.
    ///
    /// # Errors
    /// Too many are open.
    pub fn stream(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let permit = Arc::clone(&self.streams).try_acquire_owned();
        permit.map_err(|_| {
            Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too many pages of this plugin are open",
            )
        })
    }

    /// Waits for the turn of a survey, and runs it.
    pub async fn survey<T>(&self, survey: impl Future<Output = T>) -> T {
        // The semaphore is never closed.
        let _permit = self.surveys.acquire().await.ok();
        survey.await
    }
}

/// Namespace and name of a VM, from the path.
#[derive(Clone, Debug)]
pub struct Vm {
    pub namespace: String,
    pub name: String,
}

/// Returns whether a text can be a name. Only those become parts of paths of the API server.
pub fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= 253
        && text
            .bytes()
            .all(|byte| allowed(byte) || b"-.".contains(&byte))
        && text.bytes().next().is_some_and(allowed)
}

impl<S: Send + Sync> FromRequestParts<S> for Vm {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        match path {
            Ok(Path((namespace, name))) if is_name(&namespace) && is_name(&name) => {
                Ok(Self { namespace, name })
            }
            _ => Err(Problem::new(StatusCode::BAD_REQUEST, "no such name")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_become_parts_of_paths() {
        for name in ["web", "web-1", "a.b", "0"] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "",
            "..",
            "../secrets",
            "a/b",
            "A",
            "a%2fb",
            "a b",
            "-a",
            "a?x=1",
        ] {
            assert!(!is_name(name), "{name}");
        }
    }
}
