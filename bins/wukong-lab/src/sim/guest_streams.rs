//! A simulation of KubeVirt's streams into a guest, `console`, `vnc` and `portforward`: websockets with the subprotocol
//! `plain.kubevirt.io` behind the aggregated API.
//!
//! The console shows a login prompt and echoes. It has one user: the next one takes it over, without a word of goodbye,
//! as virt-handler does it. No port of a guest is open but those that the scenario `guest-port-N=M` leads to port M of
//! this machine's loopback interface. Of a real guest, the console is its own, and its SSH port is open.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::{SinkExt, StreamExt};
use kube::Client;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::called::{Objects, Problem};
use super::guest_screen;
use crate::guests::Guest;
use wukong_sim::field::Field;
use wukong_sim::kind::Kind;
use wukong_sim::scenario::{ANNOTATION, Scenario};

/// The port of a real guest that is open.
const SSH: u16 = 22;
const PROTOCOL: &str = "plain.kubevirt.io";
/// Bytes of a screen that wait for a slow client.
const SCREEN: usize = 64 << 10;
/// How often a console looks whether its guest still runs.
const POLL: Duration = Duration::from_millis(500);

/// Who is asked, and the console of each instance (by uid) that is in use.
#[derive(Clone)]
struct Streams {
    client: Client,
    /// The directory of the guests, when they are real.
    guests: Option<PathBuf>,
    consoles: Arc<Mutex<HashMap<String, oneshot::Sender<()>>>>,
}

/// The routes below an instance.
pub fn router(client: Client, guests: Option<PathBuf>, instance: &str) -> Router {
    Router::new()
        .route(&format!("{instance}/console"), get(console))
        .route(&format!("{instance}/vnc"), get(screen))
        .route(&format!("{instance}/vnc/screenshot"), get(picture))
        .route(
            &format!("{instance}/portforward/{{port}}/{{protocol}}"),
            get(port_forward),
        )
        .with_state(Streams {
            client,
            guests,
            consoles: Arc::default(),
        })
}

async fn console(
    State(streams): State<Streams>,
    Path((namespace, name)): Path<(String, String)>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let objects = Objects::new(streams.client.clone(), namespace, name.clone());
    let vmi = objects.instance().await?;
    let vmi = Field::new("", &vmi);
    let serial = vmi.at("spec.domain.devices.autoattachSerialConsole");
    if serial.is_set() && !serial.is_true() {
        return Err(bad_request("No serial consoles are present."));
    }
    match vmi.at("status.phase").text() {
        "Running" => {}
        "Failed" => {
            return Err(Problem::conflict(format!(
                "Operation cannot be fulfilled on virtualmachineinstance.kubevirt.io {name:?}: VMI is in failed status"
            )));
        }
        _ => return Err(bad_request("VMI is not running")),
    }
    let uid = vmi.at("metadata.uid").text().to_owned();
    let terminal = match streams.real(&uid) {
        Some(guest) => UnixStream::connect(&guest.terminal).await.ok(),
        None => None,
    };
    let (taken, over) = oneshot::channel();
    // Dropping the sender of the earlier user ends that one.
    streams
        .consoles
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(uid.clone(), taken);
    Ok(upgrade
        .protocols([PROTOCOL])
        .on_upgrade(async move |socket| {
            let used = async {
                match terminal {
                    Some(terminal) => carry(socket, terminal).await,
                    None => log_in(socket, &name).await,
                }
            };
            tokio::select! {
                _ = over => {}
                () = used => {}
                () = shut_down(&objects, &uid) => {}
            }
        }))
}

impl Streams {
    /// The guest of the instance with this uid, when it is a real one.
    fn real(&self, uid: &str) -> Option<Guest> {
        Guest::find(self.guests.as_deref()?, uid).ok()
    }
}

/// A guest that shows its prompt and echoes.
async fn log_in(mut socket: WebSocket, name: &str) {
    let prompt = format!("\r\nSimulated guest on ttyS0\r\n\r\n{name} login: ");
    let mut answer = Message::Binary(prompt.into());
    while socket.send(answer).await.is_ok() {
        answer = loop {
            match socket.recv().await {
                Some(Ok(Message::Binary(typed))) => break Message::Binary(typed),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            }
        };
    }
}

/// Returns the instance if its guest runs and has a screen.
async fn with_screen(streams: &Streams, namespace: String, name: String) -> Result<(), Problem> {
    let vmi = Objects::new(streams.client.clone(), namespace, name)
        .instance()
        .await?;
    let vmi = Field::new("", &vmi);
    let graphics = vmi.at("spec.domain.devices.autoattachGraphicsDevice");
    if graphics.is_set() && !graphics.is_true() {
        return Err(bad_request("No graphics devices are present."));
    }
    match vmi.at("status.phase").text() {
        "Running" => Ok(()),
        _ => Err(bad_request("VMI is not running")),
    }
}

