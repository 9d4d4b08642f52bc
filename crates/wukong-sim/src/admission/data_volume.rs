//! What CDI's validating webhook refuses (`pkg/apiserver/webhooks` of CDI 1.66).

use serde_json::Value;

use super::verdict::Denial;
use crate::field::Field;
use crate::quantity::Quantity;

const ACCESS_MODES: [&str; 4] = [
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];
const MIN_BYTES: i64 = 1 << 20;
const MAX_NAME: usize = 253;
const ADOPTION: &str = "cdi.kubevirt.io/allowClaimAdoption";
const POPULATED_FOR: &str = "cdi.kubevirt.io/storage.populatedFor";

/// Would CDI admit this DataVolume? `old` is the stored one on update; `claim` the claim of the same name, if there is
/// one.
///
/// # Errors
/// The denial; CDI tells the first cause only.
pub fn admit_data_volume(
    object: &Value,
    old: Option<&Value>,
    claim: Option<&Value>,
) -> Result<(), Denial> {
    let dv = Field::new("", object);
    let spec = dv.child("spec");
    let refuse = |message: String| Err(Denial(message));
    if let Some(message) = unreadable(&spec) {
        return refuse(message);
    }
    if dv.child("metadata").name().len() > MAX_NAME {
        return refuse(format!(
            "Name of data volume cannot be more than {MAX_NAME} characters"
        ));
    }
    match old {
        Some(old) => {
            let same = same_spec(spec.value(), Field::new("", old).child("spec").value());
            if !same {
                return refuse("Cannot update DataVolume Spec".into());
            }
        }
        None => {
            if let Some(claim) = claim
                && !may_exist_before(&Field::new("", claim), &dv)
            {
                let (namespace, name) = (
                    dv.at("metadata.namespace").text(),
                    dv.child("metadata").name(),
                );
                return refuse(format!("Destination PVC {namespace}/{name} already exists"));
            }
        }
    }
    problem(&spec).map_or(Ok(()), refuse)
}

fn unreadable(spec: &Field<'_>) -> Option<String> {
    ["pvc", "storage"]
        .map(|key| spec.child(key).at("resources.requests.storage"))
        .iter()
        .find_map(|size| {
            Quantity::from_json(size.value())
                .err()
                .map(|error| error.to_string())
        })
}

/// Equal up to the spelling of quantities, as Kubernetes' semantic equality has it.
fn same_spec(new: &Value, old: &Value) -> bool {
    match (new, old) {
        (Value::Object(new), Value::Object(old)) => {
            let absent = Value::Null;
            new.keys().chain(old.keys()).all(|key| {
                let (new, old) = (
                    new.get(key).unwrap_or(&absent),
                    old.get(key).unwrap_or(&absent),
                );
                let equal_size = key == "storage"
                    && !new.is_object()
                    && Quantity::from_json(new).ok() == Quantity::from_json(old).ok();
                equal_size || same_spec(new, old)
            })
        }
        _ => new == old,
    }
}

/// A claim may be there first when it is on its way out, was filled for this DataVolume, or is to be adopted.
fn may_exist_before(claim: &Field<'_>, dv: &Field<'_>) -> bool {
    let metadata = claim.child("metadata");
    let owned = metadata.child("ownerReferences").items().any(|owner| {
        owner.child("kind").text() == "DataVolume" && owner.child("controller").is_true()
    });
    metadata.child("deletionTimestamp").is_set()
        || owned
        || metadata.child("annotations").child(POPULATED_FOR).text() == dv.child("metadata").name()
        || dv.at("metadata.annotations").child(ADOPTION).text() == "true"
}

pub fn is_externally_populated(spec: &Field<'_>) -> bool {
    ["pvc", "storage"]
        .iter()
        .any(|key| spec.child(key).set_among(&["dataSource", "dataSourceRef"]) > 0)
}

/// How many kinds of source are named.
pub fn source_count(source: &Field<'_>) -> usize {
    source
        .entries()
        .filter(|(_, value)| !value.is_null())
        .count()
}

