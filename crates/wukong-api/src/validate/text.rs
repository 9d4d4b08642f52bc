//! Rules for names and other short texts.

use crate::names::{INTERFACE_MAX, LABEL_MAX};

/// Longest DNS name (RFC 1123).
const DNS_NAME_MAX: usize = 253;

/// Lower-case letters, digits and '-', with a letter or digit at both ends.
fn is_label_text(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A DNS label (RFC 1123).
pub fn dns_label(text: &str) -> Result<(), String> {
    if text.len() <= LABEL_MAX && is_label_text(text) {
        return Ok(());
    }
    Err(format!(
        "{} is not a DNS label: use at most {LABEL_MAX} lower-case letters, digits and '-', with a letter or digit at both ends",
        quoted(text)
    ))
}

/// A DNS subdomain as most Kubernetes objects are named. Its labels may be longer than RFC 1123 has it
/// (`IsDNS1123Subdomain` of Kubernetes bounds the whole name only).
pub fn object_name(text: &str) -> Result<(), String> {
    if text.len() <= DNS_NAME_MAX && text.split('.').all(is_label_text) {
        return Ok(());
    }
    let advice = if text.contains('/') {
        "; only objects of the same namespace can be named, without a '/'"
    } else {
        ""
    };
    Err(format!(
        "{} is not the name of a Kubernetes object{advice}",
        quoted(text)
    ))
}

/// The value of a label.
pub fn label_value(text: &str) -> Result<(), String> {
    let ends = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii_alphanumeric());
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.len() <= LABEL_MAX
        && text.bytes().all(inside)
        && ends(text.bytes().next())
        && ends(text.bytes().last())
    {
        return Ok(());
    }
    Err(format!(
        "{} is not a label value: use at most {LABEL_MAX} letters, digits, '-', '_' and '.', with a letter or digit at both ends",
        quoted(text)
    ))
}

/// The key of a label, with an optional DNS prefix.
pub fn label_key(text: &str) -> Result<(), String> {
    let (prefix, name) = text
        .split_once('/')
        .map_or((None, text), |(prefix, name)| (Some(prefix), name));
    if prefix.is_none_or(|prefix| object_name(prefix).is_ok())
        && !name.is_empty()
        && label_value(name).is_ok()
    {
        return Ok(());
    }
    Err(format!(
        "{} is not a label key such as node-role.kubernetes.io/worker",
        quoted(text)
    ))
}

/// The name of a network interface, as Linux takes it (`dev_valid_name`).
pub fn interface_name(text: &str) -> Result<(), String> {
    if text.len() > INTERFACE_MAX {
        return Err(format!(
            "{} has {} bytes; the name of a network interface has at most {INTERFACE_MAX}",
            quoted(text),
            text.len()
        ));
    }
    let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':');
    if text.is_empty() || text == "." || text == ".." || !text.bytes().all(allowed) {
        return Err(format!(
            "{} is not the name of a network interface: use ASCII letters, digits, '-', '_' and '.'",
            quoted(text)
        ));
    }
    Ok(())
}

/// Text without control characters, at most `max` bytes.
pub fn plain(text: &str, max: usize) -> Result<(), String> {
    if text.len() > max {
        return Err(format!(
            "is {} bytes long; at most {max} are allowed",
            text.len()
        ));
    }
    match text.chars().find(|c| is_unprintable(*c)) {
        Some(c) => Err(format!(
            "contains the control character U+{:04X}: remove it",
            c as u32
        )),
        None => Ok(()),
    }
}

/// Control characters, and the line and paragraph separators that some YAML parsers end a line at.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

/// The text in quotation marks, escaped and cut to a readable length.
pub fn quoted(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// Adds a problem for every entry with the name of an earlier one.
pub fn unique<'a>(
    list: &str,
    names: impl Iterator<Item = &'a str>,
    problems: &mut super::Problems,
) {
    let mut seen = std::collections::HashMap::new();
    for (index, name) in names.enumerate() {
        if let Some(first) = seen.insert(name, index) {
            problems.add(
                format!("spec.{list}[{index}].name"),
                format!(
                    "{} is the name of spec.{list}[{first}] already: names are unique",
                    quoted(name)
                ),
            );
        }
    }
}
