//! Image references: URLs, registry references and short names.
//!
//! CDI checks neither hosts nor credentials nor registry references, and what it does refuse it refuses late, so all of
//! that is checked here. What comes out is in the form that CDI takes.

use std::net::IpAddr;
use std::sync::LazyLock;

use ipnet::IpNet;
use regex_lite::Regex;
use url::{Host, Url};

use super::settings::{OperatorSettings, SINGLE_LABEL};
use super::text;
use crate::validated::Source;

/// Longest image reference, in bytes.
const REFERENCE_MAX: usize = 2048;

/// The schemes of `image` and `osImage`.
const SCHEMES: &str = "http, https, docker, oci-archive, s3 and gs";

/// Where `s3://` URLs lead. CDI refuses that scheme (`validateSourceURL` in pkg/apiserver/webhooks/util.go) and takes
/// `https://endpoint/bucket/object`, with the signing region from the endpoint's name (`extractRegion` in
/// pkg/importer/s3-datasource.go). A URL without region means us-east-1, as it does for Amazon's own tools.
const S3_ENDPOINT: &str = "s3.us-east-1.amazonaws.com";

/// Where `gs://` URLs lead. CDI takes them as they are.
const GCS_ENDPOINT: &str = "storage.googleapis.com";

/// The registry of a reference that names none.
const DEFAULT_REGISTRY: &str = "docker.io";

/// The grammar of a registry reference (`regexp.go` of github.com/distribution/reference): domain, path, tag, digest.
/// The domain is what has a dot, a port or upper case, or is `localhost`.
static REGISTRY_REFERENCE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
    r"^(?:(localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9.-]+:[0-9]+|\[[0-9A-Fa-f:]+\](?::[0-9]+)?|[a-z0-9-]*[A-Z][A-Za-z0-9-]*)/)?",
    r"([a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)",
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?",
    r"(@sha256:[a-f0-9]{64}|@sha384:[a-f0-9]{96}|@sha512:[a-f0-9]{128})?$",
)).ok()
});

/// A percent sign that begins no escape.
static BAD_ESCAPE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("%(?:[^0-9A-Fa-f]|[0-9A-Fa-f][^0-9A-Fa-f]|[0-9A-Fa-f]?$)").ok());

/// Turns `image` or `osImage` into the source that it is short for.
pub(super) fn source(image: &str, settings: &OperatorSettings) -> Result<Source, String> {
    split(image)?;
    let reference = match image.contains('/') {
        true => image.to_owned(),
        false => format!("{}{image}", settings.os_image_prefix),
    };
    match split(&reference)?.0.as_str() {
        "http" | "https" => Ok(Source::Http {
            url: http(&reference, settings)?,
            secret: None,
            certificates: None,
            checksum: None,
        }),
        "docker" | "oci-archive" => Ok(Source::Registry {
            url: registry(&reference, settings)?,
            pull_method: None,
            secret: None,
            certificates: None,
        }),
        "s3" => Ok(Source::S3 {
            url: s3(&reference, settings)?,
            secret: None,
            certificates: None,
        }),
        "gs" => Ok(Source::Gcs {
            url: gcs(&reference, settings)?,
            secret: None,
        }),
        _ => Err(format!(
            "{} has a scheme that cannot be imported: use one of {SCHEMES}",
            text::quoted(image)
        )),
    }
}

/// What a disk that exists was made from, when it is still meant: the same source under other settings of the operator,
/// or the same short name under another prefix.
pub(super) fn unchanged<'a>(
    requested: Option<&Source>,
    image: Option<&str>,
    made: &'a Source,
) -> Option<&'a Source> {
    let short = image.is_some_and(|image| !image.contains('/'));
    let name = |source: &Source| Some(location(source)?.rsplit('/').next()?.to_owned());
    let same = requested == Some(made) || short && requested.and_then(name) == name(made);
    same.then_some(made)
}

fn location(source: &Source) -> Option<&str> {
    match source {
        Source::Http { url, .. }
        | Source::Registry { url, .. }
        | Source::S3 { url, .. }
        | Source::Gcs { url, .. } => Some(url),
        Source::Blank
        | Source::Claim(_)
        | Source::Snapshot(_)
        | Source::WukongSnapshot { .. }
        | Source::DataSource { .. }
        | Source::Existing(_) => None,
    }
}

/// An `http` or `https` URL.
pub(super) fn http(url: &str, settings: &OperatorSettings) -> Result<String, String> {
    match split(url)? {
        (scheme, rest) if scheme == "http" || scheme == "https" => {
            let url = format!("{scheme}://{rest}");
            check_web(&url, settings)?;
            Ok(url)
        }
        _ => Err(format!(
            "{} is not an http:// or https:// URL",
            text::quoted(url)
        )),
    }
}

