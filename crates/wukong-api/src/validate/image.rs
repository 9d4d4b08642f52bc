//! Image references: URLs, registry references and short names.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use super::{Policy, text};
use crate::validated::Source;

/// Longest image reference, in bytes.
const REFERENCE_MAX: usize = 2048;

/// The schemes of `image` and `osImage`, and what they mean.
const SCHEMES: &str = "http, https, docker, oci-archive, s3 and gs";

/// Turns `image` or `osImage` into the source that it is short for.
pub(super) fn source(image: &str, policy: &Policy) -> Result<Source, String> {
    text::plain(image, REFERENCE_MAX)?;
    let reference = match scheme(image) {
        Some(_) => image.to_owned(),
        None if image.contains('/') => format!("docker://{image}"),
        None => format!("{}{image}", policy.os_image_prefix),
    };
    match scheme(&reference) {
        Some("http" | "https") => http(&reference, policy),
        Some("docker" | "oci-archive") => registry(&reference, policy),
        Some("s3") => Ok(Source::S3 {
            url: object(&reference, policy)?,
            secret: None,
            certificates: None,
        }),
        Some("gs") => Ok(Source::Gcs {
            url: object(&reference, policy)?,
            secret: None,
        }),
        _ => Err(format!(
            "{} has a scheme that cannot be imported: use one of {SCHEMES}",
            text::quoted(image)
        )),
    }
}

/// An `http` or `https` URL.
pub(super) fn http(url: &str, policy: &Policy) -> Result<Source, String> {
    match scheme(url) {
        Some("http" | "https") => checked(url, url, policy)?,
        _ => {
            return Err(format!(
                "{} is not an http:// or https:// URL",
                text::quoted(url)
            ));
        }
    }
    Ok(Source::Http {
        url: url.to_owned(),
        secret: None,
        certificates: None,
        checksum: None,
    })
}

/// A `docker` or `oci-archive` URL, or a registry reference, to which `docker://` is added: CDI refuses a reference
/// without scheme.
pub(super) fn registry(reference: &str, policy: &Policy) -> Result<Source, String> {
    let url = match scheme(reference) {
        None => format!("docker://{reference}"),
        Some("docker" | "oci-archive") => reference.to_owned(),
        _ => {
            return Err(format!(
                "{} is not a docker:// or oci-archive:// URL",
                text::quoted(reference)
            ));
        }
    };
    if let Some(rest) = url.strip_prefix("docker://") {
        // Parsed as https, so that every notation of an address is seen for what it is.
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        if path.is_empty() || path.starts_with('/') {
            return Err(format!(
                "{} names no image: write docker://registry/repository:tag",
                text::quoted(reference)
            ));
        }
        checked(&format!("https://{host}/"), reference, policy)?;
    }
    if url.contains(char::is_whitespace) {
        return Err(format!("{} contains white space", text::quoted(reference)));
    }
    Ok(Source::Registry {
        url,
        pull_method: None,
        secret: None,
        certificates: None,
    })
}

/// The URL of an object in an object store.
pub(super) fn object(url: &str, policy: &Policy) -> Result<String, String> {
    match scheme(url) {
        Some("s3" | "gs" | "http" | "https") => {}
        _ => {
            return Err(format!(
                "{} is not an s3://, gs:// or https:// URL",
                text::quoted(url)
            ));
        }
    }
    let rest = url
        .split_once("://")
        .map(|(_, rest)| rest)
        .unwrap_or_default();
    checked(&format!("https://{rest}"), url, policy)?;
    Ok(url.to_owned())
}

fn scheme(reference: &str) -> Option<&str> {
    reference.split_once("://").map(|(scheme, _)| scheme)
}

/// Checks host and user of `url`; `shown` is what the user wrote.
fn checked(url: &str, shown: &str, policy: &Policy) -> Result<(), String> {
    let parsed = Url::parse(url)
        .map_err(|error| format!("{} is not a URL: {error}", text::quoted(shown)))?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("has a user or password in it: put them into a Secret and name it in source.….secretRef".into());
    }
    let Some(host) = parsed.host() else {
        return Err(format!("{} has no host", text::quoted(shown)));
    };
    if policy.denies(&host) {
        return Err(format!(
            "the host {host} is denied by the operator's settings"
        ));
    }
    Ok(())
}

impl Policy {
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
        self.denied_hosts
            .iter()
            .any(|denied| match (denied.parse::<IpNet>(), address, host) {
                (Ok(network), Some(address), _) => network.contains(&address),
                (Err(_), None, Host::Domain(name)) => {
                    let name = name.trim_end_matches('.');
                    name == denied
                        || name
                            .strip_suffix(denied.as_str())
                            .is_some_and(|rest| rest.ends_with('.'))
                }
                _ => false,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry_url(image: &str) -> String {
        match source(image, &Policy::default()) {
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
            ("10.0.0.1:5000/x", "docker://10.0.0.1:5000/x"),
            ("docker://reg/x@sha256:abc", "docker://reg/x@sha256:abc"),
            ("oci-archive://images/x.tar", "oci-archive://images/x.tar"),
        ] {
            assert_eq!(registry_url(image), url);
        }
    }

    #[test]
    fn schemes_choose_the_source() {
        let policy = Policy::default();
        assert!(matches!(
            source("https://10.1.2.3/x.img", &policy),
            Ok(Source::Http { .. })
        ));
        assert!(matches!(
            source("s3://bucket/x.img", &policy),
            Ok(Source::S3 { .. })
        ));
        assert!(matches!(
            source("gs://bucket/x.img", &policy),
            Ok(Source::Gcs { .. })
        ));
        for image in [
            "file:///etc/shadow",
            "ftp://x/y",
            "http://",
            "docker://",
            "docker://host",
            "docker:///x",
            "http://a b/x",
        ] {
            assert!(source(image, &policy).is_err(), "{image}");
        }
    }

    #[test]
    fn credentials_and_denied_hosts_are_refused() {
        for image in [
            "http://user:secret@host/x",
            "docker://user:secret@host/x",
            "s3://key:secret@bucket/x",
            "http://169.254.169.254/latest",
            "http://2852039166/latest",
            "http://[::ffff:169.254.169.254]/latest",
            "docker://0xA9FEA9FE/x",
            "https://files.default.svc/x",
            "https://files.default.svc.cluster.local./x",
            "https://kubernetes.default.SVC/x",
        ] {
            let error = source(image, &Policy::default()).unwrap_err();
            assert!(!error.contains("secret@"), "{error}");
        }
        assert!(source("https://svc.example.org/x", &Policy::default()).is_ok());
    }
}