fn problem(spec: &Field<'_>) -> Option<String> {
    let (pvc, storage) = (spec.child("pvc"), spec.child("storage"));
    match (pvc.is_set(), storage.is_set()) {
        (false, false) => return Some("Missing Data volume PVC".into()),
        (true, true) => {
            return Some(
                "Duplicate storage definition, both target storage and target pvc defined".into(),
            );
        }
        _ => {}
    }
    let sourced = spec.set_among(&["source", "sourceRef"]);
    let external = is_externally_populated(spec);
    if sourced > 1 || external == (sourced == 1) {
        return Some(
            "Data volume should have either Source or SourceRef, or be externally populated".into(),
        );
    }
    let source = spec.child("source");
    let reference = spec.child("sourceRef");
    // A clone takes its size from the origin.
    let sized_by_origin =
        storage.is_set() && (reference.is_set() || source.set_among(&["pvc", "snapshot"]) > 0);
    size(&pvc, "PVC", false)
        .or_else(|| size(&storage, "Storage", sized_by_origin))
        .or_else(|| access_modes(&pvc, &storage))
        .or_else(|| {
            if reference.is_set() {
                source_ref(&reference)
            } else {
                None
            }
        })
        .or_else(|| {
            if source.is_set() {
                source_problem(&source, spec.child("contentType").text())
            } else {
                None
            }
        })
}

fn size(target: &Field<'_>, name: &str, optional: bool) -> Option<String> {
    let size = target.at("resources.requests.storage");
    if !target.is_set() || (optional && !size.is_set()) {
        return None;
    }
    let bytes = size.quantity();
    if !size.is_set() {
        Some(format!("{name} size is missing"))
    } else if bytes <= Quantity::default() {
        Some(format!("{name} size can't be equal or less than zero"))
    } else if bytes.value() < MIN_BYTES {
        Some(format!("{name} size should be at least 1MiB"))
    } else {
        None
    }
}

fn access_modes(pvc: &Field<'_>, storage: &Field<'_>) -> Option<String> {
    let modes = pvc.child("accessModes");
    if pvc.is_set() {
        match modes.count() {
            0 => return Some("Required value: at least 1 access mode is required".into()),
            1 => {}
            _ => return Some("PVC multiple accessModes".into()),
        }
    }
    let bad = modes
        .items()
        .chain(storage.child("accessModes").items())
        .find(|mode| !ACCESS_MODES.contains(&mode.text()))?;
    let supported = ACCESS_MODES.map(|mode| format!("{mode:?}")).join(", ");
    Some(format!(
        "Unsupported value: {:?}: supported values: {supported}",
        bad.text()
    ))
}

fn source_ref(reference: &Field<'_>) -> Option<String> {
    match (reference.child("kind").text(), reference.name()) {
        ("", _) => Some("Missing sourceRef kind".into()),
        ("DataSource", "") => Some("Missing sourceRef name".into()),
        ("DataSource", _) => None,
        (kind, _) => Some(format!(
            "Unsupported sourceRef kind {kind}, currently only DataSource is supported"
        )),
    }
}

fn source_problem(source: &Field<'_>, content: &str) -> Option<String> {
    match source_count(source) {
        0 => return Some("Missing Data volume source".into()),
        1 => {}
        _ => return Some("Multiple Data volume sources".into()),
    }
    let (kind, _) = source.entries().find(|(_, value)| !value.is_null())?;
    let details = source.child(kind);
    match kind {
        "http" | "s3" | "gcs" | "imageio" | "vddk" => {
            let wrong = url_problem(details.child("url").text())
                .map(|wrong| format!("spec.source {wrong}"));
            wrong.or_else(|| checksum_problem(details.child("checksum").text()))
        }
        "blank" => (content == "archive")
            .then(|| "SourceType cannot be blank and the contentType be archive".into()),
        "registry" => registry_problem(&details, content),
        "pvc" | "snapshot" => {
            let missing = details.child("namespace").text().is_empty() || details.name().is_empty();
            missing.then(|| format!("{} source {kind} is not valid", details.path()))
        }
        _ => None,
    }
}

fn url_problem(url: &str) -> Option<String> {
    if url.is_empty() {
        return Some("source URL is empty".into());
    }
    match go_url_scheme(url) {
        Some(scheme) if !scheme.is_empty() => (!["http", "https", "gs"].contains(&scheme.as_str()))
            .then(|| format!("Invalid source URL scheme: {url}")),
        _ => Some(format!("Invalid source URL: {url}")),
    }
}

fn checksum_problem(checksum: &str) -> Option<String> {
    if checksum.is_empty() {
        return None;
    }
    let (algorithm, digest) = checksum.split_once(':').unwrap_or((checksum, ""));
    let length = match algorithm.to_ascii_lowercase().as_str() {
        "md5" => 32,
        "sha1" => 40,
        "sha256" => 64,
        "sha512" => 128,
        _ => {
            return Some(format!(
                "Invalid checksum format: unsupported algorithm {algorithm}"
            ));
        }
    };
    let got = digest.len();
    if got != length {
        return Some(format!(
            "Invalid checksum format: invalid {algorithm} hash length: expected {length} hex characters, got {got}"
        ));
    }
    let hex = digest.bytes().all(|b| b.is_ascii_hexdigit());
    (!hex).then(|| format!("Invalid checksum format: invalid {algorithm} hash"))
}

