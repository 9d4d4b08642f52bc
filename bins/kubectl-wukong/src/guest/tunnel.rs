//! The stream subresources of KubeVirt: a websocket with the subprotocol `plain.kubevirt.io`. Its binary messages are the
//! bytes of one stream, without channels. (`kube::Client::connect` supports only the subprotocols of Kubernetes.)

use std::fmt;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use futures::{SinkExt, Stream, StreamExt};
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use serde_json::Value;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::cluster::{self, Cluster};
use crate::subresource::{self, On};

const PROTOCOL: &str = "plain.kubevirt.io";
/// Maximum size of a refusal that is read, in bytes.
const REFUSAL: usize = 64 * 1024;
/// Maximum time to close the websocket.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A stream to a guest.
pub struct Tunnel(WebSocketStream<TokioIo<Upgraded>>);

/// Refusal of a stream by KubeVirt or the API server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    pub code: u16,
    /// The message of the server.
    pub message: String,
}

/// The side that ended a stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ended {
    /// This side: the input ended.
    Here,
    /// The other side, with its reason or an empty text.
    There(String),
}

/// Opens the stream `call` of the instance `name`, such as `console`.
pub async fn open(
    cluster: &Cluster,
    name: &str,
    call: &str,
) -> anyhow::Result<Result<Tunnel, Refused>> {
    let key = generate_key();
    let request = Request::get(subresource::path(cluster, On::Instance, name, call))
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key)
        .header(SEC_WEBSOCKET_PROTOCOL, PROTOCOL)
        .body(Body::empty())?;
    let answer = cluster.client.send(request).await;
    let answer = answer.map_err(cluster::readable)?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Err(Refused::of(answer).await?));
    }
    let accept = answer.headers().get(SEC_WEBSOCKET_ACCEPT);
    if accept.is_none_or(|accept| accept.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes())
    {
        bail!(
            "the answer is not a websocket; does a proxy before the API server block websockets?"
        );
    }
    let upgraded = hyper::upgrade::on(answer).await;
    let upgraded = TokioIo::new(upgraded.context("the API server closed the connection")?);
    let socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await;
    Ok(Ok(Tunnel(socket)))
}

impl Refused {
    async fn of(answer: Response<Body>) -> anyhow::Result<Self> {
        let code = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), REFUSAL).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
        Ok(Self::from_parts(code, &String::from_utf8_lossy(&body)))
    }

    /// Extracts the message of a `Status`, or else the whole body.
    fn from_parts(code: u16, body: &str) -> Self {
        let status = serde_json::from_str::<Value>(body).unwrap_or_default();
        let message = match status.get("message").and_then(Value::as_str) {
            Some(message) => message,
            None => body.trim(),
        };
        Self {
            code,
            message: message.to_owned(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message.as_str() {
            "" => write!(f, "HTTP {}", self.code),
            message => f.write_str(message),
        }
    }
}

impl Tunnel {
    /// Copies `input` to the guest and the output of the guest to `output`, until either side ends the stream.
    ///
    /// The protocol cannot signal the end of the input alone. After it, the stream is closed once the guest has sent nothing
    /// for `linger`, so that an answer is not cut off.
    ///
    /// # Errors
    /// The connection failed, or `output` cannot be written.
    pub async fn join(
        self,
        input: impl Stream<Item = Bytes>,
        mut output: impl AsyncWrite + Unpin,
        linger: Duration,
    ) -> anyhow::Result<Ended> {
        let (mut to, mut from) = self.0.split();
        let active = watch::Sender::new(Instant::now());
        let upward = async {
            let mut input = pin!(input);
            while let Some(bytes) = input.next().await {
                match to.send(Message::Binary(bytes)).await {
                    // Its last output is still to be read.
                    Err(error) if is_end(&error) => break,
                    sent => sent?,
                }
            }
            active.send_replace(Instant::now());
            Ok::<_, Error>(to)
        };
        let downward = async {
            while let Some(message) = from.next().await {
                match message {
                    Ok(Message::Close(Some(frame))) => return Ok(frame.reason.to_string()),
                    Ok(Message::Binary(bytes)) => {
                        active.send_replace(Instant::now());
                        output.write_all(&bytes).await?;
                        output.flush().await?;
                    }
                    Ok(_) => {}
                    // KubeVirt closes the connection without a closing handshake.
                    Err(error) if is_end(&error) => break,
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(String::new())
        };
        let mut downward = pin!(downward);
        let mut to = tokio::select! {
            reason = &mut downward => return reason.map(Ended::There),
            to = upward => to?,
        };
        loop {
            let silent = *active.borrow() + linger;
            if Instant::now() >= silent {
                break;
            }
            tokio::select! {
                reason = &mut downward => return reason.map(|_| Ended::Here),
                () = sleep_until(silent) => {}
            }
        }
        // The connection ends with this process in any case.
        let _ = timeout(CLOSE_TIMEOUT, to.close()).await;
        Ok(Ended::Here)
    }
}

/// Returns whether an error only means that the other side has closed the connection.
fn is_end(error: &Error) -> bool {
    use tokio_tungstenite::tungstenite::error::ProtocolError;
    matches!(
        error,
        Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_message_of_the_server() {
        let status = r#"{"kind": "Status", "message": "VMI is paused", "code": 409}"#;
        assert_eq!(
            Refused::from_parts(409, status).to_string(),
            "VMI is paused"
        );
        let text = "404 page not found\n";
        assert_eq!(
            Refused::from_parts(404, text).to_string(),
            "404 page not found"
        );
        assert_eq!(Refused::from_parts(502, "").to_string(), "HTTP 502");
    }
}
