//! Serves the lab's own images on the loopback interface.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::io::ReaderStream;

/// Serves the files of a directory from now on, and returns the port.
pub async fn start(images: PathBuf) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let router = Router::new()
        .route("/{name}", get(image))
        .with_state(images);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(port)
}

async fn image(State(images): State<PathBuf>, Path(name): Path<String>) -> Response {
    // A route takes one segment, but its encoding could hide more.
    if name.contains(['/', '\\']) || name.starts_with('.') {
        return StatusCode::NOT_FOUND.into_response();
    }
    let Ok(file) = tokio::fs::File::open(images.join(name)).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Ok(metadata) = file.metadata().await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let length = [(header::CONTENT_LENGTH, metadata.len().to_string())];
    (length, Body::from_stream(ReaderStream::new(file))).into_response()
}