/// The URL of an object in S3 or a compatible store: `s3://bucket/object` or `https://endpoint/bucket/object`.
pub(super) fn s3(url: &str, settings: &OperatorSettings) -> Result<String, String> {
    let (scheme, rest) = split(url)?;
    let web = match scheme.as_str() {
        "s3" => format!("https://{S3_ENDPOINT}/{}", in_bucket(url, rest)?),
        "http" | "https" => {
            in_endpoint(url, rest)?;
            format!("{scheme}://{rest}")
        }
        _ => {
            return Err(format!(
                "{} is not an s3:// or https:// URL",
                text::quoted(url)
            ));
        }
    };
    check_web(&web, settings)?;
    Ok(web)
}

/// The URL of an object in Google Cloud Storage: `gs://bucket/object` or `https://endpoint/bucket/object`.
pub(super) fn gcs(url: &str, settings: &OperatorSettings) -> Result<String, String> {
    let (scheme, rest) = split(url)?;
    match scheme.as_str() {
        "gs" => {
            let object = in_bucket(url, rest)?;
            check_web(&format!("https://{GCS_ENDPOINT}/{object}"), settings)?;
        }
        "http" | "https" => {
            in_endpoint(url, rest)?;
            check_web(&format!("{scheme}://{rest}"), settings)?;
        }
        _ => {
            return Err(format!(
                "{} is not a gs:// or https:// URL",
                text::quoted(url)
            ));
        }
    }
    Ok(format!("{scheme}://{rest}"))
}

/// A `docker` or `oci-archive` URL, or a registry reference, to which `docker://` is added: CDI refuses a reference
/// without scheme.
///
/// A tag beside a digest is dropped: CDI's importer cannot read both at once (`newReference` in containers/image), and
/// the digest alone says which image it is.
pub(super) fn registry(reference: &str, settings: &OperatorSettings) -> Result<String, String> {
    let shown = text::quoted(reference);
    let rest = match split(reference)? {
        (scheme, rest) if scheme == "docker" => rest,
        (scheme, rest) if scheme == "oci-archive" && !rest.is_empty() => {
            return Ok(format!("{scheme}://{rest}"));
        }
        _ => return Err(format!("{shown} is not a docker:// or oci-archive:// URL")),
    };
    let captures = REGISTRY_REFERENCE
        .as_ref()
        .and_then(|grammar| grammar.captures(rest))
        .ok_or_else(|| format!("{shown} is not a registry reference: write docker://registry/repository:tag, the repository in lower case"))?;
    let part = |index| captures.get(index).map_or("", |part| part.as_str());
    let (domain, path, tag, digest) = (part(1), part(2), part(3), part(4));
    let host = if domain.is_empty() {
        DEFAULT_REGISTRY
    } else {
        domain
    };
    // Parsed as https, so that every notation of an address is seen for what it is.
    check_web(&format!("https://{host}/"), settings)?;
    let slash = if domain.is_empty() { "" } else { "/" };
    let version = if digest.is_empty() { tag } else { digest };
    Ok(format!("docker://{domain}{slash}{path}{version}"))
}

/// Scheme in lower case (`docker` where there is none) and what follows it. Refuses what no reference may have, and
/// does not repeat a reference that may have a password in it.
fn split(reference: &str) -> Result<(String, &str), String> {
    text::plain(reference, REFERENCE_MAX)?;
    if reference.contains(char::is_whitespace) {
        return Err("contains white space: write %20 where a URL has some".into());
    }
    if reference.contains('\\') {
        return Err("contains a backslash: write / instead".into());
    }
    let (scheme, rest) = reference.split_once("://").unwrap_or(("docker", reference));
    let scheme = scheme.to_ascii_lowercase();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // A digest stands behind the last slash.
    let digest = scheme == "docker" && authority == rest && authority.contains("@sha");
    if authority.contains('@') && !digest {
        return Err("has a user or password in it: put them into a Secret, and name it as secretRef beside the url in source".into());
    }
    Ok((scheme, rest))
}

/// Checks `bucket/object`.
fn in_bucket<'a>(url: &str, rest: &'a str) -> Result<&'a str, String> {
    let (bucket, object) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.contains(':') {
        return Err(format!(
            "{} has a server where the bucket belongs: write https://server/bucket/object as url in source",
            text::quoted(url)
        ));
    }
    if bucket.is_empty() || object.is_empty() {
        return Err(format!(
            "{} names no object: write bucket and object behind the scheme",
            text::quoted(url)
        ));
    }
    Ok(rest)
}

/// Checks `endpoint/bucket/object`: CDI takes the first part of the path for the bucket.
fn in_endpoint(url: &str, rest: &str) -> Result<(), String> {
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    match path.trim_matches('/').split_once('/') {
        Some(_) => Ok(()),
        None => Err(format!(
            "{} names no object: write https://endpoint/bucket/object",
            text::quoted(url)
        )),
    }
}

