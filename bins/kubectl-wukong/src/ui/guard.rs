//! What every request has to have before anything is done for it, and every answer.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, UPGRADE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::app::App;
use super::problem::Problem;

/// Header of requests that change something. A page of another site cannot send it without asking first.
pub const INTENT: HeaderName = HeaderName::from_static("x-wukong-ui");

/// The path that exchanges the token.
pub const SESSION: &str = "/api/session";

/// The page loads only its own files. xterm.js writes the rules of its colours into `style` elements, hence the exception for
/// styles; no text of a cluster ever becomes one.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; object-src 'none'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// Refuses requests that do not come from our own page, and adds the headers that keep the page to itself.
pub async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let api = request.uri().path().starts_with("/api/");
    let mut response = match check(&app, &request) {
        Ok(()) => {
            app.activity.touch();
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, value);
    }
    if api {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

fn check(app: &App, request: &Request) -> Result<(), Problem> {
    let refuse = |code, why: &str| Err(Problem::new(code, why));
    let headers = request.headers();
    if !app.listening.is_addressed_by(headers) {
        return refuse(StatusCode::MISDIRECTED_REQUEST, "this is another host");
    }
    let changes = match *request.method() {
        Method::GET | Method::HEAD => false,
        Method::POST => true,
        _ => {
            return refuse(
                StatusCode::METHOD_NOT_ALLOWED,
                "only GET and POST are served",
            );
        }
    };
    if (changes || headers.contains_key(UPGRADE)) && !app.listening.is_origin_of(headers) {
        return refuse(StatusCode::FORBIDDEN, "the request comes from another page");
    }
    let path = request.uri().path();
    if path.starts_with("/api/") && path != SESSION && !app.session.admits(headers) {
        return refuse(
            StatusCode::UNAUTHORIZED,
            "no session: open the URL that kubectl wukong ui printed",
        );
    }
    if changes {
        let json = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.split(';').next() == Some("application/json"));
        if !json || !headers.contains_key(INTENT) {
            return refuse(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "a change is JSON, with the header x-wukong-ui",
            );
        }
    }
    Ok(())
}
