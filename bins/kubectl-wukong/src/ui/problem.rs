//! Errors as answers.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use crate::cluster;

/// An error that the page shows.
#[derive(Debug)]
pub struct Problem {
    code: StatusCode,
    message: String,
}

impl Problem {
    pub fn new(code: StatusCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// A request that a bundle cannot answer.
    pub fn no_cluster() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "a bundle is open: this needs a cluster",
        )
    }

    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("{what} does not exist"))
    }
}

/// An answer of the API server with its code and words.
impl From<kube::Error> for Problem {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::new(
                StatusCode::from_u16(status.code).unwrap_or(StatusCode::BAD_GATEWAY),
                status.message.clone(),
            ),
            other => cluster::readable(other).into(),
        }
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, format!("{error:#}"))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.code, Json(json!({"message": self.message}))).into_response()
    }
}