/// Checks an `http` or `https` URL without credentials: that Go, in which CDI is written, reads it as we do, and that
/// its host is allowed.
fn check_web(url: &str, settings: &OperatorSettings) -> Result<(), String> {
    let escape = BAD_ESCAPE.as_ref();
    if escape.is_some_and(|escape| escape.is_match(url)) {
        return Err(format!(
            "{} has a % without two hex digits: write %25 for the sign itself",
            text::quoted(url)
        ));
    }
    let parsed =
        Url::parse(url).map_err(|error| format!("{} is not a URL: {error}", text::quoted(url)))?;
    let empty = url
        .split_once("://")
        .is_none_or(|(_, rest)| rest.starts_with('/'));
    let host = match parsed.host() {
        Some(host) if !empty => host,
        _ => return Err(format!("{} has no host", text::quoted(url))),
    };
    if settings.denies(&host) {
        return Err(format!(
            "the host {host} is denied by the operator's settings"
        ));
    }
    Ok(())
}

impl OperatorSettings {
    fn denies(&self, host: &Host<&str>) -> bool {
        let address = match host {
            Host::Ipv4(address) => Some(IpAddr::V4(*address)),
            Host::Ipv6(address) => Some(
                address
                    .to_ipv4_mapped()
                    .map_or(IpAddr::V6(*address), IpAddr::V4),
            ),
            Host::Domain(_) => None,
        };
        self.denied_hosts.iter().any(|denied| {
            if denied == SINGLE_LABEL {
                let single = |name: &&str| !name.trim_end_matches('.').contains('.');
                return matches!(host, Host::Domain(name) if single(name) && *name != "localhost");
            }
            let network = denied
                .parse::<IpNet>()
                .or_else(|_| denied.parse::<IpAddr>().map(IpNet::from));
            match (network, address, host) {
                (Ok(network), Some(address), _) => network.contains(&address),
                (Err(_), None, Host::Domain(name)) => {
                    let name = name.trim_end_matches('.');
                    let denied = denied.to_ascii_lowercase();
                    name.strip_suffix(&denied)
                        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
                }
                _ => false,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn registry_url(image: &str) -> String {
        match source(image, &OperatorSettings::default()) {
            Ok(Source::Registry { url, .. }) => url,
            other => panic!("{image}: {other:?}"),
        }
    }

    #[test]
    fn every_spelling_of_a_container_disk() {
        for (image, url) in [
            (
                "ubuntu:24.04",
                "docker://quay.io/containerdisks/ubuntu:24.04",
            ),
            (
                "quay.io/containerdisks/fedora:41",
                "docker://quay.io/containerdisks/fedora:41",
            ),
            (
                "docker://localhost:5000/disks/web:1",
                "docker://localhost:5000/disks/web:1",
            ),
            ("DOCKER://REG.lan:5000/x", "docker://REG.lan:5000/x"),
            ("10.0.0.1:5000/x", "docker://10.0.0.1:5000/x"),
            ("[fd00::1]:5000/x", "docker://[fd00::1]:5000/x"),
            (
                "kubevirt/cirros-container-disk-demo",
                "docker://kubevirt/cirros-container-disk-demo",
            ),
            ("svc/x", "docker://svc/x"),
            ("oci-archive://images/x.tar", "oci-archive://images/x.tar"),
        ] {
            assert_eq!(registry_url(image), url);
        }
    }

    #[test]
    fn a_digest_wins_over_a_tag() {
        let pinned = format!("docker://reg.example.org/x@{DIGEST}");
        assert_eq!(registry_url(&pinned), pinned);
        assert_eq!(
            registry_url(&format!("reg.example.org/x:1.2@{DIGEST}")),
            pinned
        );
        assert_eq!(
            registry_url(&format!("ubuntu@{DIGEST}")),
            format!("docker://quay.io/containerdisks/ubuntu@{DIGEST}")
        );
    }

    #[test]
    fn a_prefix_may_lead_anywhere() {
        for (prefix, url) in [
            (
                "registry.lan:5000/disks/",
                "docker://registry.lan:5000/disks/ubuntu:24.04",
            ),
            ("docker://mirror/", "docker://mirror/ubuntu:24.04"),
        ] {
            let settings = OperatorSettings {
                os_image_prefix: prefix.into(),
                ..OperatorSettings::default()
            };
            assert_eq!(
                source("ubuntu:24.04", &settings),
                source(url, &OperatorSettings::default())
            );
        }
    }

    #[test]
    fn object_stores_get_urls_that_cdi_takes() {
        let settings = OperatorSettings::default();
        for (requested, url) in [
            (
                "s3://images/web.img",
                Ok("https://s3.us-east-1.amazonaws.com/images/web.img"),
            ),
            (
                "s3://images/a/b/web.img",
                Ok("https://s3.us-east-1.amazonaws.com/images/a/b/web.img"),
            ),
            (
                "https://minio.lan:9000/images/web.img",
                Ok("https://minio.lan:9000/images/web.img"),
            ),
            (
                "https://minio.lan/web.img",
                Err(
                    "\"https://minio.lan/web.img\" names no object: write https://endpoint/bucket/object",
                ),
            ),
            (
                "s3://images",
                Err("\"s3://images\" names no object: write bucket and object behind the scheme"),
            ),
            (
                "s3://minio:9000/images/web.img",
                Err(
                    "\"s3://minio:9000/images/web.img\" has a server where the bucket belongs: write https://server/bucket/object as url in source",
                ),
            ),
            (
                "gs://images/web.img",
                Err("\"gs://images/web.img\" is not an s3:// or https:// URL"),
            ),
        ] {
            assert_eq!(
                s3(requested, &settings),
                url.map(Into::into).map_err(Into::into),
                "{requested}"
            );
        }
        for url in [
            "gs://images/web.img",
            "https://storage.googleapis.com/images/web.img",
        ] {
            assert_eq!(gcs(url, &settings).as_deref(), Ok(url));
        }
        assert!(gcs("s3://images/web.img", &settings).is_err());
    }

    #[test]
    fn what_no_source_can_be() {
        for image in [
            "",
            "file:///etc/shadow",
            "ftp://x/y",
            "http://",
            "http:///x",
            "http://h.lan/%zz",
            "http://h.lan/%4",
            "http://h.lan:99999/x",
            "http://good.example\\@169.254.169.254/x",
            "docker://",
            "docker:///x",
            "docker://reg/UPPER/x",
            "docker://reg/x:",
            "docker://reg/x@sha256:abc",
            "oci-archive://",
            "http://a b/x",
            "http://h.lan/a\nb",
        ] {
            assert!(
                source(image, &OperatorSettings::default()).is_err(),
                "{image}"
            );
        }
        assert!(
            source(
                &format!("reg/{}", "x".repeat(3000)),
                &OperatorSettings::default()
            )
            .is_err()
        );
    }

    #[test]
    fn a_password_is_refused_and_never_repeated() {
        for image in [
            "http://user:secret@host/x",
            "https://user:secret@ho st/x",
            "https://user:secret@host:99999/x",
            "ftp://user:secret@host/x",
            "docker://user:secret@host/x",
            "docker://user:secret@sha.example.org/x",
            "user:secret@host/x",
            "user:secret@host",
            "s3://key:secret@bucket/x",
            "gs://key:secret@bucket/x",
        ] {
            let error = source(image, &OperatorSettings::default()).unwrap_err();
            assert!(!error.contains("secret@"), "{error}");
        }
    }

    #[test]
    fn denied_hosts_are_found_in_every_spelling() {
        for image in [
            "http://169.254.169.254/latest",
            "http://2852039166/latest",
            "http://[::ffff:169.254.169.254]/latest",
            "docker://0xA9FEA9FE:80/x/y",
            "https://files.default.svc/x",
            "https://kubernetes.default/x",
            "https://files.default.svc.cluster.local./x",
            "https://kubernetes.default.SVC/x",
            "registry.default.svc:5000/x",
        ] {
            let error = source(image, &OperatorSettings::default()).unwrap_err();
            assert!(error.contains("is denied by"), "{error}");
        }
        let strict = OperatorSettings {
            denied_hosts: vec![SINGLE_LABEL.into()],
            ..OperatorSettings::default()
        };
        for image in [
            "http://files/x",
            "http://Files./x",
            "docker://registry:5000/x",
        ] {
            assert!(source(image, &strict).is_err(), "{image}");
            assert!(
                source(image, &OperatorSettings::default()).is_ok(),
                "{image}"
            );
        }
        assert!(source("docker://localhost:5000/x", &strict).is_ok());
        let settings = OperatorSettings {
            denied_hosts: ["10.0.0.5", "Example.org", "docker.io", "amazonaws.com"]
                .map(Into::into)
                .into(),
            ..OperatorSettings::default()
        };
        for image in [
            "http://10.0.0.5/x",
            "http://www.example.org/x",
            "library/x",
            "s3://images/x",
        ] {
            assert!(source(image, &settings).is_err(), "{image}");
        }
        for image in [
            "http://10.0.0.6/x",
            "http://notexample.org/x",
            "gs://example.org/x",
        ] {
            assert!(source(image, &settings).is_ok(), "{image}");
        }
    }
}
