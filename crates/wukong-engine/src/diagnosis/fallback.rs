//! Texts that no specific signature knows: the program's own words without their envelopes, and advice by the kind of
//! error that they end with.

use std::sync::LazyLock;

use regex_lite::Regex;

use crate::facts::words::{innermost, shorten};

/// Longest quotation in a message, in characters.
const WORDS_MAX: usize = 400;

/// Envelopes at the beginning of a text, which only repeat what the object and the state of the evidence say.
static ENVELOPES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let parts = [
        "[Ff]ailed (?:to )?create pod sandbox",
        "rpc error: code = [A-Za-z]+ desc",
        r#"failed to set ?up network for sandbox "[^"]*""#,
        r#"failed to set up sandbox container "[^"]*" network for pod "[^"]*""#,
        r#"failed to start sandbox container for pod "[^"]*""#,
        r#"[nN]etworkPlugin cni failed to set up pod "[^"]*" network"#,
        r"failed to create pod network sandbox [^:\s]+",
        r#"error adding pod \S+ to CNI network "[^"]*""#,
        "failed to create containerd task",
        "failed to create shim task",
        "failed to start containerd task[^:]*",
        "OCI runtime (?:create|start|exec) failed",
        "runc (?:create|run|exec) failed",
        r"container_linux\.go:\d+",
        "unable to start container process",
        "error during container init",
        r#"failed to (?:start|create) container "?[0-9a-z-]*"?"#,
        "Error response from daemon",
        r#"plugin type="[^"]*"(?: name="[^"]*")? failed \(add\)"#,
        r"CmdAdd \(shim\)",
        r"\[[^\]\s]*/[^\]\s]*:[^\]\s]*\]",
        "Internal error occurred",
        "Error",
    ];
    Regex::new(&format!(r"^(?:\[?(?:{}) ?[:=] *)+", parts.join("|"))).ok()
});

/// What follows the words of a program: its cleaning up, and objects in the notation of Go.
const AFTER: [&str; 4] = [
    " fault: \"(*types.",
    ": (*types.",
    ", failed to clean up sandbox container",
    " dmesg(1) may have more information",
];
/// What runtimes add to the end of each error.
const END: &str = ": unknown";

/// The words of a text without its envelopes, on one line.
pub(super) fn words(text: &str) -> String {
    let inner = innermost(text);
    let start = ENVELOPES
        .as_ref()
        .and_then(|envelopes| envelopes.find(inner))
        .map_or(0, |found| found.end());
    let words = inner.get(start..).unwrap_or(inner).trim();
    let words = if words.is_empty() { inner } else { words };
    tidy(words)
}

/// A text on one line, of bounded length, without what follows the words of a program.
pub(super) fn tidy(text: &str) -> String {
    let mut words = text.trim().trim_end_matches(END);
    for after in AFTER {
        words = match words.split_once(after) {
            Some((before, _)) if !before.is_empty() => before.trim_end(),
            _ => words,
        };
    }
    let line: Vec<&str> = words.split_whitespace().collect();
    shorten(&line.join(" "), WORDS_MAX)
}

/// Kinds of errors by the words that programs print for them, and what to do about each. `{…}` stands for a capture.
const KINDS: [(&str, &str); 25] = [
    (
        r#"https://\[?(?<address>[0-9a-f.:]+?)\]?(?::\d+)?/apis?/[^"]*\\?": (?:dial tcp|net/http|context deadline)"#,
        "make the API server reachable at {address} from the node: check kube-proxy or what replaces it there, then firewalls",
    ),
    (
        r#"[Uu]ser \\?"(?:system:serviceaccount:)?(?<account>[^"\\]+)\\?" cannot (?<verb>[a-z]+) resource \\?"(?<resource>[^"\\]+)"#,
        "let {account} {verb} {resource}: its ClusterRole is of another version than the program; install the program again",
    ),
    (
        "x509: certificate has expired or is not yet valid",
        "check the clocks, and renew the certificate of the server that the message names",
    ),
    (
        "x509: certificate signed by unknown authority|certificate verify failed|self.signed certificate",
        "give the client the CA of the server that the message names",
    ),
    (
        "x509: |tls: |TLS handshake",
        "check the certificates of the server that the message names, and of its client",
    ),
    (
        r"lookup (?<host>[^\s:]+)(?: on \S+)?: (?:no such host|server misbehaving|.*timeout)|(?:[Cc]ould not|[Ff]ailed to) resolve (?:host(?:name)?:? ?)?(?<name>[^\s:;]+)",
        "correct the name {host}{name}, or the DNS that does not answer for it",
    ),
    (
        r"unix (?<socket>/\S+?): connect: (?:connection refused|no such file or directory)",
        "start the program that listens at {socket}",
    ),
    (
        r"(?:dial tcp|connect to) (?<address>[^\s]+?):? (?:connect: )?connection refused",
        "start the program that listens at {address}, or correct the address",
    ),
    (
        "connection refused|Connection refused",
        "start the program that the message names: nothing listens at its address",
    ),
    (
        "(?i)no route to host|network is unreachable|i/o timeout|connection timed out",
        "check routes, firewall and NetworkPolicy on the way to the address in the message",
    ),
    (
        r"(?i)\bEOF\b|connection reset by peer|transport is closing|broken pipe",
        "read the previous log of the program at the other end, which ended while it answered",
    ),
    (
        "(?i)no space left on device|disk quota exceeded|not enough space",
        "free space on the file system that the message names",
    ),
    (
        "(?i)too many open files",
        "raise fs.inotify.max_user_instances and the limit of open files",
    ),
    (
        "(?i)cannot allocate memory|out of memory|oom-kill|signal: killed",
        "free memory, or raise the memory limit of the program",
    ),
    (
        "(?i)read-only file system",
        "check the kernel log (dmesg): a kernel makes a file system read-only after errors",
    ),
    (
        "(?i)input/output error|remote i/o error",
        "check the storage and the kernel log (dmesg)",
    ),
    (
        "(?i)device or resource busy|resource busy|text file busy",
        "find what else uses the device or file in the message: lsof, lsblk",
    ),
    (
        "(?i)operation not permitted|permission denied",
        "check owner and mode of what the message names, then SELinux (ausearch -m avc), AppArmor, seccomp and mount options",
    ),
    (
        r"executable file not found in \$PATH|executable not found",
        "install the program that the message names",
    ),
    (
        "(?i)no such file or directory|does not exist",
        "create what the message names, or correct its path",
    ),
    (
        "(?i)unauthorized|authentication failed|asked for the client to provide credentials|invalid credentials",
        "renew the credentials, and restart the program that uses them",
    ),
    (
        "could not find the requested resource|no matches for kind|unknown (?:field|flag|method|service)|unrecognized",
        "bring the programs to versions that fit: one asks for what the other does not know",
    ),
    (
        "panic:|nil pointer dereference|SIGSEGV|[Ss]egmentation fault|core dumped",
        "update the program: it ends with a programming error",
    ),
    (
        "(?i)operation not supported|not supported|unsupported|not implemented",
        "use a setting, kernel or driver that supports what the message names",
    ),
    (
        "(?i)deadline exceeded|timed out|timeout",
        "check that the program that is asked answers",
    ),
];

