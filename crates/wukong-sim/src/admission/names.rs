//! Kubernetes' rules for names (`k8s.io/apimachinery/pkg/util/validation`). Each function returns what is wrong.

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
                     start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for \
                     validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
                         and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
                         validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
                         with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for \
                         validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
                           '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or \
                           'my_value',  or '12345', regex used for validation is \
                           '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

fn no_more_than(text: &str, max: usize) -> Option<String> {
    (text.len() > max).then(|| format!("must be no more than {max} characters"))
}

fn is_lower_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_label(text: &str) -> bool {
    let ends = |byte: Option<u8>| byte.is_some_and(is_lower_alphanumeric);
    ends(text.bytes().next())
        && ends(text.bytes().last())
        && text.bytes().all(|b| is_lower_alphanumeric(b) || b == b'-')
}

fn is_qualified(text: &str) -> bool {
    let ends = |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric());
    ends(text.bytes().next())
        && ends(text.bytes().last())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

pub fn dns_label(text: &str) -> Vec<String> {
    let mut wrong: Vec<String> = no_more_than(text, 63).into_iter().collect();
    if !is_label(text) {
        let dots = text.contains('.');
        wrong.push(if dots { "must not contain dots" } else { LABEL }.into());
    }
    wrong
}

pub fn dns_subdomain(text: &str) -> Vec<String> {
    let mut wrong: Vec<String> = no_more_than(text, 253).into_iter().collect();
    if !text.split('.').all(is_label) {
        wrong.push(SUBDOMAIN.into());
    }
    wrong
}

pub fn qualified_name(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let name = match text.split_once('/') {
        None => text,
        Some((_, name)) if name.contains('/') => {
            wrong.push(format!(
                "a qualified name {}",
                &QUALIFIED["name part ".len()..]
            ));
            return wrong;
        }
        Some((prefix, name)) => {
            if prefix.is_empty() {
                wrong.push("prefix part must be non-empty".into());
            } else {
                wrong.extend(
                    dns_subdomain(prefix)
                        .into_iter()
                        .map(|w| format!("prefix part {w}")),
                );
            }
            name
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".into());
    } else {
        wrong.extend(no_more_than(name, 63).map(|w| format!("name part {w}")));
    }
    if !is_qualified(name) {
        wrong.push(QUALIFIED.into());
    }
    wrong
}

pub fn label_value(text: &str) -> Vec<String> {
    let mut wrong: Vec<String> = no_more_than(text, 63).into_iter().collect();
    if !text.is_empty() && !is_qualified(text) {
        wrong.push(LABEL_VALUE.into());
    }
    wrong
}

/// An IANA service name (RFC 6335), as container ports have.
pub fn is_port_name(text: &str) -> bool {
    text.len() <= 15
        && is_label(text)
        && text.bytes().any(|b| b.is_ascii_lowercase())
        && !text.contains("--")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_kubernetes_rules() {
        let long = |n: usize| "a".repeat(n);
        for (rule, good, bad) in [
            (
                dns_label as fn(&str) -> Vec<String>,
                vec!["a".into(), "a-1".into(), long(63)],
                vec!["", "A", "a.b", "-a", "a-", "a_b"],
            ),
            (
                dns_subdomain,
                vec!["a.b".into(), long(253)],
                vec!["", "a..b", ".a", "A.b"],
            ),
            (
                qualified_name,
                vec!["A_b.c".into(), "x.io/y".into(), long(63)],
                vec!["", "a b", "/a", "a/", "a/b/c", "A.io/x", "-a"],
            ),
            (
                label_value,
                vec![String::new(), "A.b_c-1".into()],
                vec!["a b", "-a", "a-"],
            ),
        ] {
            for text in good {
                assert!(rule(&text).is_empty(), "{text}");
            }
            for text in bad {
                assert!(!rule(text).is_empty(), "{text}");
            }
        }
        for text in [64, 254] {
            assert!(!dns_label(&long(text)).is_empty());
        }
        assert!(!dns_subdomain(&long(254)).is_empty() && !label_value(&long(64)).is_empty());
    }

    #[test]
    fn port_names() {
        for text in ["http", "a-1", "1a"] {
            assert!(is_port_name(text), "{text}");
        }
        for text in ["", "80", "a--b", "-a", "Http", "sixteen-letters1", "a_b"] {
            assert!(!is_port_name(text), "{text}");
        }
    }
}
