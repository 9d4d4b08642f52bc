//! How imports go wrong: the importer's last words for each scenario.

use crate::field::Field;
use crate::scenario::Scenario;

/// The scenarios that crash the importer, with what it says. `{host}` and `{url}` are the source's.
const CRASHES: [(&str, &str); 7] = [
    (
        "import-dns",
        "Unable to connect to http data source: failed to make a HEAD request: Head \"{url}\": dial tcp: lookup {host} \
         on 10.96.0.10:53: no such host",
    ),
    (
        "import-network",
        "Unable to connect to http data source: failed to make a HEAD request: Head \"{url}\": dial tcp {host}:443: \
         i/o timeout",
    ),
    (
        "import-tls",
        "Unable to connect to http data source: failed to make a HEAD request: Head \"{url}\": tls: failed to verify \
         certificate: x509: certificate signed by unknown authority",
    ),
    (
        "import-auth",
        "Unable to connect to http data source: expected status code 200, got 401. Status: 401 Unauthorized",
    ),
    (
        "import-notfound",
        "Unable to connect to http data source: expected status code 200, got 404. Status: 404 Not Found",
    ),
    // CDI puts this in place of "no space left on device".
    ("import-space", "DataVolume too small to contain image"),
    (
        "import-format",
        "Unable to process data: Unable to convert source data to target format: qemu-img: Could not open \
         '/data/disk.img': Image is not in qcow2 format: exit status 1",
    ),
];
const REGISTRY: [(&str, &str); 5] = [
    (
        "import-dns",
        "Failed to read registry image: Could not create image reference: pinging container registry {host}: Get \
         \"https://{host}/v2/\": dial tcp: lookup {host} on 10.96.0.10:53: no such host",
    ),
    (
        "import-network",
        "Failed to read registry image: pinging container registry {host}: Get \"https://{host}/v2/\": dial tcp \
         {host}: i/o timeout",
    ),
    (
        "import-tls",
        "Failed to read registry image: pinging container registry {host}: Get \"https://{host}/v2/\": tls: failed to \
         verify certificate: x509: certificate signed by unknown authority",
    ),
    (
        "import-auth",
        "Failed to read registry image: reading manifest in {host}: unauthorized: authentication required (401)",
    ),
    (
        "import-notfound",
        "Failed to read registry image: reading manifest in {host}: manifest unknown (404)",
    ),
];

/// What the importer of `dv` dies of, if the scenario wants it to.
pub fn crash(scenario: &Scenario, dv: &Field<'_>) -> Option<String> {
    let source = dv.at("spec.source");
    let registry = source.child("registry").is_set();
    let url = ["registry", "http", "s3", "gcs"]
        .into_iter()
        .map(|kind| source.child(kind).child("url").text())
        .find(|url| !url.is_empty())
        .unwrap_or("http://images.example.com/disk.img");
    let host = url
        .split("://")
        .nth(1)
        .unwrap_or(url)
        .split('/')
        .next()
        .unwrap_or_default();
    let find = |texts: &[(&str, &'static str)]| {
        texts
            .iter()
            .find(|(name, _)| scenario.has(name))
            .map(|(_, text)| *text)
    };
    let text = if registry { find(&REGISTRY) } else { None }.or_else(|| find(&CRASHES))?;
    Some(text.replace("{url}", url).replace("{host}", host))
}
