//! The consoles of a guest: websockets of the page that are copied to the streams of KubeVirt, and pictures of its screen.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE};
use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, duplex};

use super::app::{App, Vm};
use super::problem::Problem;
use super::viewers::Viewer;
use crate::cluster::{self, Cluster};
use crate::guest::tunnel::{self, Ended};
use crate::subresource::{self, On};
use crate::text;

/// Most bytes of one message of the page.
const MESSAGE_MAX: usize = 1 << 20;
/// Bytes that wait for a slow page; then the guest waits.
const BUFFER: usize = 64 << 10;
/// Most bytes of a picture of a screen.
const PICTURE_MAX: usize = 16 << 20;

/// Close codes of our own.
const IN_USE: u16 = 4009;
const REFUSED: u16 = 4010;
const ENDED: u16 = 4000;
/// Most bytes of the reason of a close frame.
const REASON_MAX: usize = 120;

#[derive(Deserialize)]
pub struct Options {
    /// Whether to take the console from another viewer.
    #[serde(default)]
    take: bool,
}

/// Serves the serial console.
pub async fn console(
    State(app): State<Arc<App>>,
    vm: Vm,
    Query(options): Query<Options>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    serve(app, vm, "console", options, upgrade)
}

/// Serves the graphical console.
pub async fn vnc(
    State(app): State<Arc<App>>,
    vm: Vm,
    Query(options): Query<Options>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    serve(app, vm, "vnc", options, upgrade)
}

fn serve(
    app: Arc<App>,
    vm: Vm,
    call: &'static str,
    options: Options,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let cluster = app.cluster(&vm.namespace)?;
    let permit = app.stream()?;
    let upgrade = upgrade
        .max_message_size(MESSAGE_MAX)
        .protocols(["binary", "plain.kubevirt.io"]);
    Ok(upgrade.on_upgrade(async move |socket| {
        let _held = (permit, app.activity.open());
        let key = (vm.namespace, vm.name.clone(), call);
        match app.viewers.enter(key, options.take) {
            Some(viewer) => carry(socket, &cluster, &vm.name, call, viewer).await,
            None => close(socket, IN_USE, "").await,
        }
    }))
}

async fn close(mut socket: WebSocket, code: u16, reason: &str) {
    // A page that is gone needs no reason.
    let _ = socket.send(goodbye(code, reason)).await;
}

fn goodbye(code: u16, reason: &str) -> Message {
    let mut reason = text::plain(reason);
    while reason.len() > REASON_MAX {
        reason.pop();
    }
    Message::Close(Some(CloseFrame {
        code,
        reason: reason.into(),
    }))
}

/// Copies between the page and the guest until either side ends.
async fn carry(socket: WebSocket, cluster: &Cluster, name: &str, call: &str, _viewer: Viewer) {
    let tunnel = match tunnel::open(cluster, name, call).await {
        Ok(Ok(tunnel)) => tunnel,
        Ok(Err(refused)) => return close(socket, REFUSED, &refused.to_string()).await,
        Err(error) => return close(socket, REFUSED, &format!("{error:#}")).await,
    };
    let (mut to_page, from_page) = socket.split();
    let input = from_page
        .take_while(|message| {
            let open = matches!(message, Ok(message) if !matches!(message, Message::Close(_)));
            std::future::ready(open)
        })
        .filter_map(async |message| match message {
            Ok(Message::Binary(bytes)) => Some(bytes),
            Ok(Message::Text(text)) => Some(Bytes::from(text)),
            _ => None,
        });
    let (output, mut shown) = duplex(BUFFER);
    let copied = async {
        let mut buffer = vec![0; BUFFER];
        loop {
            match shown.read(&mut buffer).await {
                Ok(0) | Err(_) => return to_page,
                Ok(count) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    let message = Message::Binary(Bytes::copy_from_slice(bytes));
                    if to_page.send(message).await.is_err() {
                        return to_page;
                    }
                }
            }
        }
    };
    let joined = async { tunnel.join(input, output, Duration::ZERO).await };
    let (ended, mut to_page) = futures::join!(joined, copied);
    let reason = match ended {
        Ok(Ended::Here) => String::new(),
        Ok(Ended::There(reason)) => reason,
        Err(error) => format!("{error:#}"),
    };
    // As above.
    let _ = to_page.send(goodbye(ENDED, &reason)).await;
}

/// Answers with a picture of the screen.
pub async fn screen(State(app): State<Arc<App>>, vm: Vm) -> Result<Response, Problem> {
    let cluster = app.cluster(&vm.namespace)?;
    let path = subresource::path(&cluster, On::Instance, &vm.name, "vnc/screenshot");
    let request = Request::get(path)
        .header(ACCEPT, "*/*")
        .body(Body::empty())
        .map_err(anyhow::Error::from)?;
    let answer = cluster.client.send(request).await;
    let answer = answer.map_err(cluster::readable)?;
    if !answer.status().is_success() {
        return Err(Problem::new(
            answer.status(),
            "KubeVirt has no picture of the screen",
        ));
    }
    let body = Limited::new(answer.into_body(), PICTURE_MAX)
        .collect()
        .await;
    let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
    Ok(([(CONTENT_TYPE, "image/png")], body).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_fits_into_a_close_frame() {
        let Message::Close(Some(frame)) = goodbye(REFUSED, &"a\u{1b}ü".repeat(200)) else {
            panic!("not a close frame")
        };
        assert!(frame.reason.len() <= REASON_MAX);
        assert!(frame.reason.starts_with("a ü"));
    }
}
