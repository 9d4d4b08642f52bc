//! Completion of a command line for kubectl, which runs `kubectl_complete-wukong` for this plugin.

use std::env;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap::FromArgMatches;
use clap_complete::engine::{self, ArgValueCandidates, CompletionCandidate};
use kube::api::ApiResource;
use wukong_api::{Wukong, WukongSnapshotSchedule};

use crate::cluster::{self, ClusterArgs, with_cluster};
use crate::exit::Exit;
use crate::items::{self, Selection};
use crate::output;

/// How long the API server may take to list the objects. Then their names are not completed.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Arguments of a command that take the name of a Wukong.
const NAMES: [&str; 2] = ["name", "target"];
/// Argument of any command that takes the name of a Wukong.
const WUKONG: &str = "wukong";
/// Argument of any command that takes the name of a WukongSnapshotSchedule.
const SCHEDULE: &str = "schedule";

/// Prints the completions of the last word, one per line with its help after a tab, then cobra's directive.
pub fn run(command: clap::Command, words: &[OsString]) -> anyhow::Result<Exit> {
    let program = OsString::from(command.get_name());
    let mut line: Vec<OsString> = [program].into_iter().chain(words.iter().cloned()).collect();
    if words.is_empty() {
        line.push(OsString::new());
    }
    let cluster = cluster_args(&command, &line);
    let mut command = with_names(command, &cluster);
    let last = line.len() - 1;
    let is_option = |word: &OsStr| word.as_encoded_bytes().starts_with(b"-");
    // As in kubectl, options are completed once a dash is typed.
    let options = line.last().is_some_and(|word| is_option(word));
    let mut found = engine::complete(&mut command, line, last, env::current_dir().ok().as_deref())?;
    found.retain(|candidate| options || !is_option(candidate.get_value()));
    output::print(&view(&found))?;
    Ok(Exit::Done)
}

/// Returns the cluster that the incomplete line selects.
fn cluster_args(command: &clap::Command, line: &[OsString]) -> ClusterArgs {
    let matches = command
        .clone()
        .ignore_errors(true)
        .try_get_matches_from(line);
    matches
        .and_then(|matches| ClusterArgs::from_arg_matches(&matches))
        .unwrap_or_default()
}

/// Completes the names of Wukongs and schedules wherever a command takes one.
fn with_names(command: clap::Command, cluster: &ClusterArgs) -> clap::Command {
    let wukongs = candidates(cluster, ApiResource::erase::<Wukong>(&()));
    let schedules = candidates(cluster, ApiResource::erase::<WukongSnapshotSchedule>(&()));
    let named = command.mut_subcommands(|sub| {
        sub.mut_args(|arg| match NAMES.contains(&arg.get_id().as_str()) {
            true => arg.add(wukongs.clone()),
            false => arg,
        })
    });
    with_named(named, &wukongs, &schedules)
}

/// Completes the arguments that have the same meaning in all commands, nested ones included.
fn with_named(
    command: clap::Command,
    wukongs: &ArgValueCandidates,
    schedules: &ArgValueCandidates,
) -> clap::Command {
    let command = command.mut_args(|arg| match arg.get_id().as_str() {
        WUKONG => arg.add(wukongs.clone()),
        SCHEDULE => arg.add(schedules.clone()),
        _ => arg,
    });
    command.mut_subcommands(|sub| with_named(sub, wukongs, schedules))
}

fn candidates(cluster: &ClusterArgs, kind: ApiResource) -> ArgValueCandidates {
    let cluster = cluster.clone();
    ArgValueCandidates::new(move || names(&cluster, &kind).unwrap_or_default())
}

/// Lists the names of the objects of a kind in the namespace.
fn names(cluster: &ClusterArgs, kind: &ApiResource) -> anyhow::Result<Vec<CompletionCandidate>> {
    with_cluster(async {
        let cluster = cluster.connect().await?;
        let here = Selection {
            namespace: Some(cluster.namespace),
            ..Selection::default()
        };
        let names = items::names(&cluster.client, kind, &here, |_| true);
        let names = tokio::time::timeout(TIMEOUT, names).await?;
        let names = names.map_err(cluster::readable)?.into_iter();
        Ok(names
            .map(|name| CompletionCandidate::new(name.name))
            .collect())
    })
}

fn view(found: &[CompletionCandidate]) -> String {
    let lines = found.iter().map(|candidate| {
        let value = candidate.get_value().to_string_lossy();
        let help = candidate.get_help().map(ToString::to_string);
        match help.as_deref().and_then(|help| help.lines().next()) {
            Some(help) => format!("{value}\t{help}\n"),
            None => format!("{value}\n"),
        }
    });
    let open = |candidate: &CompletionCandidate| {
        candidate
            .get_value()
            .to_string_lossy()
            .ends_with(['/', '='])
    };
    let directive = match found.iter().any(open) {
        true => NO_FILES | NO_SPACE,
        false => NO_FILES,
    };
    lines.collect::<String>() + &format!(":{directive}\n")
}

/// Cobra's directive to add no space after the word: a folder or an option that takes a value goes on.
const NO_SPACE: u8 = 2;
/// Cobra's directive to complete no file names: those that fit are among the completions.
const NO_FILES: u8 = 4;
