//! `bundle`: an archive of everything that `doctor` reads, without secrets.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wukong_api::Wukong;

use crate::cluster::{Cluster, ClusterArgs};
use crate::exit::Exit;
use crate::output;
use crate::redact::redact;
use crate::survey::{Kept, Survey, is_known};

/// The largest file of an archive that is read, in bytes.
const FILE_MAX: u64 = 64 << 20;
const ABOUT: &str = "about.yaml";
const WUKONG: &str = "wukong.yaml";

/// Pack everything that doctor reads into an archive, for a diagnosis elsewhere or a bug report.
///
/// Secrets are never read. Passwords in the manifest, cloud-init data in VMs and the environment of containers are
/// redacted; names, addresses and image URLs stay. The archive contains YAML files: review them before you share it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kubectl wukong bundle web
  kubectl wukong bundle web -o /tmp/web.tar.gz
  kubectl wukong doctor web --from web-bundle.tar.gz")]
pub struct Args {
    /// Name of the Wukong
    name: String,

    /// Path of the archive [default: NAME-bundle.tar.gz]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub async fn run(args: &Args, cluster: &ClusterArgs) -> anyhow::Result<Exit> {
    let cluster = cluster.connect().await?;
    let bundle = Bundle::take(&cluster, &args.name).await?;
    let path = args
        .output
        .clone()
        .unwrap_or_else(|| format!("{}-bundle.tar.gz", args.name).into());
    bundle.write(&path)?;
    output::print(&format!("{}\n", path.display()))?;
    Ok(Exit::Done)
}

/// A Wukong and the state of the cluster at one time.
#[derive(Debug)]
pub struct Bundle {
    pub taken: Timestamp,
    pub wukong: Wukong,
    pub survey: Survey,
}

/// Metadata of the archive.
#[derive(Debug, Deserialize, Serialize)]
struct About {
    taken: Timestamp,
    made_by: String,
}

impl Bundle {
    /// Reads the cluster.
    pub async fn take(cluster: &Cluster, name: &str) -> anyhow::Result<Self> {
        let wukong = cluster.wukong(name).await?;
        let survey = Survey::of_wukong(cluster, &wukong).await?;
        Ok(Self {
            taken: Timestamp::now(),
            wukong,
            survey,
        })
    }

    /// Writes the archive to a new file.
    fn write(&self, path: &Path) -> anyhow::Result<()> {
        let file =
            File::create_new(path).with_context(|| format!("cannot create {}", path.display()))?;
        let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
        let about = About {
            taken: self.taken,
            made_by: format!("kubectl-wukong {}", env!("CARGO_PKG_VERSION")),
        };
        let mut add = |name: &str, text: String| -> anyhow::Result<()> {
            let mut header = tar::Header::new_gnu();
            header.set_size(u64::try_from(text.len())?);
            header.set_mode(0o600);
            header.set_mtime(u64::try_from(self.taken.as_second())?);
            Ok(archive.append_data(&mut header, name, text.as_bytes())?)
        };
        add(ABOUT, output::to_yaml(&about)?)?;
        let mut wukong = serde_json::to_value(&self.wukong)?;
        redact(&mut wukong);
        add(WUKONG, output::to_yaml(&wukong)?)?;
        for mut kept in self.survey.kept(&self.wukong) {
            kept.objects.iter_mut().for_each(redact);
            add(&format!("{}.yaml", kept.plural), output::to_yaml(&kept)?)?;
        }
        archive.into_inner()?.finish()?;
        Ok(())
    }

    /// Reads an archive that [`Bundle::write`] made.
    ///
    /// # Errors
    /// The file is not such an archive.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
        let mut archive = tar::Archive::new(GzDecoder::new(file));
        let (mut about, mut wukong, mut kept): (Option<About>, Option<Wukong>, Vec<Kept>) =
            (None, None, Vec::new());
        for entry in archive
            .entries()
            .with_context(|| format!("{shown} is not a bundle"))?
        {
            let mut entry = entry.with_context(|| format!("{shown} is not a bundle"))?;
            if entry.size() > FILE_MAX {
                bail!("{shown} contains a file that is too large for a bundle");
            }
            let name = entry.path()?.display().to_string();
            let kind = name.strip_suffix(".yaml").filter(|kind| is_known(kind));
            if kind.is_none() && name != ABOUT && name != WUKONG {
                output::note(&format!(
                    "note: {shown} contains {name}, which this version of kubectl-wukong does not know and leaves out"
                ));
                continue;
            }
            let mut text = String::new();
            entry
                .read_to_string(&mut text)
                .with_context(|| format!("{name} in {shown} is not text"))?;
            let wrong = || format!("{name} in {shown} cannot be read");
            match name.as_str() {
                ABOUT => about = Some(serde_saphyr::from_str(&text).with_context(wrong)?),
                WUKONG => wukong = Some(serde_saphyr::from_str(&text).with_context(wrong)?),
                _ => kept.push(serde_saphyr::from_str(&text).with_context(wrong)?),
            }
        }
        let (Some(about), Some(wukong)) = (about, wukong) else {
            bail!("{shown} is not a bundle")
        };
        Ok(Self {
            taken: about.taken,
            wukong,
            survey: Survey::of_kept(kept),
        })
    }
}

