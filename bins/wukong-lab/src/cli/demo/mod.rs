//! `cargo lab demo`: one manifest becomes a running VM, and everybody can watch.

mod login;
mod picture;
mod screen;
mod summary;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DynamicObject, ObjectMeta, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use wukong_api::Wukong;

use self::login::Key;
use self::picture::Picture;
use self::screen::Screen;
use super::cluster::{Cluster, ClusterArgs};
use super::interrupt::interrupted;
use super::state::State;
use crate::cluster::manifests::{self, repository};
use crate::{BootImages, Lab, Progress};

const NAME: &str = "demo";
const NAMESPACE: &str = "default";
const TIMEOUT: Duration = Duration::from_secs(120);
const SAMPLE_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA placeholder@wukong-lab";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The manifest to apply: a Wukong, and what it refers to. [default: deploy/examples/ubuntu.yaml; with --boot
    /// bins/wukong-lab/demo/boot.yaml]
    #[arg(long, short, value_name = "FILE")]
    filename: Option<PathBuf>,
    /// Seconds that the VM may take until it runs with all its addresses. [default: 120; with --boot what a boot may take]
    #[arg(long)]
    timeout: Option<u64>,
    /// Keep the cluster until Ctrl-C; by default the demo ends it.
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

pub(super) async fn run(args: Args) -> Result<ExitCode> {
    let (cluster, outcome) = tokio::select! {
        shown = show(&args) => shown?,
        outcome = interrupted() => return outcome.map(|()| ExitCode::FAILURE),
    };
    if args.keep {
        cluster.stay().await?;
    }
    Ok(outcome)
}

async fn show(args: &Args) -> Result<(Cluster, ExitCode)> {
    let started = Instant::now();
    let progress = Progress::stderr();
    let cluster = Cluster::start(NAME, &args.cluster, &progress).await?;
    let state = State::of(NAME, &cluster.lab);
    state.write()?;
    let cluster_ready = started.elapsed();
    let patience = cluster.images.as_ref().map(BootImages::patience);
    let key = match patience {
        Some(_) => Some(Key::make(cluster.lab.dir()).await?),
        None => None,
    };

    let applied = Instant::now();
    let file = args.filename.clone().unwrap_or_else(|| {
        repository(match patience {
            Some(_) => "bins/wukong-lab/demo/boot.yaml",
            None => "deploy/examples/ubuntu.yaml",
        })
    });
    let wukong = apply(&cluster.lab, &file, key.as_ref(), &progress).await?;
    let mut screen = Screen::new(&progress, applied);
    let mut picture = Picture::new(wukong.name_any());
    let deadline = match args.timeout {
        Some(seconds) => Duration::from_secs(seconds),
        None => patience.unwrap_or(TIMEOUT),
    };
    let watched = follow(&cluster, &mut picture, &mut screen);
    let in_time = match tokio::time::timeout(deadline, watched).await {
        Ok(outcome) => outcome.map(|()| true)?,
        Err(_) => false,
    };
    screen.finish(&picture);
    let took = summary::Took {
        cluster: cluster_ready,
        machine: applied.elapsed(),
    };
    if in_time {
        let login = match (&key, patience) {
            (Some(key), Some(patience)) => {
                let lab = &cluster.lab;
                Some(login::log_in(lab, NAMESPACE, &wukong, key, patience, &progress).await?)
            }
            _ => None,
        };
        let end = summary::running(&picture, &took, login.as_ref(), &state, args.keep);
        say!("{end}");
        Ok((cluster, ExitCode::SUCCESS))
    } else {
        say!(
            "{}",
            summary::blocked(&picture, deadline, &state, args.keep)
        );
        Ok((cluster, ExitCode::FAILURE))
    }
}

/// Applies the manifest and returns the Wukong in it.
async fn apply(lab: &Lab, file: &Path, key: Option<&Key>, progress: &Progress) -> Result<Wukong> {
    let client = lab.client().await?;
    let is_wukong = |object: &DynamicObject| {
        object
            .types
            .as_ref()
            .is_some_and(|types| types.kind == Wukong::kind(&()))
    };
    let wukong = manifests::read(file)?
        .into_iter()
        .find(is_wukong)
        .with_context(|| format!("{} has no Wukong", file.display()))?
        .try_parse::<Wukong>()?;
    let namespace = wukong.namespace();
    ensure!(
        namespace
            .as_deref()
            .is_none_or(|namespace| namespace == NAMESPACE),
        "the demo looks at namespace {NAMESPACE}, the Wukong is for another"
    );
    if let Some(name) = &wukong.spec.ssh_key_secret {
        make_key_secret(&client, name, key, progress).await?;
    }
    manifests::apply(&client, file, NAMESPACE).await?;
    progress.say(format!("Applied {}", file.canonicalize()?.display()));
    Ok(wukong)
}

/// Makes the Secret with the public keys, which a user brings in a real cluster; without it no VM starts.
async fn make_key_secret(
    client: &Client,
    name: &str,
    key: Option<&Key>,
    progress: &Progress,
) -> Result<()> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    if secrets.get_metadata_opt(name).await?.is_some() {
        return Ok(());
    }
    let (key, origin) = match key {
        Some(key) => (key.public.as_str(), "a key of this demo"),
        None => (SAMPLE_KEY, "a public key without a private one"),
    };
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        string_data: Some([("key".to_owned(), key.to_owned())].into()),
        ..Secret::default()
    };
    secrets.create(&PostParams::default(), &secret).await?;
    progress.say(format!(
        "Made the Secret {name} that the manifest refers to, with {origin}"
    ));
    Ok(())
}

/// Shows all changes until the VM runs with its addresses.
async fn follow(cluster: &Cluster, picture: &mut Picture, screen: &mut Screen) -> Result<()> {
    let mut changes = watch::changes(&cluster.lab.client().await?, NAMESPACE);
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    loop {
        tokio::select! {
            change = changes.next() => picture.take(change.context("watches do not end")?),
            _ = tick.tick() => cluster.check()?,
        }
        screen.show(picture);
        if picture.is_running_with_addresses() {
            return Ok(());
        }
    }
}
