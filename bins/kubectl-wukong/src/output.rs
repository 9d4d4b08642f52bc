//! Standard output: tables, YAML and JSON. There are no colours without a terminal and with `NO_COLOR`.

use std::io::{ErrorKind, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::{Value, json};

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
    let mut out = anstream::stdout().lock();
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
    match format {
        Format::Json => to_json(&json!({"apiVersion": "v1", "kind": "List", "items": objects})),
        Format::Table | Format::Yaml => {
            let documents: Result<Vec<String>, _> = objects.iter().map(to_yaml).collect();
            Ok(documents?.join("---\n"))
        }
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
