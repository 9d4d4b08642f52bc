//! `image`: the operator's container image, made without a container engine.

mod build;
mod oci;

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::{fs, thread};

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};

use crate::{generated, sbom};
use build::Arch;
use oci::Image;

/// Make the operator's image: a static binary in an OCI image layout, a tarball that `docker load` and its like take, and
/// a bill of materials (CycloneDX).
#[derive(clap::Args)]
pub struct Args {
    /// For which machines; by default for this one. Repeat it for an image of several
    #[arg(long, value_enum, value_name = "ARCH")]
    arch: Vec<Arch>,

    /// Registry and name of the image; its tag is the version
    #[arg(long, value_name = "NAME", default_value = "wukong-operator")]
    name: String,

    /// Where everything is written
    #[arg(long, value_name = "DIR", default_value = "target/image")]
    output: PathBuf,

    /// Build a second time, from a copy of the sources in another place, and fail unless every byte is the same
    #[arg(long)]
    check: bool,
}

/// What the binary and the image should weigh, so that a node has them within moments: bytes.
const BINARY_LIMIT: usize = 8 << 20;
const IMAGE_LIMIT: usize = 10 << 20;

pub fn run(args: &Args) -> anyhow::Result<()> {
    let mut arches = args.arch.clone();
    if arches.is_empty() {
        arches.push(Arch::here()?);
    }
    arches.sort();
    arches.dedup();
    // A target that cannot be built is reported before another one takes minutes.
    let targets: Vec<_> = arches
        .iter()
        .map(|arch| Ok((*arch, build::target(*arch)?)))
        .collect::<anyhow::Result<_>>()?;
    let output = generated::root().join(&args.output);
    let version = env!("CARGO_PKG_VERSION");
    let auditable = build::auditable()?;
    let mut images = Vec::new();
    for (arch, target) in targets {
        let here = || {
            build::operator(
                &auditable,
                &generated::root(),
                &output.join("build"),
                target,
            )
        };
        let binary = match args.check {
            true => checked(here, &auditable, &output, target)?,
            false => here()?,
        };
        let bytes = read(&binary)?;
        ensure!(
            build::is_static(&bytes)?,
            "the binary for {target} needs files that the image does not have"
        );
        let bill = sbom::of_binary(&binary)?;
        let stem = format!("wukong-operator-{version}-{arch}");
        write(&output.join(format!("{stem}.cdx.json")), bill.as_bytes())?;
        let image = Image::new(arch, version, &bytes)?;
        write(
            &output.join(format!("{stem}.tar")),
            &oci::archive(&image, &args.name, version)?,
        )?;
        println!(
            "{arch} ({target}): binary {}, image {}, digest {}",
            size(bytes.len()),
            size(image.size()),
            image.digest()
        );
        if bytes.len() > BINARY_LIMIT || image.size() > IMAGE_LIMIT {
            println!(
                "{arch}: heavier than the goals, {} for the binary and {} for the image",
                size(BINARY_LIMIT),
                size(IMAGE_LIMIT)
            );
        }
        images.push(image);
    }
    let layout = output.join("oci");
    if layout.exists() {
        fs::remove_dir_all(&layout)?;
    }
    for (path, content) in oci::layout(&images, version)? {
        write(&layout.join(path), &content)?;
    }
    println!(
        "{} holds the image layout `oci`, a tarball for `docker load` and a bill of materials for each architecture",
        output.display()
    );
    Ok(())
}

/// The binary that `here` builds, if one from a copy of the sources is the same. Both are built at once: linking keeps one
/// processor busy for most of the time.
fn checked(
    here: impl Fn() -> anyhow::Result<PathBuf>,
    auditable: &Path,
    output: &Path,
    target: &str,
) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(output)?;
    let copy = tempfile::Builder::new()
        .prefix("second-")
        .tempdir_in(output)?;
    let (sources, build) = (
        copy.path().join("somewhere/else"),
        copy.path().join("build"),
    );
    build::copy_sources(&sources)?;
    let (first, second) = thread::scope(|scope| {
        let second = scope.spawn(|| build::operator(auditable, &sources, &build, target));
        let first = here();
        (
            first,
            second.join().unwrap_or_else(|panic| resume_unwind(panic)),
        )
    });
    let (first, second) = (first?, second?);
    ensure!(
        Sha256::digest(read(&first)?) == Sha256::digest(read(&second)?),
        "two builds for {target} differ: the binary depends on where it is built"
    );
    println!("{target}: built twice, in two places, with the same result");
    Ok(first)
}

fn size(bytes: usize) -> String {
    format!("{:.2} MiB", bytes as f64 / f64::from(1 << 20))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}
