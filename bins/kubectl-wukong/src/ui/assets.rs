//! The files of the page. They are built from `ui/` by esbuild and committed, so that the plugin builds without Node.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

/// A file: its name, its type and its content.
type Asset = (&'static str, &'static str, &'static [u8]);

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

macro_rules! asset {
    ($name:literal, $type:expr) => {
        (
            $name,
            $type,
            include_bytes!(concat!("../../ui/dist/", $name)),
        )
    };
}

const INDEX: Asset = asset!("index.html", "text/html; charset=utf-8");

const ASSETS: [Asset; 7] = [
    asset!("app.js", SCRIPT),
    asset!("app.css", STYLE),
    asset!("serial.js", SCRIPT),
    asset!("serial.css", STYLE),
    asset!("screen.js", SCRIPT),
    asset!("icon.svg", "image/svg+xml"),
    asset!("NOTICE.txt", "text/plain; charset=utf-8"),
];

/// Answers with the page.
pub async fn index() -> Response {
    respond(&INDEX)
}

/// Answers with a file of the page.
pub async fn asset(Path(name): Path<String>) -> Response {
    match ASSETS.iter().find(|(known, _, _)| *known == name) {
        Some(asset) => respond(asset),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The browser asks each time: the next plugin on this port may be another version.
fn respond((_, content_type, content): &Asset) -> Response {
    (
        [(CONTENT_TYPE, *content_type), (CACHE_CONTROL, "no-cache")],
        *content,
    )
        .into_response()
}
