//! Requests as bytes, so that a test can send what no browser would.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

/// A request.
#[derive(Clone)]
pub struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    pub fn get(path: &str) -> Self {
        Self {
            method: "GET".into(),
            path: path.into(),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    pub fn post(path: &str, body: &Value) -> Self {
        let request = Self {
            body: body.to_string(),
            ..Self::get(path)
        };
        request
            .method("POST")
            .header("content-type", "application/json")
    }

    pub fn method(mut self, method: &str) -> Self {
        self.method = method.into();
        self
    }

    /// Sets a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// An answer.
pub struct Answer {
    pub code: u16,
    headers: Vec<(String, String)>,
    pub body: String,
    /// The connection, which stays open for a stream.
    reader: BufReader<TcpStream>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }

    /// Reads the rest of the body.
    pub fn read(mut self) -> Self {
        let length = self.header("content-length");
        let length = length.map_or(u64::MAX, |length| length.parse().unwrap());
        // A server that refuses a large body may close the connection at once.
        let _ = self
            .reader
            .by_ref()
            .take(length)
            .read_to_string(&mut self.body);
        self
    }

    /// Reads the first event of a stream.
    pub fn read_event(mut self) -> Self {
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            if line.starts_with("data: ") {
                self.body = line;
                return self;
            }
        }
    }
}

/// Sends a request, and reads the head of the answer.
pub fn send(address: &str, host: &str, request: &Request) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut text = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    if !host.is_empty() {
        text += &format!("Host: {host}\r\n");
    }
    let upgrades = request.headers.iter().any(|(name, _)| name == "connection");
    for (name, value) in &request.headers {
        text += &format!("{name}: {value}\r\n");
    }
    if !upgrades {
        text += "Connection: close\r\n";
    }
    text += &format!(
        "Content-Length: {}\r\n\r\n{}",
        request.body.len(),
        request.body
    );
    // A server that refuses a large body may not read all of it.
    let _ = stream.write_all(text.as_bytes());
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let code = line.split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    Answer {
        code,
        headers,
        body: String::new(),
        reader,
    }
}
