//! How imports fail: the last message of the importer for each scenario, recorded from a real importer.

use crate::field::Field;
use crate::kind::Kind;
use crate::scenario::Scenario;
use crate::world::World;

/// The end of an importer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// The reason in the container's status.
    pub reason: &'static str,
    pub exit_code: i64,
    /// The message in the container's status.
    pub words: String,
}

/// The words of an importer of `http`. `{url}` is the source's, `{host}` its host, `{address}` the host with its port.
const HTTP: [(&str, &str); 11] = [
    ("import-dns", "{get}: dial tcp: lookup {host}: i/o timeout"),
    ("import-network", "{get}: dial tcp {address}: i/o timeout"),
    (
        "import-refused",
        "{get}: dial tcp {address}: connect: connection refused",
    ),
    (
        "import-noroute",
        "{get}: dial tcp {address}: connect: no route to host",
    ),
    (
        "import-tls-name",
        "{get}: tls: failed to verify certificate: x509: cannot validate certificate for {host} because it doesn't \
         contain any IP SANs",
    ),
    (
        "import-tls",
        "{get}: tls: failed to verify certificate: x509: certificate signed by unknown authority",
    ),
    (
        "import-auth",
        "Unable to connect to http data source: expected status code 200, got 401. Status: 401 Unauthorized",
    ),
    (
        "import-notfound",
        "Unable to connect to http data source: expected status code 200, got 404. Status: 404 Not Found",
    ),
    (
        "import-unavailable",
        "Unable to connect to http data source: expected status code 200, got 503. Status: 503 Service Unavailable",
    ),
    (
        "import-space",
        "Unable to process data: Unable to convert source data to target format: virtual image size 48234496 is larger \
         than the reported available storage 35567698. A larger PVC is required",
    ),
    (
        "import-format",
        "Unable to process data: Unable to obtain information about data source: could not process image header: \
         unexpected EOF",
    ),
];
const GET: &str = "Unable to connect to http data source: HTTP request errored: Get \"{url}\"";
/// The same for registries, after [`PULL`]. `{image}` is the image without its tag `{tag}`.
const REGISTRY: [(&str, &str); 8] = [
    ("import-dns", "{ping}: dial tcp: lookup {host}: i/o timeout"),
    ("import-network", "{ping}: dial tcp {address}: i/o timeout"),
    (
        "import-refused",
        "{ping}: dial tcp {address}: connect: connection refused",
    ),
    (
        "import-noroute",
        "{ping}: dial tcp {address}: connect: no route to host",
    ),
    (
        "import-tls-name",
        "{ping}: tls: failed to verify certificate: x509: cannot validate certificate for {host} because it doesn't \
         contain any IP SANs",
    ),
    (
        "import-tls",
        "{ping}: tls: failed to verify certificate: x509: certificate signed by unknown authority",
    ),
    (
        "import-auth",
        "reading manifest {tag} in {image}: unauthorized: authentication required",
    ),
    (
        "import-notfound",
        "reading manifest {tag} in {image}: manifest unknown",
    ),
];
const PULL: &str = "Unable to process data: Unable to transfer source data to scratch space: Failed to read registry \
                    image: failed to pull image: ";
const PING: &str = "pinging container registry {address}: Get \"https://{address}/v2/\"";
/// The importer's message about a wrong checksum.
pub const CHECKSUM: &str = "Unable to process data: Unable to transfer source data to scratch space: checksum validation \
                            failed: checksum mismatch: expected sha256:{expected}, calculated \
                            sha256:8300f8992849bc99289a95253c56798b00a993df8596ff7f53d5823b473c0810";
/// The end of the log of an importer that the kernel kills: it has no last words of its own.
const LOG: &str = "I0101 00:00:00.000000       1 importer.go:107] Starting importer\n\
                   I0101 00:00:00.000000       1 importer.go:182] begin import process\n";
const NO_HOST: &str = "images.example.com";

/// The end of the importer of `dv`, if the scenario has one.
pub fn crash(scenario: &Scenario, dv: &Field<'_>) -> Option<Death> {
    if scenario.has("import-oom") {
        return Some(Death {
            reason: "OOMKilled",
            exit_code: 137,
            words: LOG.into(),
        });
    }
    let source = dv.at("spec.source");
    let find = |texts: &[(&str, &'static str)]| {
        texts
            .iter()
            .find(|(name, _)| scenario.has(name))
            .map(|(_, text)| *text)
    };
    let url = ["registry", "http", "s3", "gcs"]
        .into_iter()
        .map(|kind| source.child(kind).child("url").text())
        .find(|url| !url.is_empty())
        .unwrap_or("http://images.example.com/disk.img");
    let registry = source.child("registry").is_set();
    let text = match find(&REGISTRY).filter(|_| registry) {
        Some(text) => format!("{PULL}{text}"),
        None => find(&HTTP)?.to_owned(),
    };
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split('/').next().unwrap_or(NO_HOST);
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    let address = match (authority == host, scheme) {
        (true, "http") => format!("{host}:80"),
        (true, "https") => format!("{host}:443"),
        _ => authority.to_owned(),
    };
    let (image, tag) = match rest.rsplit_once(':') {
        Some((image, tag)) if !tag.contains('/') => (image, tag),
        _ => (rest, "latest"),
    };
    Some(Death {
        reason: "Error",
        exit_code: 1,
        words: text
            .replace("{image}", image)
            .replace("{tag}", tag)
            .replace("{get}", GET)
            .replace("{ping}", PING)
            .replace("{url}", url)
            .replace("{host}", host)
            .replace("{address}", &address),
    })
}

/// CDI's own words for the end of an importer: the reason and the message of the condition `Running`.
pub fn reported(death: &Death) -> (&'static str, &str) {
    let small = [
        "no space left on device",
        "is larger than the reported available",
    ];
    // CDI takes these words for those of a kubelet.
    let reason = if death.words.contains("failed to pull image") {
        "ImagePullFailed"
    } else {
        death.reason
    };
    if small.iter().any(|words| death.words.contains(words)) {
        return (reason, "DataVolume too small to contain image");
    }
    (reason, &death.words)
}

/// The reason why the container of an importer cannot be created.
#[derive(Debug, PartialEq, Eq)]
pub enum Missing {
    /// A Secret with credentials: the container's environment is taken from it.
    Secret(String),
    /// A ConfigMap with certificates: it is mounted.
    ConfigMap(String),
}

/// The missing object that the source of a DataVolume names.
pub fn missing(world: &World, dv: &Field<'_>) -> Option<Missing> {
    let namespace = dv.at("metadata.namespace").text();
    let sources = dv.at("spec.source");
    sources.entries().find_map(|(_, source)| {
        let source = Field::new("", source);
        let (secret, certificates) = (
            source.child("secretRef").text(),
            source.child("certConfigMap").text(),
        );
        let lacks =
            |kind, name: &str| !name.is_empty() && world.get(kind, namespace, name).is_none();
        if lacks(Kind::ConfigMap, certificates) {
            Some(Missing::ConfigMap(certificates.to_owned()))
        } else if lacks(Kind::Secret, secret) {
            Some(Missing::Secret(secret.to_owned()))
        } else {
            None
        }
    })
}
