//! The routes, and the answers about the plugin itself.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use http::StatusCode;
use http::header::SET_COOKIE;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::app::{App, Source};
use super::guard::{self, SESSION};
use super::problem::Problem;
use super::{assets, cluster_view, diagnosis, edit, guest, list, one, power, protection, schema};

/// Most bytes of a request.
const BODY_MAX: usize = 512 << 10;

/// Returns the routes.
pub fn router(app: Arc<App>) -> Router {
    let vm = |rest: &str| format!("/api/vms/{{namespace}}/{{name}}/{rest}");
    Router::new()
        .route("/", get(assets::index))
        .route("/assets/{name}", get(assets::asset))
        .route(SESSION, post(session))
        .route("/api/about", get(about))
        .route("/api/schema", get(schema::get))
        .route("/api/list", get(list::stream))
        .route("/api/cluster", get(cluster_view::get))
        .route("/api/check", post(edit::check))
        .route("/api/apply", post(edit::apply))
        .route(&vm("live"), get(one::stream))
        .route(&vm("diagnosis"), get(diagnosis::get))
        .route(&vm("object"), get(diagnosis::object))
        .route(&vm("access"), get(power::access))
        .route(&vm("power"), post(power::post))
        .route(&vm("delete"), post(edit::delete))
        .route(
            &vm("snapshots"),
            get(protection::list).post(protection::snapshot),
        )
        .route(&vm("snapshots/delete"), post(protection::delete))
        .route(&vm("restores"), post(protection::restore))
        .route(&vm("restores/plan"), post(protection::plan))
        .route(&vm("console"), get(guest::console))
        .route(&vm("vnc"), get(guest::vnc))
        .route(&vm("screen"), get(guest::screen))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            guard::guard,
        ))
        .with_state(app)
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

/// Exchanges the token of the URL for the cookie.
async fn session(State(app): State<Arc<App>>, Json(sent): Json<Token>) -> Response {
    match app.session.exchange(&sent.token) {
        Some(cookie) => ([(SET_COOKIE, cookie)], Json(json!({}))).into_response(),
        None => Problem::new(
            StatusCode::UNAUTHORIZED,
            "the URL was used already: run kubectl wukong ui again",
        )
        .into_response(),
    }
}

/// What the page shows of the plugin itself.
async fn about(State(app): State<Arc<App>>) -> Json<Value> {
    let version = env!("CARGO_PKG_VERSION");
    Json(match &app.source {
        Source::Cluster {
            cluster,
            all_namespaces,
        } => json!({
            "version": version,
            "bundle": null,
            "namespace": cluster.namespace,
            "allNamespaces": all_namespaces,
            "now": Timestamp::now(),
        }),
        Source::Bundle(bundle) => json!({
            "version": version,
            "bundle": {
                "taken": bundle.taken,
                "namespace": bundle.wukong.metadata.namespace,
                "name": bundle.wukong.metadata.name,
            },
            "namespace": bundle.wukong.metadata.namespace,
            "allNamespaces": false,
            "now": bundle.taken,
        }),
    })
}
