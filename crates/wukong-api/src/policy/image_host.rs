//! The host that an image comes from, told by text alone, as CEL can.
//!
//! Odd spellings (an address as one number, a user before the host) come out as hosts that no list names, and are refused;
//! what is a URL at all is for [`crate::validate`] to say.

/// Most characters of a host and its port: more cost the API server too much to compare.
const AUTHORITY_MAX: usize = 300;

/// The host of a URL or registry reference, in lower case and without port; empty where there is none.
pub(super) fn host(reference: &str) -> String {
    let (scheme, rest) = reference.split_once("://").unwrap_or(("docker", reference));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let in_registry = rest.contains('/')
        && (authority.contains(['.', ':'])
            || authority == "localhost"
            || authority.to_ascii_lowercase() != authority);
    match scheme.to_ascii_lowercase().as_str() {
        _ if authority.contains('@') || authority.chars().count() > AUTHORITY_MAX => String::new(),
        "s3" => "s3.us-east-1.amazonaws.com".into(),
        "gs" => "storage.googleapis.com".into(),
        "docker" if !in_registry => "docker.io".into(),
        "docker" | "http" | "https" => without_port(authority).to_ascii_lowercase(),
        _ => String::new(),
    }
}

fn without_port(authority: &str) -> &str {
    let end = match authority.strip_prefix('[') {
        Some(_) => authority.find(']').map(|end| end + 1),
        None => authority.find(':'),
    };
    end.and_then(|end| authority.get(..end))
        .unwrap_or(authority)
}

/// Whether a list entry (`quay.io`, `*.example.org`, `*`) names a host.
pub(super) fn names(entry: &str, host: &str) -> bool {
    let subdomains = entry
        .strip_prefix('*')
        .filter(|domain| domain.starts_with('.'));
    entry == "*" || entry == host || subdomains.is_some_and(|domain| host.ends_with(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_every_kind_of_image() {
        for (reference, expected) in [
            ("https://Files.example.org:8443/x?y#z", "files.example.org"),
            ("http://[fd00::1]:80/x", "[fd00::1]"),
            ("http://user:secret@files.example.org/x", ""),
            ("quay.io:x@evil.example/x", ""),
            ("docker://quay.io/x/y@sha256:abc", "quay.io"),
            ("quay.io/containerdisks/ubuntu:24.04", "quay.io"),
            ("REG/x", "reg"),
            ("localhost/x", "localhost"),
            ("registry:5000/x", "registry"),
            ("kubevirt/cirros", "docker.io"),
            ("docker://ubuntu:24.04", "docker.io"),
            ("s3://images/x", "s3.us-east-1.amazonaws.com"),
            ("gs://images/x", "storage.googleapis.com"),
            ("oci-archive://x/y.tar", ""),
            ("ftp://files/x", ""),
            ("https://files?/quay.io", "files"),
        ] {
            assert_eq!(host(reference), expected, "{reference}");
        }
    }

    #[test]
    fn an_entry_names_one_host_or_the_subdomains_of_a_domain() {
        assert!(names("quay.io", "quay.io"));
        assert!(!names("quay.io", "x.quay.io"));
        assert!(names("*.quay.io", "x.quay.io"));
        assert!(!names("*.quay.io", "quay.io"));
        assert!(!names("*.quay.io", "evilquay.io"));
        assert!(names("*", ""));
    }
}
