//! Standard output: tables, YAML and JSON. There are no colours without a terminal and with `NO_COLOR`.

use std::io::{ErrorKind, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::Value;

/// Output format.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// Text for people.
    Table,
    /// YAML, several documents separated by `---`.
    Yaml,
    /// JSON, several objects in a `List`.
    Json,
}

/// Writes to standard output. A closed pipe, such as that of `head`, is not an error.
pub fn print(text: &str) -> anyhow::Result<()> {
    write(anstream::stdout().lock(), text)
}

/// Writes objects to standard output. They contain no colours that a pipe would not get.
pub fn print_objects(text: &str) -> anyhow::Result<()> {
    write(std::io::stdout().lock(), text)
}

fn write(mut out: impl Write, text: &str) -> anyhow::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes a line to standard error.
pub fn note(text: &str) {
    // A failure to write cannot be reported anywhere else.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Serializes Kubernetes objects as YAML or JSON.
pub fn objects(objects: &[Value], format: Format) -> anyhow::Result<String> {
    let mut written = Objects::new(format);
    let texts: Result<String, _> = objects.iter().map(|object| written.next(object)).collect();
    Ok(texts? + &written.end())
}

/// Serializes Kubernetes objects one after the other as YAML or JSON.
#[derive(Debug)]
pub struct Objects {
    format: Format,
    empty: bool,
}

impl Objects {
    /// Serializes no objects yet.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            empty: true,
        }
    }

    /// Returns the text of the next object.
    pub fn next(&mut self, object: &Value) -> anyhow::Result<String> {
        let first = std::mem::replace(&mut self.empty, false);
        let text = match self.format {
            Format::Json => serde_json::to_string_pretty(object)?.replace('\n', "\n    "),
            Format::Table | Format::Yaml => to_yaml(object)?,
        };
        let before = match (self.format, first) {
            (Format::Json, true) => "{\n  \"apiVersion\": \"v1\",\n  \"items\": [\n    ",
            (Format::Json, false) => ",\n    ",
            (_, true) => "",
            (_, false) => "---\n",
        };
        Ok(before.to_owned() + &text)
    }

    /// Returns the text after the last object.
    pub fn end(self) -> String {
        let text = match (self.format, self.empty) {
            (Format::Json, true) => {
                "{\n  \"apiVersion\": \"v1\",\n  \"items\": [],\n  \"kind\": \"List\"\n}\n"
            }
            (Format::Json, false) => "\n  ],\n  \"kind\": \"List\"\n}\n",
            _ => "",
        };
        text.to_owned()
    }
}

/// Serializes a value as YAML that every Kubernetes tool reads alike.
pub fn to_yaml(value: &impl Serialize) -> anyhow::Result<String> {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let text = serde_saphyr::to_string_with_options(value, options)?;
    Ok(match text.ends_with('\n') {
        true => text,
        false => text + "\n",
    })
}

/// Serializes a value as indented JSON.
pub fn to_json(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// Returns an empty table in the style of kubectl: no borders, two spaces between columns. Rows are never wrapped or cut,
/// so that the width of the terminal does not matter.
pub fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .enforce_styling()
        .set_header(header);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// Returns the lines of a table without trailing spaces.
pub fn lines(table: &Table) -> String {
    table
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_one_after_the_other_are_a_list() {
        let all = [
            json!({"kind": "A", "text": "a\nb", "of": []}),
            json!({"kind": "B", "of": [{"c": 1}]}),
        ];
        for some in [&all[..], &all[..1], &[]] {
            let list = json!({"apiVersion": "v1", "kind": "List", "items": some});
            let written = objects(some, Format::Json).unwrap();
            assert_eq!(written, to_json(&list).unwrap());
        }
        let documents = objects(&all, Format::Yaml).unwrap();
        assert_eq!(documents.matches("---\n").count(), 1, "{documents}");
    }
}