/// The kinds with their patterns.
static TABLE: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    KINDS
        .iter()
        .filter_map(|(pattern, advice)| Some((Regex::new(pattern).ok()?, *advice)))
        .collect()
});

/// What to do about an error of this kind; `None` if the words are of no known kind.
pub(super) fn advice(text: &str) -> Option<String> {
    let (captures, advice) = TABLE
        .iter()
        .find_map(|(pattern, advice)| Some((pattern.captures(text)?, *advice)))?;
    let mut out = String::new();
    let mut rest = advice;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        out.push_str(before);
        out.push_str(captures.name(name).map_or("", |group| group.as_str()));
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// Rows that know the step that fails, and not why.
const GENERAL: [&str; 5] = [
    "volumes-provision",
    "volumes-attach",
    "volumes-mount",
    "guest-qemu-start",
    "guest-qemu-start-closed",
];

/// Whether the row knows only the step that fails.
pub(super) fn is_general(id: &str) -> bool {
    // What a webhook refuses is about the object, not about an error of this kind.
    (id.ends_with("-other") && !id.starts_with("admission-")) || GENERAL.contains(&id)
}

/// The hint of a step, after the advice for the kind of the error.
pub(super) fn with_advice(text: &str, hint: String) -> String {
    match advice(text) {
        Some(advice) => format!("{advice}; {hint}"),
        None => hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_are_left_out() {
        for (text, expected) in [
            (
                r#"Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "4be1": plugin type="kube-ovn" failed (add): RPC failed"#,
                "RPC failed",
            ),
            (
                r#"Failed to create pod sandbox: rpc error: code = Unknown desc = [failed to set up sandbox container "3fe" network for pod "web": networkPlugin cni failed to set up pod "web_shop" network: netplugin failed, failed to clean up sandbox container "3fe""#,
                "netplugin failed",
            ),
            (
                "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec /usr/bin/x: permission denied: unknown",
                "exec /usr/bin/x: permission denied",
            ),
            ("nothing known\n here", "nothing known here"),
        ] {
            assert_eq!(words(text), expected);
        }
    }

    #[test]
    fn the_kind_of_an_error_gives_the_advice() {
        for (text, expected) in [
            (
                r#"pods is forbidden: User "system:serviceaccount:kube-system:multus" cannot get resource "pods" in API group """#,
                "let kube-system:multus get pods",
            ),
            (
                "dial unix /run/antrea/cni.sock: connect: connection refused",
                "start the program that listens at /run/antrea/cni.sock",
            ),
            (
                "lookup images.example.net on 10.96.0.10:53: no such host",
                "correct the name images.example.net,",
            ),
            (
                r#"error getting ClusterInformation: Get "https://[10.43.0.1]:443/apis/crd.projectcalico.org/v1/clusterinformations/default": dial tcp 10.43.0.1:443: i/o timeout"#,
                "make the API server reachable at 10.43.0.1 from",
            ),
            (
                "dial tcp 10.0.0.1:443: connect: connection refused",
                "start the program that listens at 10.0.0.1:443,",
            ),
        ] {
            let advice = advice(text).unwrap_or_default();
            assert!(advice.starts_with(expected), "{text}: {advice}");
        }
        assert_eq!(advice("the volume is purple"), None);
    }
}
