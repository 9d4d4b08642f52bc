//! Wires between guests: each L2 segment is a learning switch behind a Unix socket, to which QEMU's NICs connect.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use futures::{SinkExt as _, StreamExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_util::bytes::Bytes;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

/// Frames that wait for a slow guest; what comes on top is lost, as on a wire.
const QUEUE: usize = 512;

/// The segments, by name.
#[derive(Debug, Default)]
pub struct Segments(HashMap<String, PathBuf>);

impl Segments {
    /// The socket of a segment; the first call makes it.
    pub fn socket(&mut self, dir: &Path, name: &str) -> Result<PathBuf> {
        if let Some(socket) = self.0.get(name) {
            return Ok(socket.clone());
        }
        let socket = dir.join(format!("segment-{}.sock", self.0.len()));
        let listener = UnixListener::bind(&socket)?;
        tokio::spawn(serve(listener));
        self.0.insert(name.to_owned(), socket.clone());
        Ok(socket)
    }
}

enum Message {
    Plugged(u64, mpsc::Sender<Bytes>),
    Frame(u64, Bytes),
    Unplugged(u64),
}

/// Switches between all who connect, until the process ends.
async fn serve(listener: UnixListener) {
    let (sender, mut messages) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        for port in 0.. {
            let Ok((stream, _)) = listener.accept().await else {
                return;
            };
            tokio::spawn(serve_port(port, stream, sender.clone()));
        }
    });
    let mut switch = Switch::default();
    while let Some(message) = messages.recv().await {
        switch.take(message);
    }
}

/// QEMU puts the length of a frame before it: four bytes, the highest first.
async fn serve_port(port: u64, stream: UnixStream, switch: mpsc::Sender<Message>) {
    let (mut out, mut frames) = Framed::new(stream, LengthDelimitedCodec::new()).split();
    let (sender, mut queue) = mpsc::channel(QUEUE);
    if switch.send(Message::Plugged(port, sender)).await.is_err() {
        return;
    }
    let writing = async {
        while let Some(frame) = queue.recv().await {
            if out.send(frame).await.is_err() {
                return;
            }
        }
    };
    let reading = async {
        while let Some(Ok(frame)) = frames.next().await {
            if switch
                .send(Message::Frame(port, frame.freeze()))
                .await
                .is_err()
            {
                return;
            }
        }
    };
    tokio::select! {
        () = writing => {}
        () = reading => {}
    }
    let _ = switch.send(Message::Unplugged(port)).await;
}

type Address = [u8; 6];

#[derive(Default)]
struct Switch {
    ports: HashMap<u64, mpsc::Sender<Bytes>>,
    /// The port that last sent a frame from each address.
    learned: HashMap<Address, u64>,
}

impl Switch {
    fn take(&mut self, message: Message) {
        match message {
            Message::Plugged(port, sender) => drop(self.ports.insert(port, sender)),
            Message::Unplugged(port) => {
                self.ports.remove(&port);
                self.learned.retain(|_, behind| *behind != port);
            }
            Message::Frame(from, frame) => self.forward(from, &frame),
        }
    }

    fn forward(&mut self, from: u64, frame: &Bytes) {
        let sender = frame.get(6..).and_then(|rest| rest.first_chunk());
        let (Some(to), Some(sender)) = (frame.first_chunk::<6>(), sender) else {
            return;
        };
        self.learned.insert(*sender, from);
        let known = self.learned.get(to).copied();
        for (port, queue) in &self.ports {
            if *port != from && known.is_none_or(|known| known == *port) {
                let _ = queue.try_send(frame.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(to: u8, from: u8) -> Bytes {
        [[0, 0, 0, 0, 0, to], [0, 0, 0, 0, 0, from]].concat().into()
    }

    #[test]
    fn frames_go_to_the_port_of_their_receiver_and_to_all_before_it_is_known() {
        let mut switch = Switch::default();
        let mut ports: Vec<_> = (0..3)
            .map(|port| {
                let (sender, receiver) = mpsc::channel(8);
                switch.take(Message::Plugged(port, sender));
                receiver
            })
            .collect();
        let mut got = |switch: &mut Switch, from, bytes: Bytes| -> Vec<usize> {
            switch.take(Message::Frame(from, bytes));
            let received = ports.iter_mut().map(|port| port.try_recv().is_ok());
            received
                .enumerate()
                .filter_map(|(port, got)| got.then_some(port))
                .collect()
        };
        assert_eq!(got(&mut switch, 0, frame(11, 10)), [1, 2]);
        assert_eq!(got(&mut switch, 1, frame(10, 11)), [0]);
        assert_eq!(got(&mut switch, 0, frame(11, 10)), [1]);
        switch.take(Message::Unplugged(1));
        assert_eq!(got(&mut switch, 0, frame(11, 10)), [2]);
        assert!(got(&mut switch, 0, Bytes::from_static(b"short")).is_empty());
    }
}
