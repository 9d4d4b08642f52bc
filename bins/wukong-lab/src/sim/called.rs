//! What a call of a subresource is about, and why it is refused.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::execute::api_resource;
use wukong_sim::kind::Kind;

/// The field manager of what these calls write.
const MANAGER: &str = "virt-api";

/// The objects of one name.
pub struct Objects {
    client: Client,
    pub namespace: String,
    pub name: String,
}

impl Objects {
    pub fn new(client: Client, namespace: String, name: String) -> Self {
        Self {
            client,
            namespace,
            name,
        }
    }

    pub fn api(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &api_resource(kind))
    }

    pub async fn get(&self, kind: Kind) -> Result<Option<Value>, Problem> {
        let found = self.api(kind).get_opt(&self.name).await?;
        Ok(found.and_then(|found| serde_json::to_value(found).ok()))
    }

    /// The instance.
    pub async fn instance(&self) -> Result<Value, Problem> {
        let vmi = self.get(Kind::Vmi).await?;
        vmi.ok_or_else(|| self.not_found("virtualmachineinstances"))
    }

    pub async fn merge(&self, kind: Kind, patch: Value, status: bool) -> Result<(), Problem> {
        let parameters = PatchParams {
            field_manager: Some(MANAGER.into()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(patch);
        if status {
            self.api(kind)
                .patch_status(&self.name, &parameters, &patch)
                .await?;
        } else {
            self.api(kind)
                .patch(&self.name, &parameters, &patch)
                .await?;
        }
        Ok(())
    }

    pub fn not_found(&self, resource: &str) -> Problem {
        Problem(
            StatusCode::NOT_FOUND,
            format!("{resource}.kubevirt.io {:?} not found", self.name),
        )
    }
}

/// Why a call is refused.
pub struct Problem(pub StatusCode, pub String);

impl Problem {
    pub fn conflict(message: impl Into<String>) -> Self {
        Self(StatusCode::CONFLICT, message.into())
    }
}

impl From<kube::Error> for Problem {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                let code =
                    StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Self(code, status.message.clone())
            }
            other => Self(StatusCode::INTERNAL_SERVER_ERROR, other.to_string()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(code, message) = self;
        let reason = if code == StatusCode::CONFLICT {
            "Conflict"
        } else {
            ""
        };
        let body = json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
            "code": code.as_u16(), "reason": reason, "message": message});
        (code, Json(body)).into_response()
    }
}
