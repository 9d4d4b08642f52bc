//! Imports: what CDI would do, for what is reached by HTTP, for the lab's own image, and for claims that are cloned.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use futures::TryStreamExt as _;
use http_body_util::BodyExt as _;
use kube::{Client, Config};
use tokio::io::AsyncWriteExt as _;

use super::{IMAGE_HOST, SHORT_NAME, disks, image};
use wukong_sim::cdi;
use wukong_sim::field::Field;
use wukong_sim::kind::Kind;
use wukong_sim::reality::Import;
use wukong_sim::world::World;

/// The first bytes of an image that needs no conversion.
const QCOW2: &[u8] = b"QFI\xfb";
/// Per cent between two reports.
const STEP: f64 = 5.0;

/// Where a DataVolume's content comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Blank,
    Http(String),
    /// The image of this uid, of a claim or of a VolumeSnapshot, with at least so many bytes.
    Image(String, i64),
    /// Something that the lab cannot reach, in words.
    Other(String),
}

impl Source {
    pub fn of(world: &World, dv: &Field<'_>) -> Self {
        let source = dv.at("spec.source");
        let url = source.at("http.url").text();
        let registry = source.at("registry.url").text();
        if source.child("blank").is_set() {
            Self::Blank
        } else if !url.is_empty() {
            Self::Http(url.to_owned())
        } else if registry.rsplit('/').next() == Some(SHORT_NAME) {
            Self::Http(format!("http://{IMAGE_HOST}/{}", image::DEBIAN))
        } else if let Ok(Some(claim)) = cdi::origin(world, dv) {
            Self::Image(
                claim.at("metadata.uid").text().to_owned(),
                cdi::usable(&claim),
            )
        } else if let Some(snapshot) = snapshot(world, dv) {
            // Its image has the size of the disk.
            Self::Image(snapshot.at("metadata.uid").text().to_owned(), 0)
        } else {
            let kind = source
                .entries()
                .next()
                .map_or("sourceRef", |(kind, _)| kind);
            Self::Other(format!(
                "the lab reaches no {kind} {registry}: it imports from http, clones claims and VolumeSnapshots, and has an image \
                 of its own, called {SHORT_NAME}"
            ))
        }
    }
}

fn snapshot<'a>(world: &'a World, dv: &Field<'_>) -> Option<Field<'a>> {
    let source = dv.at("spec.source.snapshot");
    let namespace = source.child("namespace").text();
    world.get(Kind::VolumeSnapshot, namespace, source.name())
}

/// Downloads an image, telling how far it is. `port` is where the lab serves the images of its own.
pub async fn download(url: &str, port: u16, image: &Path, tell: impl Fn(Import)) -> Result<()> {
    let dir = image.parent().context("images are in a directory")?;
    std::fs::create_dir_all(dir)?;
    let part = image.with_extension("part");
    fetch(url, port, &part, tell).await?;
    let mut start = [0_u8; 4];
    let read = std::io::Read::read(&mut std::fs::File::open(&part)?, &mut start)?;
    if start.get(..read) == Some(QCOW2) {
        std::fs::rename(&part, image)?;
    } else {
        disks::convert(&part, image).await?;
        std::fs::remove_file(&part)?;
    }
    Ok(())
}

async fn fetch(url: &str, port: u16, file: &Path, tell: impl Fn(Import)) -> Result<()> {
    let url: http::Uri = url.parse()?;
    let mut parts = url.clone().into_parts();
    if url.host() == Some(IMAGE_HOST) {
        parts.authority = Some(format!("127.0.0.1:{port}").parse()?);
    }
    parts.path_and_query = Some("/".parse()?);
    let client = Client::try_from(Config::new(http::Uri::from_parts(parts)?))?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let answer = client
        .send(http::Request::get(path).body(kube::client::Body::empty())?)
        .await
        .with_context(|| format!("Unable to connect to http data source: {url}"))?;
    ensure!(
        answer.status().is_success(),
        "Unable to connect to http data source: expected status code 200, got {}",
        answer.status()
    );
    let total: Option<u64> = answer
        .headers()
        .get(http::header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let mut body = answer.into_body().into_data_stream();
    let mut out = tokio::fs::File::create(file).await?;
    let (mut done, mut reported) = (0_u64, 0.0);
    while let Some(bytes) = body.try_next().await? {
        out.write_all(&bytes).await?;
        done += u64::try_from(bytes.len())?;
        let per_cent = percentage(done, total);
        if per_cent >= reported + STEP {
            reported = per_cent;
            tell(Import::Running(per_cent));
        }
    }
    out.flush().await?;
    if total.is_some_and(|total| done < total) {
        bail!("Unable to read from data source: the connection was closed early");
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss)] // A percentage for people.
fn percentage(done: u64, total: Option<u64>) -> f64 {
    total
        .filter(|total| *total > 0)
        .map_or(0.0, |total| (done as f64 / total as f64 * 100.0).min(99.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use wukong_sim::kind::{Kind, Ref};

    #[test]
    fn what_cannot_be_imported_says_so() {
        let mut world = World::default();
        let claim = json!({"metadata": {"uid": "root"}, "spec": {"volumeMode": "Block"},
            "status": {"capacity": {"storage": "1Gi"}}});
        world.insert(Ref::new(Kind::Claim, "ns", "root"), claim);
        let source = |source: serde_json::Value| {
            let dv = json!({"metadata": {"namespace": "ns"}, "spec": {"source": source}});
            Source::of(&world, &Field::new("", &dv))
        };
        assert_eq!(source(json!({"blank": {}})), Source::Blank);
        assert_eq!(
            source(json!({"http": {"url": "http://x/y"}})),
            Source::Http("http://x/y".into())
        );
        assert_eq!(
            source(json!({"registry": {"url": "docker://quay.io/containerdisks/debian:12"}})),
            Source::Http("http://images.wukong-lab.test/debian-12.qcow2".into())
        );
        assert_eq!(
            source(json!({"pvc": {"namespace": "ns", "name": "root"}})),
            Source::Image("root".into(), 1 << 30)
        );
        let Source::Other(words) = source(json!({"registry": {"url": "docker://x/y:1"}})) else {
            panic!("registries cannot be reached")
        };
        assert!(words.contains("registry docker://x/y:1"), "{words}");
    }
}
