//! A plugin that serves a bundle, and the session of a browser.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use assert_cmd::cargo::cargo_bin;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::http::{Answer, Request, send};

/// A secret in every object that may have one.
pub const CANARY: &str = "canary";

/// A plugin that serves a bundle.
pub struct Page {
    pub process: Child,
    pub host: String,
    pub token: String,
    address: String,
    bundle: tempfile::TempDir,
}

impl Page {
    pub fn open(args: &[&str]) -> Self {
        let bundle = tempfile::tempdir().unwrap();
        write_bundle(&bundle.path().join("web.tar.gz"));
        let mut process = Command::new(cargo_bin!("kubectl-wukong"))
            .args(["ui", "--no-open", "--from", "web.tar.gz"])
            .args(args)
            .current_dir(bundle.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut url)
            .unwrap();
        let (host, token) = url.trim().split_once("/#token=").unwrap();
        let host = host.strip_prefix("http://").unwrap().to_owned();
        Self {
            process,
            address: host.replace("0.0.0.0", "127.0.0.1"),
            host,
            token: token.to_owned(),
            bundle,
        }
    }

    pub fn origin(&self) -> String {
        format!("http://{}", self.host)
    }

    /// Ends the plugin and returns what it said.
    pub fn stderr(mut self) -> String {
        self.process.kill().unwrap();
        let mut text = String::new();
        let mut stderr = self.process.stderr.take().unwrap();
        stderr.read_to_string(&mut text).unwrap();
        text
    }

    pub fn send(&self, request: Request) -> Answer {
        self.send_as(&self.host, request)
    }

    pub fn send_as(&self, host: &str, request: Request) -> Answer {
        send(&self.address, host, &request).read()
    }

    /// Sends a request for a stream, which is open while the answer lives.
    pub fn start(&self, request: Request) -> Answer {
        send(&self.address, &self.host, &request)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path))
    }

    pub fn first_event(&self, path: &str, cookie: &str) -> Answer {
        self.start(Request::get(path).header("cookie", cookie))
            .read_event()
    }

    pub fn exchange(&self, token: &str) -> Answer {
        let request = Request::post("/api/session", &json!({"token": token}))
            .header("origin", &self.origin())
            .header("x-wukong-ui", "1");
        self.send(request)
    }

    /// Returns the cookie of a session.
    pub fn log_in(&self) -> String {
        let cookie = self.exchange(&self.token).header("set-cookie").unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    /// What `doctor` says of the bundle.
    pub fn doctor(&self) -> Value {
        let output = Command::new(cargo_bin!("kubectl-wukong"))
            .args(["doctor", "-o", "json", "--from", "web.tar.gz"])
            .current_dir(self.bundle.path())
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Writes a bundle of a VM with an import that fails, as an earlier version would that did not redact anything.
fn write_bundle(path: &Path) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut objects: Vec<Value> = Vec::new();
    for file in ["cluster.yaml", "failing.yaml"] {
        let text = std::fs::read_to_string(data.join(file)).unwrap();
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        for document in documents {
            match document["items"].as_array() {
                Some(items) => objects.extend(items.iter().cloned()),
                None => objects.push(document),
            }
        }
    }
    let is = |object: &&Value, kind: &str| object["kind"] == kind;
    let mut wukong = objects
        .iter()
        .find(|object| is(object, "Wukong"))
        .unwrap()
        .clone();
    wukong["spec"]["cloudInitUser"] = json!({"name": "me", "password": CANARY});
    let mut files = vec![
        (
            "about.yaml".to_owned(),
            json!({"taken": "2026-01-20T12:00:00Z", "made_by": "test"}),
        ),
        ("wukong.yaml".to_owned(), wukong),
    ];
    for (kind, plural) in [
        ("KubeVirt", "kubevirts"),
        ("Node", "nodes"),
        ("Pod", "pods"),
        ("StorageClass", "storageclasses"),
        ("CDI", "cdis"),
        ("DataVolume", "datavolumes"),
        ("PersistentVolumeClaim", "persistentvolumeclaims"),
        ("VirtualMachine", "virtualmachines"),
    ] {
        let of_kind: Vec<&Value> = objects.iter().filter(|object| is(object, kind)).collect();
        let kept = json!({"plural": plural, "seen": "served", "objects": of_kind});
        files.push((format!("{plural}.yaml"), kept));
    }
    let file = File::create(path).unwrap();
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
    for (name, value) in files {
        let text = value.to_string();
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len().try_into().unwrap());
        header.set_mode(0o600);
        archive
            .append_data(&mut header, name, text.as_bytes())
            .unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap();
}
