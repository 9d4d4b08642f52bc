//! KubeVirt's stream subresources: a websocket with the subprotocol `plain.kubevirt.io`, whose binary messages are the
//! bytes of one stream, without channels. (`kube::Client::connect` speaks the subprotocols of Kubernetes only.)

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
/// How much of a refusal is read, in bytes.
const REFUSAL: usize = 64 * 1024;
/// How long the closing may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// A stream to a guest.
pub struct Tunnel(WebSocketStream<TokioIo<Upgraded>>);

/// Why KubeVirt, or the API server before it, does not open a stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    pub code: u16,
    /// Its words.
    pub message: String,
}

/// Who ended a stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ended {
    /// Our input was at its end.
    Here,
    /// The other side, perhaps with a reason.
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
        bail!("what answers for the API server does not speak websockets; is there a proxy?");
    }
    let upgraded = hyper::upgrade::on(answer).await;
    let upgraded = TokioIo::new(upgraded.context("the API server broke the connection off")?);
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

    /// The words of a `Status`, or else the body as it is.
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
    /// Carries `input` to the guest and what the guest says to `output`, until either side ends it.
    ///
    /// The protocol cannot say that only the input is at its end: the stream is closed when the guest was silent for
    /// `linger` after that, so that an answer is not cut off.
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
        let heard = watch::Sender::new(Instant::now());
        let upward = async {
            let mut input = pin!(input);
            while let Some(bytes) = input.next().await {
                match to.send(Message::Binary(bytes)).await {
                    // What it said last is still to be heard.
                    Err(error) if is_end(&error) => break,
                    sent => sent?,
                }
            }
            heard.send_replace(Instant::now());
            Ok::<_, Error>(to)
        };
        let downward = async {
            while let Some(message) = from.next().await {
                match message {
                    Ok(Message::Close(Some(frame))) => return Ok(frame.reason.to_string()),
                    Ok(Message::Binary(bytes)) => {
                        heard.send_replace(Instant::now());
                        output.write_all(&bytes).await?;
                        output.flush().await?;
                    }
                    Ok(_) => {}
                    // KubeVirt does not say goodbye.
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
            let silent = *heard.borrow() + linger;
            if Instant::now() >= silent {
                break;
            }
            tokio::select! {
                reason = &mut downward => return reason.map(|_| Ended::Here),
                () = sleep_until(silent) => {}
            }
        }
        // It ends with this process even if nobody hears it.
        let _ = timeout(GOODBYE, to.close()).await;
        Ok(Ended::Here)
    }
}

/// Whether an error only says that the other side is gone.
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
    fn a_refusal_is_in_the_words_of_the_server() {
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
