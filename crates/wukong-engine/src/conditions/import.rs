//! An import that fails, and why.

use wukong_api::{ConditionType, Reason};

use crate::condition::Condition;
use crate::facts::{DataVolumeFact, find_condition};

/// What is said while CDI has not told why.
const UNTOLD: &str = ": its importer keeps failing, and CDI does not say why";

/// An importer that fails. It is restarted for ever, and its words show only between the restarts: `before`, the message of
/// the condition as stored, keeps them. The restart count stays.
pub(crate) fn failure(
    name: &str,
    volume: &DataVolumeFact,
    before: Option<&str>,
) -> Option<Condition> {
    let running = find_condition(&volume.conditions, "Running");
    let now = running
        .filter(|running| matches!(running.reason.as_str(), "Error" | "ChecksumError"))
        .map(|running| running.message.as_str())
        .filter(|message| !message.is_empty());
    if now.is_none() && volume.restart_count == 0 && volume.phase != "Failed" {
        return None;
    }
    let at_work = running.is_some_and(|running| running.status == "True");
    if at_work && volume.moves() {
        return None;
    }
    let start = format!("disk {name}: the import fails");
    let remembered = || {
        before
            .and_then(|before| before.strip_prefix(&start))
            .filter(|rest| *rest != UNTOLD)
    };
    let bad = |rest: &str, hint| {
        Condition::bad(
            ConditionType::VolumesBound,
            Reason::ImportFailed,
            format!("{start}{rest}"),
        )
        .hint(hint)
    };
    if let (None, Some(rest)) = (now, remembered()) {
        return Some(bad(rest, cause(rest).1));
    }
    Some(match now.or_else(|| left_in_bound(volume)) {
        Some(text) => {
            let (cause, hint) = cause(text);
            bad(&format!(" ({cause}): {text}"), hint)
        }
        None => bad(UNTOLD, UNKNOWN.1),
    })
}

/// On a CSI class the words stay in the condition `Bound`, after the name of the prime claim. So do update conflicts of CDI's own,
/// which mean nothing.
fn left_in_bound(volume: &DataVolumeFact) -> Option<&str> {
    let (_, words) = find_condition(&volume.conditions, "Bound")?
        .message
        .split_once("] : ")?;
    (!words.is_empty() && !words.starts_with("Error saving claim")).then_some(words)
}

const UNKNOWN: (&str, &str) = ("Unknown", "see the log of the importer pod");

struct Cause {
    name: &'static str,
    /// The import fails of this if its words hold one of these,
    words: &'static [&'static str],
    /// or tell one of these HTTP statuses.
    statuses: &'static [&'static str],
    hint: &'static str,
}

/// In order: what is named first is meant. (Texts: Go's net, net/http and crypto/x509, and CDI's importer.)
const CAUSES: [Cause; 8] = [
    Cause {
        name: "Checksum",
        words: &["checksum"],
        statuses: &[],
        hint: "correct source.http.checksum, or the file on the server",
    },
    Cause {
        name: "DNS",
        words: &[
            "no such host",
            "server misbehaving",
            "Temporary failure in name resolution",
            "dial tcp: lookup ",
        ],
        statuses: &[],
        hint: "see that the host of the image is spelled right, and that the cluster's DNS resolves it",
    },
    Cause {
        name: "TLS",
        words: &["x509", "certificate", "tls:"],
        statuses: &[],
        hint: "name a ConfigMap with the authority's certificates in source.….certConfigMap",
    },
    Cause {
        name: "Auth",
        words: &["nauthorized", "denied", "Forbidden"],
        statuses: &["401", "403"],
        hint: "name a Secret with user and password in source.….secretRef",
    },
    Cause {
        name: "NotFound",
        words: &["not found", "Not Found", "manifest unknown", "NoSuchKey"],
        statuses: &["404"],
        hint: "correct the image's path or tag",
    },
    Cause {
        name: "Space",
        words: &["no space left", "too small", "larger than"],
        statuses: &[],
        hint: "raise the size of the disk: it must hold the unpacked image",
    },
    Cause {
        name: "Network",
        words: &[
            "timeout",
            "connection refused",
            "connection reset",
            "no route to host",
            "unreachable",
            "EOF",
        ],
        statuses: &[],
        hint: "see that pods of this namespace reach the image's host (proxy, NetworkPolicy, firewall)",
    },
    Cause {
        name: "Format",
        words: &["format", "qemu-img", "Unable to", "invalid"],
        statuses: &[],
        hint: "give a raw or qcow2 image, or a container disk with the image under /disk",
    },
];

/// Whether the import fails, and nobody has told why yet.
pub(crate) fn is_untold(condition: &Condition) -> bool {
    condition.reason == Reason::ImportFailed && condition.message.ends_with(UNTOLD)
}

/// Why the importer of a claim fails, from its last words.
pub(crate) fn told_by_pod(words: &str) -> (String, &'static str) {
    let (cause, hint) = cause(words);
    (format!("the import fails ({cause}): {words}"), hint)
}

/// What is behind the importer's words, and what to do. A cause that was found before (` (DNS): ...`) is found again.
fn cause(text: &str) -> (&'static str, &'static str) {
    let status = http_status(text);
    let named = |cause: &&Cause| text.starts_with(&format!(" ({}): ", cause.name));
    let told = |cause: &&Cause| {
        cause.words.iter().any(|word| text.contains(word))
            || status.is_some_and(|status| cause.statuses.contains(&status))
    };
    let found = CAUSES
        .iter()
        .find(named)
        .or_else(|| CAUSES.iter().find(told));
    found.map_or(UNKNOWN, |cause| (cause.name, cause.hint))
}

/// The error status of the answer: a number from 400 on that follows `got`, `status` or `code`.
fn http_status(text: &str) -> Option<&str> {
    let words = || {
        text.split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
    };
    words()
        .zip(words().skip(1))
        .find(|(before, word)| {
            let announced = ["got", "status", "code"]
                .iter()
                .any(|known| before.eq_ignore_ascii_case(known));
            announced && matches!(word.parse(), Ok(400_u16..600))
        })
        .map(|(_, status)| status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_tell_the_cause() {
        for (words, name) in [
            (
                "Get \"http://h.lan/a\": dial tcp: lookup h.lan on 10.96.0.10:53: read udp: i/o timeout",
                "DNS",
            ),
            (
                "Get \"http://10.0.0.3:8404/a\": dial tcp 10.0.0.3:8404: i/o timeout",
                "Network",
            ),
            (
                "expected status code 200, got 404. Status: 404 Not Found",
                "NotFound",
            ),
            ("expected status code 200, got 403", "Auth"),
            ("unexpected EOF after 404 bytes", "Network"),
            ("something else", "Unknown"),
        ] {
            assert_eq!(cause(words).0, name, "{words}");
        }
    }
}