fn registry_problem(registry: &Field<'_>, content: &str) -> Option<String> {
    if !["", "kubevirt"].contains(&content) {
        return Some("ContentType must be kubevirt when Source is Registry".into());
    }
    let (url, stream, method) = (
        registry.child("url"),
        registry.child("imageStream"),
        registry.child("pullMethod"),
    );
    if url.is_set() == stream.is_set() {
        return Some("Source registry should have either URL or ImageStream".into());
    }
    if url.is_set() {
        match go_url_scheme(url.text()) {
            None => return Some(format!("Illegal registry source URL {}", url.text())),
            Some(scheme) if scheme == "docker" || scheme == "oci-archive" => {}
            Some(_) => return Some(format!("Illegal registry source URL scheme {}", url.text())),
        }
    }
    if method.is_set() && !["pod", "node"].contains(&method.text()) {
        return Some(format!(
            "ImportMethod {} is neither pod, node or \"\"",
            method.text()
        ));
    }
    if stream.is_set() && stream.text().is_empty() {
        return Some("Source registry ImageStream is not valid".into());
    }
    (stream.is_set() && method.text() != "node").then(|| {
        "Source registry ImageStream is supported only with node pull import method".into()
    })
}

/// The lower-case scheme that Go's `net/url` finds (empty when there is none), or `None` where it reports an error.
fn go_url_scheme(url: &str) -> Option<String> {
    let valid_escapes = || {
        url.match_indices('%').all(|(at, _)| {
            url.get(at + 1..at + 3)
                .is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
        })
    };
    if url.bytes().any(|b| b < 0x20 || b == 0x7f) || !valid_escapes() {
        return None;
    }
    let scheme_char = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let (scheme, rest) = match url.split_once(':') {
        Some(("", _)) => return None,
        Some((scheme, rest))
            if scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(scheme_char) =>
        {
            (scheme, rest)
        }
        // No scheme: then the first segment must not look like one.
        _ if url
            .split('/')
            .next()
            .is_some_and(|first| first.contains(':')) =>
        {
            return None;
        }
        _ => return Some(String::new()),
    };
    if let Some(authority) = rest.strip_prefix("//") {
        let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let port = match host.rsplit_once(']') {
            Some((_, after)) => after.strip_prefix(':').unwrap_or(after),
            None => host.rsplit_once(':').map_or("", |(_, port)| port),
        };
        if host.contains([' ', '<', '>', '"']) || !port.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
    }
    Some(scheme.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dv(spec: Value) -> Value {
        json!({"metadata": {"name": "x", "namespace": "default"}, "spec": spec})
    }

    fn storage(size: &str) -> Value {
        json!({"resources": {"requests": {"storage": size}}})
    }

    fn verdict(spec: Value) -> Option<String> {
        admit_data_volume(&dv(spec), None, None)
            .err()
            .map(|denial| denial.0)
    }

    fn sourced(source: Value) -> Option<String> {
        verdict(json!({"source": source, "storage": storage("1Gi")}))
    }

    #[test]
    fn registry_urls() {
        for url in [
            "docker://reg:5000/x",
            "docker://10.0.0.1:5000/x",
            "oci-archive://x.tar",
            "oci-archive:/x",
            "docker://",
            "docker://UPPER/x",
            "docker:/reg/x",
            "docker://reg/x:tag@sha256:abc",
        ] {
            assert_eq!(sourced(json!({"registry": {"url": url}})), None, "{url}");
        }
        for url in [
            "reg:5000/x",
            "localhost:5000/x",
            "quay.io/x/y",
            "https://reg/x",
            "",
        ] {
            let message = format!("Illegal registry source URL scheme {url}");
            assert_eq!(sourced(json!({"registry": {"url": url}})), Some(message));
        }
        let message = "Illegal registry source URL 10.0.0.1:5000/x".to_owned();
        assert_eq!(
            sourced(json!({"registry": {"url": "10.0.0.1:5000/x"}})),
            Some(message)
        );
        assert!(sourced(json!({"registry": {}})).is_some());
        assert!(sourced(json!({"registry": {"url": "docker://x", "imageStream": "y"}})).is_some());
        assert!(sourced(json!({"registry": {"url": "docker://x", "pullMethod": "zz"}})).is_some());
        assert_eq!(
            sourced(json!({"registry": {"url": "oci-archive://x", "pullMethod": "node"}})),
            None
        );
    }

    #[test]
    fn http_urls() {
        for url in [
            "http://u:p@h/x",
            "http://",
            "http:///x",
            "https://h",
            "http://h:99999/x",
            "http://[::1]/x",
            "HTTP://h/x",
        ] {
            assert_eq!(sourced(json!({"http": {"url": url}})), None, "{url}");
        }
        for url in ["file:///x", "ftp://h/x"] {
            let message = format!("spec.source Invalid source URL scheme: {url}");
            assert_eq!(sourced(json!({"http": {"url": url}})), Some(message));
        }
        for url in ["h/x", "http://h /x", "http://h/%zz"] {
            assert_eq!(
                sourced(json!({"http": {"url": url}})),
                Some(format!("spec.source Invalid source URL: {url}"))
            );
        }
        assert_eq!(
            sourced(json!({"http": {"url": ""}})).as_deref(),
            Some("spec.source source URL is empty")
        );
        assert!(sourced(json!({"http": {"url": "http://h", "checksum": "md5:1"}})).is_some());
    }

    #[test]
    fn sizes_and_shapes() {
        let blank = json!({"blank": {}});
        for (size, admitted) in [
            ("1.5G", true),
            ("1Mi", true),
            ("0", false),
            ("-1", false),
            ("1Ki", false),
            ("100m", false),
            ("abc", false),
        ] {
            assert_eq!(
                verdict(json!({"source": blank, "storage": storage(size)})).is_none(),
                admitted,
                "{size}"
            );
        }
        let pvc = |modes: Value| json!({"source": blank, "pvc": {"accessModes": modes, "resources": {"requests": {"storage": "1Gi"}}}});
        assert_eq!(verdict(pvc(json!(["ReadWriteOnce"]))), None);
        for refused in [
            json!({"source": blank, "storage": {}}),
            json!({"source": blank}),
            json!({"source": blank, "storage": storage("1Gi"), "pvc": {}}),
            json!({"storage": storage("1Gi")}),
            json!({"source": blank, "sourceRef": {"kind": "DataSource", "name": "x"}, "storage": storage("1Gi")}),
            json!({"source": {}, "storage": storage("1Gi")}),
            json!({"source": {"blank": {}, "http": {"url": "http://h"}}, "storage": storage("1Gi")}),
            json!({"source": blank, "contentType": "archive", "storage": storage("1Gi")}),
            json!({"source": blank, "storage": {"accessModes": ["ReadWrite"], "resources": {"requests": {"storage": "1Gi"}}}}),
            pvc(json!([])),
            pvc(json!(["ReadWriteOnce", "ReadWriteMany"])),
        ] {
            assert!(verdict(refused.clone()).is_some(), "{refused}");
        }
        for clone in [
            json!({"source": {"pvc": {"namespace": "a", "name": "b"}}, "storage": {}}),
            json!({"sourceRef": {"kind": "DataSource", "name": "x"}, "storage": {}}),
        ] {
            assert_eq!(verdict(clone), None);
        }
    }

    #[test]
    fn the_spec_is_immutable() {
        let spec = |size: &str| dv(json!({"source": {"blank": {}}, "storage": storage(size)}));
        let update = |new: &Value, old: &Value| admit_data_volume(new, Some(old), None).is_ok();
        assert!(update(&spec("1Gi"), &spec("1Gi")));
        assert!(update(&spec("1024Mi"), &spec("1Gi")));
        assert!(!update(&spec("2Gi"), &spec("1Gi")));
        assert!(!update(
            &dv(json!({"source": {"http": {"url": "http://h"}}, "storage": storage("1Gi")})),
            &spec("1Gi")
        ));
    }

    #[test]
    fn a_claim_that_is_there_already() {
        let new = dv(json!({"source": {"blank": {}}, "storage": storage("1Gi")}));
        let mut adopting = new.clone();
        adopting["metadata"]["annotations"] = json!({ADOPTION: "true"});
        let with = |dv: &Value, metadata: Value| {
            admit_data_volume(dv, None, Some(&json!({"metadata": metadata}))).is_ok()
        };
        let message = admit_data_volume(&new, None, Some(&json!({"metadata": {}})))
            .unwrap_err()
            .0;
        assert_eq!(message, "Destination PVC default/x already exists");
        assert!(with(&adopting, json!({})));
        assert!(with(
            &new,
            json!({"deletionTimestamp": "2026-01-01T00:00:00Z"})
        ));
        assert!(with(&new, json!({"annotations": {POPULATED_FOR: "x"}})));
        assert!(!with(&new, json!({"annotations": {ADOPTION: "true"}})));
    }
}