async fn screen(
    State(streams): State<Streams>,
    Path((namespace, name)): Path<(String, String)>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    with_screen(&streams, namespace, name).await?;
    Ok(upgrade.protocols([PROTOCOL]).on_upgrade(async |socket| {
        let (near, far) = duplex(SCREEN);
        tokio::select! {
            () = carry(socket, near) => {}
            // A client that leaves is no error.
            _ = guest_screen::serve(far) => {}
        }
    }))
}

async fn picture(
    State(streams): State<Streams>,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    with_screen(&streams, namespace, name).await?;
    let picture = BASE64_STANDARD
        .decode(guest_screen::PICTURE)
        .unwrap_or_default();
    Ok(([(CONTENT_TYPE, "image/png")], picture).into_response())
}

async fn port_forward(
    State(streams): State<Streams>,
    Path((namespace, name, port, protocol)): Path<(String, String, u16, String)>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let objects = Objects::new(streams.client.clone(), namespace, name.clone());
    let vmi = objects.instance().await?;
    let vmi = Field::new("", &vmi);
    let paused = vmi
        .at("status.conditions")
        .items()
        .any(|item| item.child("type").text() == "Paused" && item.child("status").text() == "True");
    if paused {
        return Err(Problem::conflict(format!(
            "Operation cannot be fulfilled on virtualmachineinstance.kubevirt.io {name:?}: VMI is paused"
        )));
    }
    let address = vmi.at("status.interfaces").items().next();
    let address = address.map(|nic| nic.child("ipAddress").text().to_owned());
    let Some(address) = address.filter(|address| !address.is_empty()) else {
        return Err(bad_request("no network interfaces are present"));
    };
    if protocol != "tcp" {
        return Err(bad_request("this simulation forwards TCP only"));
    }
    let real = streams.real(vmi.at("metadata.uid").text());
    let local = match real.filter(|_| port == SSH) {
        Some(guest) => Some(guest.ssh),
        None => open_port(&objects, port).await?,
    };
    let guest = match local {
        Some(local) => TcpStream::connect((Ipv4Addr::LOCALHOST, local)).await.ok(),
        None => None,
    };
    let guest = guest.ok_or_else(|| {
        Problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!(
                "Internal error occurred: dialing VM: dial tcp {address}:{port}: connect: connection refused"
            ),
        )
    })?;
    Ok(upgrade
        .protocols([PROTOCOL])
        .on_upgrade(|socket| carry(socket, guest)))
}

/// The port of this machine that stands for a port of the guest.
async fn open_port(objects: &Objects, port: u16) -> Result<Option<u16>, Problem> {
    let wukong = objects.get(Kind::Wukong).await?.unwrap_or_default();
    let annotations = Field::new("", &wukong).at("metadata.annotations");
    let scenario = Scenario::parse(annotations.child(ANNOTATION).text());
    let local = scenario.value(&format!("guest-port-{port}"));
    Ok(local.and_then(|local| local.parse().ok()))
}

/// Carries bytes both ways until either side ends, as virt-api does it.
async fn carry(socket: WebSocket, guest: impl AsyncRead + AsyncWrite) {
    let (mut to_user, mut from_user) = socket.split();
    let (mut from_guest, mut to_guest) = tokio::io::split(guest);
    let upward = async {
        while let Some(Ok(message)) = from_user.next().await {
            let Message::Binary(bytes) = message else {
                continue;
            };
            if to_guest.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    let downward = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from_guest.read(&mut buffer).await {
            let bytes = buffer.get(..count).unwrap_or_default().to_vec();
            if to_user.send(Message::Binary(bytes.into())).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = upward => {}
        () = downward => {}
    }
}

/// Returns once the guest of this uid no longer runs.
async fn shut_down(objects: &Objects, uid: &str) {
    loop {
        sleep(POLL).await;
        if let Ok(vmi) = objects.get(Kind::Vmi).await {
            let vmi = vmi.unwrap_or_default();
            let vmi = Field::new("", &vmi);
            let same = vmi.at("metadata.uid").text() == uid;
            if !same || vmi.at("status.phase").text() != "Running" {
                return;
            }
        }
    }
}

fn bad_request(message: &str) -> Problem {
    Problem(StatusCode::BAD_REQUEST, message.into())
}
