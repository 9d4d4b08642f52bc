//! Texts of other programs, and quantities and addresses of users, changed at random: no parser of them panics, and what
//! they return is bounded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::LazyLock;

use fastrand::Rng;
use serde_json::Value;

use crate::parsers::PARSERS;

/// Words that mean something to a parser.
const WORDS: [&str; 20] = [
    "0/",
    "1/3 nodes are available: ",
    ", ",
    ". ",
    "preemption: ",
    "Insufficient memory",
    "{",
    "}",
    "\"",
    ": ",
    "10.0.0.5/24",
    "fd00::1",
    "::ffff:1.2.3.4",
    "02:00:00:00:00:01",
    "1.5Gi",
    "1e9",
    "-",
    "\u{1b}",
    "é",
    "\n",
];
/// The recorded texts: the examples of the signatures' cases.
static RECORDED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let cases = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../crates/wukong-engine/tests/cases/signatures"
    );
    let mut texts = Vec::new();
    collect(Path::new(cases), &mut texts);
    texts.sort();
    texts
});

fn collect(path: &Path, texts: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(path) else {
        return;
    };
    for entry in entries.flatten().map(|entry| entry.path()) {
        if entry.is_dir() {
            collect(&entry, texts);
        } else if let Ok(case) = std::fs::read_to_string(&entry) {
            let case: Value = serde_saphyr::from_str(&case).unwrap_or_default();
            let examples = case["examples"].as_array().into_iter().flatten();
            let examples = examples.filter_map(|example| example["text"].as_str());
            texts.extend(examples.map(str::to_owned));
        }
    }
}

/// The number of recorded texts.
pub fn recorded() -> usize {
    RECORDED.len()
}

/// Parses a recorded text with random changes.
///
/// # Errors
/// What is wrong.
pub fn check(seed: u64) -> Result<(), String> {
    let mut random = Rng::with_seed(seed);
    let mut text = RECORDED[random.usize(..RECORDED.len())].clone();
    for _ in 0..random.usize(..8) {
        text = changed(&mut random, &text);
    }
    let parsed = catch_unwind(AssertUnwindSafe(|| parse(&text)));
    let result = parsed.unwrap_or_else(|_| Err("a parser panics".into()));
    result.map_err(|complaint| format!("{complaint}: {text:?}"))
}

fn changed(random: &mut Rng, text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let from = random.usize(..=chars.len());
    let to = random.usize(from..=chars.len().min(from + 40));
    let (before, cut, after) = (&chars[..from], &chars[from..to], &chars[to..]);
    let middle: String = match random.usize(..6) {
        0 => String::new(),
        1 => cut.iter().chain(cut).collect(),
        2 => WORDS[random.usize(..WORDS.len())].to_owned(),
        3 => random.char(..).to_string(),
        4 => RECORDED[random.usize(..RECORDED.len())].clone(),
        _ => WORDS[random.usize(..WORDS.len())].repeat(random.usize(..200)),
    };
    let whole = before.iter().collect::<String>() + &middle;
    whole + &after.iter().collect::<String>()
}

/// Gives a text to every parser.
fn parse(text: &str) -> Result<(), String> {
    PARSERS.iter().try_for_each(|(_, parse)| parse(text))
}
