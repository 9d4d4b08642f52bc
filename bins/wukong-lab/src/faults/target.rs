//! What a request of the operator is about, and its restriction to one namespace.

use http::{Method, Uri};

/// Kinds of which an operator in a run sees only the objects of its own namespace, so that many run side by side in one
/// cluster. The others describe the cluster itself, and every operator sees all of them.
const OF_NAMESPACE: [&str; 10] = [
    "wukongs",
    "virtualmachines",
    "virtualmachineinstances",
    "datavolumes",
    "network-attachment-definitions",
    "persistentvolumeclaims",
    "volumesnapshots",
    "datasources",
    "resourcequotas",
    "limitranges",
];

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// `get`, `list`, `watch`, `create`, `patch`, `put` or `delete`.
    pub verb: &'static str,
    /// Plural of the kind, with the name and the subresource if there are any.
    pub object: String,
    /// Whether only the namespace of the run matters.
    pub of_namespace: bool,
}

/// The parts of a path: what comes before the resource, and the resource with its name and subresource.
fn parts(path: &str) -> Option<(String, Option<&str>, Vec<&str>)> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (root, rest) = match segments.as_slice() {
        ["api", version, rest @ ..] => (format!("/api/{version}"), rest),
        ["apis", group, version, rest @ ..] => (format!("/apis/{group}/{version}"), rest),
        _ => return None,
    };
    match rest {
        [] => None,
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => {
            Some((root, Some(namespace), rest.to_vec()))
        }
        rest => Some((root, None, rest.to_vec())),
    }
}

/// What a request is about; `None` if it is not about an object.
pub(super) fn target(method: &Method, uri: &Uri) -> Option<Target> {
    let (_, _, rest) = parts(uri.path())?;
    let plural = *rest.first()?;
    let watches = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .any(|pair| matches!(pair, "watch=true" | "watch=1"));
    let verb = match *method {
        Method::GET if watches => "watch",
        Method::GET if rest.len() == 1 => "list",
        Method::GET => "get",
        Method::POST => "create",
        Method::PATCH => "patch",
        Method::PUT => "put",
        _ => "delete",
    };
    Some(Target {
        verb,
        object: rest.join("/"),
        of_namespace: OF_NAMESPACE.contains(&plural),
    })
}

/// Restricts a list or watch of all namespaces to one, for the kinds of which a run sees only its own namespace.
pub(super) fn restricted(uri: &Uri, namespace: &str) -> Option<Uri> {
    let (root, None, rest) = parts(uri.path())? else {
        return None;
    };
    let [plural] = rest.as_slice() else {
        return None;
    };
    if !OF_NAMESPACE.contains(plural) {
        return None;
    }
    let query = uri.query().unwrap_or_default();
    format!("{root}/namespaces/{namespace}/{plural}?{query}")
        .parse()
        .ok()
        .map(|relative: Uri| with_origin(uri, relative))
}

/// The path and query of `relative` at the server of `uri`.
pub(super) fn with_origin(uri: &Uri, relative: Uri) -> Uri {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = relative.into_parts().path_and_query;
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(method: Method, uri: &str) -> String {
        let target = target(&method, &uri.parse().unwrap()).unwrap();
        format!("{} {}", target.verb, target.object)
    }

    #[test]
    fn a_request_is_named_by_its_verb_and_object() {
        assert_eq!(
            shown(
                Method::PATCH,
                "/apis/kubevirt.io/v1/namespaces/a/virtualmachines/web?force=true"
            ),
            "patch virtualmachines/web"
        );
        assert_eq!(
            shown(
                Method::PATCH,
                "/apis/vm.novasphere.dev/v1alpha1/namespaces/a/wukongs/web/status"
            ),
            "patch wukongs/web/status"
        );
        assert_eq!(
            shown(Method::GET, "/api/v1/nodes?watch=true"),
            "watch nodes"
        );
        assert_eq!(
            shown(Method::GET, "/api/v1/namespaces/a/pods?limit=5"),
            "list pods"
        );
        assert!(target(&Method::GET, &"/version".parse().unwrap()).is_none());
    }

    #[test]
    fn lists_of_all_namespaces_are_restricted_and_nothing_else() {
        let restricted =
            |uri: &str| restricted(&uri.parse().unwrap(), "run").map(|uri| uri.to_string());
        assert_eq!(
            restricted("https://server:1/apis/cdi.kubevirt.io/v1beta1/datavolumes?watch=1")
                .as_deref(),
            Some(
                "https://server:1/apis/cdi.kubevirt.io/v1beta1/namespaces/run/datavolumes?watch=1"
            )
        );
        for other in [
            "/api/v1/nodes?watch=1",
            "/api/v1/namespaces/a/persistentvolumeclaims/b",
            "/apis/kubevirt.io/v1/kubevirts",
        ] {
            assert_eq!(restricted(other), None);
        }
    }
}
