//! Texts of other programs: unwrapped, freed of credentials, on one line, and of bounded length.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex_lite::Regex;

/// Longest text that is kept, in characters.
pub(crate) const TEXT_MAX: usize = 1000;
/// Of a shortened text, this part of the room is for its beginning: the end of an error holds its cause.
const HEAD_PARTS: (usize, usize) = (1, 3);

/// Userinfo of URLs, bearer tokens, and values of fields that are named like secrets.
static CREDENTIALS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"://[^/@\s:]+:[^/@\s]+@", "://REDACTED@"),
        (r"(?i)\b(bearer|basic) [A-Za-z0-9._~+/=-]{8,}", "$1 REDACTED"),
        (
            r#"(?i)\b(password|passwd|token|secret[_-]?key|access[_-]?key|api[_-]?key|X-Amz-(?:Signature|Credential|Security-Token)|sig|signature)(["']?\s*[=:]\s*["']?)[A-Za-z0-9._~+/%=-]{6,}"#,
            "$1${2}REDACTED",
        ),
    ]
    .into_iter()
    .filter_map(|(pattern, with)| Some((Regex::new(pattern).ok()?, with)))
    .collect()
});

/// Replaces credentials in a text.
pub(crate) fn without_credentials(text: &str) -> Cow<'_, str> {
    const SUSPICIOUS: [&str; 8] = [
        "@", "earer ", "asic ", "assw", "oken", "ecret", "ignature", "sig",
    ];
    if !SUSPICIOUS.iter().any(|mark| text.contains(mark)) {
        return Cow::Borrowed(text);
    }
    CREDENTIALS
        .iter()
        .fold(Cow::Borrowed(text), |text, (pattern, with)| {
            if pattern.is_match(&text) {
                Cow::Owned(pattern.replace_all(&text, *with).into_owned())
            } else {
                text
            }
        })
}

/// Shortens a text to `max` characters from its middle, at word boundaries, and marks the gap with `…`.
pub(crate) fn shorten(text: &str, max: usize) -> String {
    let count = text.chars().count();
    if count <= max {
        return text.to_owned();
    }
    let room = max.saturating_sub(3);
    let head_room = room * HEAD_PARTS.0 / HEAD_PARTS.1;
    let tail_room = room - head_room;
    let byte = |index: usize| {
        text.char_indices()
            .nth(index)
            .map_or(text.len(), |(byte, _)| byte)
    };
    let (head, _) = text.split_at(byte(head_room));
    let (_, tail) = text.split_at(byte(count - tail_room));
    // A word that would be cut is left out, unless it is as long as the whole half.
    let head = match head.rsplit_once(' ') {
        Some((words, _)) if !words.is_empty() => words,
        _ => head,
    };
    let tail = match tail.split_once(' ') {
        Some((_, words)) if !words.is_empty() => words,
        _ => tail,
    };
    format!("{head} … {tail}")
}

/// The part of the last output of a container that reports why it ended: from a panic or fatal error on, else all of it.
pub(crate) fn last_words(output: &str) -> &str {
    const ENDS: [&str; 3] = ["panic: ", "fatal error: ", "\nFATAL"];
    ENDS.iter()
        .filter_map(|mark| output.find(mark))
        .min()
        .and_then(|start| output.get(start..))
        .unwrap_or(output)
        .trim()
}

/// Removes what programs add to an error on its way: the escapes of quoted errors, and JSON log lines.
pub(crate) fn unwrapped(text: &str) -> Cow<'_, str> {
    if text.contains("LibvirtError(") || text.contains("command Sync") {
        return Cow::Owned(unescaped(text));
    }
    if text.contains("panic: ") {
        return Cow::Borrowed(last_words(text));
    }
    if text.trim_start().starts_with('{')
        && let Some(inner) = log_lines(text)
    {
        return Cow::Owned(inner);
    }
    Cow::Borrowed(text)
}

/// The message inside of `… "LibvirtError(Code=1, Domain=10, Message='…')"`; any other text as it is.
pub(crate) fn innermost(text: &str) -> &str {
    let message = text
        .split_once("LibvirtError(")
        .and_then(|(_, rest)| rest.split_once("Message='"));
    let Some((_, message)) = message else {
        return text;
    };
    message
        .rsplit_once("')")
        .map_or(message, |(inner, _)| inner)
}

/// Resolves `\n`, `\t`, `\"` and `\\`.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n' | 't' | 'r') => out.push(' '),
                Some(other) => out.push(other),
                None => {}
            },
            c => out.push(c),
        }
    }
    out
}

/// Message and reason of the last JSON log line that is an error, or of the last line.
fn log_lines(text: &str) -> Option<String> {
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line.trim()).ok());
    let words = |line: &serde_json::Value| {
        let field = |name: &str| line.get(name).and_then(serde_json::Value::as_str);
        let message = field("msg").or_else(|| field("message"))?;
        let reason = field("reason")
            .or_else(|| field("error"))
            .or_else(|| field("err"));
        let error = matches!(field("level"), Some("error" | "fatal" | "panic"));
        let text = match reason {
            Some(reason) => format!("{message}: {reason}"),
            None => message.to_owned(),
        };
        Some((error, text))
    };
    let lines: Vec<(bool, String)> = lines.filter_map(|line| words(&line)).collect();
    let error = lines.iter().rfind(|(error, _)| *error);
    error.or(lines.last()).map(|(_, text)| text.clone())
}

/// Most names that one sentence lists.
pub(crate) const NAMES_MAX: usize = 5;

/// `a, b, c and 4 more`.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let shown: Vec<&str> = names.iter().copied().take(NAMES_MAX).collect();
    match names.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_text_survives() {
        let text = format!(
            "plugin type=\"multus-shim\": {} the cause",
            "x ".repeat(2000)
        );
        let short = shorten(&text, 100);
        assert!(short.chars().count() <= 100, "{short}");
        assert!(short.starts_with("plugin type="), "{short}");
        assert!(short.ends_with("the cause"), "{short}");
        assert!(short.contains(" … "), "{short}");
    }

    #[test]
    fn credentials_are_replaced() {
        for (text, secret) in [
            ("Get https://ann:hunter22@h.example.net/a: 401", "hunter22"),
            ("Authorization: Bearer abcdefgh12345678", "abcdefgh12345678"),
            ("GET /x?X-Amz-Signature=0a1b2c3d4e5f: 403", "0a1b2c3d4e5f"),
            (r#"{"password":"correct-horse"}"#, "correct-horse"),
        ] {
            let clean = without_credentials(text);
            assert!(!clean.contains(secret), "{clean}");
            assert!(clean.contains("REDACTED"), "{clean}");
        }
        let plain = "dial tcp: lookup h.example.net: no such host";
        assert_eq!(without_credentials(plain), plain);
    }

    #[test]
    fn envelopes_are_opened() {
        let libvirt = r#"server error. command SyncVMI failed: "LibvirtError(Code=1, Domain=10, Message='internal error: Failed to get \"write\" lock\nIs another process using the image?')""#;
        assert_eq!(
            innermost(&unwrapped(libvirt)),
            "internal error: Failed to get \"write\" lock Is another process using the image?"
        );
        let log = "{\"level\":\"info\",\"msg\":\"starts\"}\n{\"level\":\"error\",\"msg\":\"failed to sync\",\"reason\":\"no space\"}\n{\"level\":\"info\",\"msg\":\"ends\"}";
        assert_eq!(unwrapped(log), "failed to sync: no space");
        assert_eq!(
            last_words("a log line\npanic: out of range\ngoroutine 1"),
            "panic: out of range\ngoroutine 1"
        );
    }
}
