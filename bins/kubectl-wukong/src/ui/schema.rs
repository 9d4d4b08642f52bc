//! The schema of a Wukong, from which the page makes its form.

use axum::Json;
use kube::CustomResourceExt;
use serde_json::Value;
use wukong_api::Wukong;

use super::problem::Problem;

/// Answers with the schema of the spec.
pub async fn get() -> Result<Json<Value>, Problem> {
    let crd = serde_json::to_value(Wukong::crd()).map_err(anyhow::Error::from)?;
    let spec = crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec");
    spec.cloned()
        .map(Json)
        .ok_or_else(|| Problem::not_found("the schema"))
}