#[cfg(test)]
mod tests {
    use wukong_api::OperatorSettings;
    use wukong_engine::facts::Presence;

    use super::*;
    use crate::doctor::Diagnosis;
    use crate::manifest::documents;

    fn judged(bundle: &Bundle) -> String {
        let diagnosis = Diagnosis::of(
            &bundle.wukong,
            &bundle.survey,
            &OperatorSettings::default(),
            bundle.taken,
        );
        output::to_yaml(&diagnosis).unwrap()
    }

    /// A Wukong with an import that fails, with a secret wherever one may be.
    fn failing() -> Bundle {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
        let mut objects = documents(&data.join("cluster.yaml")).unwrap();
        objects.extend(documents(&data.join("failing.yaml")).unwrap());
        let wukong = objects
            .iter()
            .find(|object| object["kind"] == "Wukong")
            .unwrap();
        Bundle {
            taken: "2026-01-20T12:00:00Z".parse().unwrap(),
            wukong: serde_json::from_value(wukong.clone()).unwrap(),
            survey: Survey::of_objects(&objects),
        }
    }

    #[test]
    fn an_archive_is_judged_like_the_cluster_and_holds_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web.tar.gz");
        let live = failing();
        live.write(&path).unwrap();
        let read = Bundle::read(&path).unwrap();
        assert_eq!(judged(&read), judged(&live));
        insta::assert_snapshot!("doctor", judged(&read));

        let mut plain = String::new();
        GzDecoder::new(File::open(&path).unwrap())
            .read_to_string(&mut plain)
            .unwrap();
        assert!(!plain.contains("canary"), "a secret is in the archive");
        assert!(
            plain.contains("registry.example"),
            "what doctor needs is there"
        );
        assert!(
            !plain.contains("another-user"),
            "other people's VMs are not there"
        );
        for kept in ["pv-web", "nightly", "by-url.example", "namespace: kubevirt"] {
            assert!(plain.contains(kept), "{kept} is not there");
        }
        let again = live.write(&path).unwrap_err().to_string();
        assert!(
            again.starts_with("cannot create"),
            "nothing is overwritten: {again}"
        );
    }

    /// Writes an archive with these files.
    fn archive(path: &Path, files: &[(&str, &str)]) {
        let file = File::create(path).unwrap();
        let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
        for (name, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(u64::try_from(text.len()).unwrap());
            header.set_mode(0o600);
            let added = archive.append_data(&mut header, name, text.as_bytes());
            added.unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap();
    }

    const ABOUT_TEST: (&str, &str) = (ABOUT, "{taken: '2026-01-20T12:00:00Z', made_by: test}");
    const WUKONG_TEST: (&str, &str) = (
        WUKONG,
        "{apiVersion: vm.novasphere.dev/v1alpha1, kind: Wukong, metadata: {name: web, namespace: shop}, spec: {cpu: 1, memory: 1Gi}}",
    );

    #[test]
    fn a_bundle_of_another_version_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        // An earlier version has none of the later kinds.
        archive(&path, &[ABOUT_TEST, WUKONG_TEST]);
        let earlier = Bundle::read(&path).unwrap();
        let environment = earlier.survey.world().environment;
        assert_eq!(environment.deployments.presence(), Presence::Unknown);
        // A later version has kinds, states and files that this one does not know.
        let gadgets = (
            "gadgets.yaml",
            "{plural: gadgets, seen: served, objects: [{kind: Gadget}]}",
        );
        let nodes = ("nodes.yaml", "{plural: nodes, seen: partly, objects: []}");
        let picture = ("screen.png", "\u{1}not YAML: [");
        archive(&path, &[ABOUT_TEST, gadgets, nodes, picture, WUKONG_TEST]);
        let later = Bundle::read(&path).unwrap();
        let environment = later.survey.world().environment;
        assert_eq!(environment.nodes.presence(), Presence::Unknown);
        assert_eq!(judged(&later), judged(&earlier));
        // What this version knows has to be right.
        archive(&path, &[ABOUT_TEST, WUKONG_TEST, ("nodes.yaml", "[")]);
        let error = Bundle::read(&path).unwrap_err().to_string();
        assert!(error.starts_with("nodes.yaml in "), "{error}");
    }

    #[test]
    fn a_file_that_is_not_a_bundle_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "no archive").unwrap();
        let error = Bundle::read(&path).unwrap_err().to_string();
        assert!(error.ends_with("is not a bundle"), "{error}");
    }
}
