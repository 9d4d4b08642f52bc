//! The image: one layer with one file, as the OCI image specification (1.1) and `docker load` read it.
//!
//! Nothing in it tells when or where it was made, so that the same binary makes the same bytes.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::build::Arch;

/// User and group of the operator, which no system has.
pub const USER: u32 = 65532;
/// Where the binary is.
const BINARY: &str = "wukong-operator";

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Files by path.
pub type Files = BTreeMap<String, Vec<u8>>;

/// An image for one kind of machine.
pub struct Image {
    arch: Arch,
    layer: Blob,
    config: Blob,
    manifest: Blob,
}

struct Blob {
    kind: &'static str,
    bytes: Vec<u8>,
}

impl Blob {
    fn json(kind: &'static str, value: &Value) -> anyhow::Result<Self> {
        Ok(Self {
            kind,
            bytes: serde_json::to_vec(value)?,
        })
    }

    fn hash(&self) -> String {
        sha256(&self.bytes)
    }

    fn path(&self) -> String {
        format!("blobs/sha256/{}", self.hash())
    }

    fn descriptor(&self) -> Value {
        json!({
            "mediaType": self.kind,
            "digest": format!("sha256:{}", self.hash()),
            "size": self.bytes.len(),
        })
    }
}

impl Image {
    pub fn new(arch: Arch, version: &str, binary: &[u8]) -> anyhow::Result<Self> {
        let files = Files::from([(BINARY.to_owned(), binary.to_owned())]);
        let tar = tar(&files, 0o755)?;
        // Without name and time, which gzip would note.
        let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
        gzip.write_all(&tar)?;
        let layer = Blob {
            kind: LAYER,
            bytes: gzip.finish()?,
        };
        let labels = json!({
            "org.opencontainers.image.title": "wukong-operator",
            "org.opencontainers.image.version": version,
            "org.opencontainers.image.licenses": "Apache-2.0",
        });
        let config = Blob::json(
            CONFIG,
            &json!({
                "architecture": arch.to_string(),
                "os": "linux",
                "config": {
                    "User": format!("{USER}:{USER}"),
                    "Entrypoint": [format!("/{BINARY}")],
                    "WorkingDir": "/",
                    "Labels": labels,
                },
                "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&tar))]},
                "history": [{"created_by": "cargo xtask image"}],
            }),
        )?;
        let manifest = Blob::json(
            MANIFEST,
            &json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": config.descriptor(),
                "layers": [layer.descriptor()],
                "annotations": labels,
            }),
        )?;
        Ok(Self {
            arch,
            layer,
            config,
            manifest,
        })
    }

    /// What a node downloads: bytes.
    pub fn size(&self) -> usize {
        self.blobs().iter().map(|blob| blob.bytes.len()).sum()
    }

    pub fn digest(&self) -> String {
        format!("sha256:{}", self.manifest.hash())
    }

    fn blobs(&self) -> [&Blob; 3] {
        [&self.layer, &self.config, &self.manifest]
    }

    fn descriptor(&self) -> Value {
        let mut descriptor = self.manifest.descriptor();
        if let Some(descriptor) = descriptor.as_object_mut() {
            let platform = json!({"architecture": self.arch.to_string(), "os": "linux"});
            descriptor.insert("platform".into(), platform);
        }
        descriptor
    }
}

/// The files of an OCI image layout with one image, for one or more kinds of machines.
pub fn layout(images: &[Image], tag: &str) -> anyhow::Result<Files> {
    let annotations = json!({"org.opencontainers.image.ref.name": tag});
    let mut files = Files::new();
    for blob in images.iter().flat_map(Image::blobs) {
        files.insert(blob.path(), blob.bytes.clone());
    }
    let mut named = match images {
        [image] => image.descriptor(),
        images => {
            let manifests: Vec<Value> = images.iter().map(Image::descriptor).collect();
            let index = Blob::json(INDEX, &index(manifests))?;
            let descriptor = index.descriptor();
            files.insert(index.path(), index.bytes);
            descriptor
        }
    };
    if let Some(named) = named.as_object_mut() {
        named.insert("annotations".into(), annotations);
    }
    files.insert(
        "index.json".into(),
        serde_json::to_vec(&index(vec![named]))?,
    );
    files.insert(
        "oci-layout".into(),
        serde_json::to_vec(&json!({"imageLayoutVersion": "1.0.0"}))?,
    );
    Ok(files)
}

fn index(manifests: Vec<Value>) -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})
}

/// A tarball for `docker load`, `podman load`, `ctr image import`, `kind load image-archive`, `minikube image load`: the
/// layout, with the list that Docker reads beside it.
pub fn archive(image: &Image, name: &str, tag: &str) -> anyhow::Result<Vec<u8>> {
    let mut files = layout(std::slice::from_ref(image), tag)?;
    let list = json!([{
        "Config": image.config.path(),
        "RepoTags": [format!("{name}:{tag}")],
        "Layers": [image.layer.path()],
    }]);
    files.insert("manifest.json".into(), serde_json::to_vec(&list)?);
    // containerd takes the image's name from here.
    let full = match name.split_once('/') {
        Some((registry, _)) if registry.contains(['.', ':']) => format!("{name}:{tag}"),
        Some(_) => format!("docker.io/{name}:{tag}"),
        None => format!("docker.io/library/{name}:{tag}"),
    };
    if let Some(file) = files.get_mut("index.json") {
        let mut index: Value = serde_json::from_slice(file)?;
        if let Some(annotations) = index
            .pointer_mut("/manifests/0/annotations")
            .and_then(Value::as_object_mut)
        {
            annotations.insert("io.containerd.image.name".into(), json!(full));
        }
        *file = serde_json::to_vec(&index)?;
    }
    tar(&files, 0o644)
}

fn tar(files: &Files, mode: u32) -> anyhow::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len().try_into()?);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        archive.append_data(&mut header, path, content.as_slice())?;
    }
    Ok(archive.into_inner()?)
}

fn sha256(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;
    use crate::generated;

    const CONTENT: &[u8] = b"not a real program";

    fn image(arch: Arch) -> Image {
        Image::new(arch, "1.2.3", CONTENT).unwrap()
    }

    fn unpacked(tar: &[u8]) -> Files {
        let mut archive = tar::Archive::new(tar);
        let mut files = Files::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let header = entry.header();
            let (owner, time) = (header.uid().unwrap(), header.mtime().unwrap());
            assert_eq!((owner, time), (0, 0));
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            files.insert(path, content);
        }
        files
    }

    fn json(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    /// The blob that a descriptor means, if it is what the descriptor says.
    fn resolve<'a>(files: &'a Files, descriptor: &Value) -> &'a [u8] {
        let digest = descriptor["digest"]
            .as_str()
            .unwrap()
            .strip_prefix("sha256:")
            .unwrap();
        let blob = &files[&format!("blobs/sha256/{digest}")];
        assert_eq!(sha256(blob), digest);
        assert_eq!(descriptor["size"], blob.len());
        blob
    }

    /// Follows an image from its manifest, and checks that it starts our binary.
    fn check_image(files: &Files, manifest: &Value, arch: &str) {
        let manifest = json(resolve(files, manifest));
        let config = json(resolve(files, &manifest["config"]));
        assert_eq!(config["architecture"], arch);
        assert_eq!(config["config"]["User"], format!("{USER}:{USER}"));
        let mut tar = Vec::new();
        GzDecoder::new(resolve(files, &manifest["layers"][0]))
            .read_to_end(&mut tar)
            .unwrap();
        assert_eq!(
            config["rootfs"]["diff_ids"][0],
            format!("sha256:{}", sha256(&tar))
        );
        let root = unpacked(&tar);
        let program = config["config"]["Entrypoint"][0].as_str().unwrap();
        assert_eq!(root[program.strip_prefix('/').unwrap()], CONTENT);
        assert_eq!(root.len(), 1, "an unneeded file");
        let mut archive = tar::Archive::new(tar.as_slice());
        let mode = archive
            .entries()
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .header()
            .mode();
        assert_eq!(mode.unwrap(), 0o755);
    }

    #[test]
    fn a_layout_leads_from_its_index_to_the_binary() {
        let files = layout(&[image(Arch::Amd64)], "1.2.3").unwrap();
        assert_eq!(json(&files["oci-layout"])["imageLayoutVersion"], "1.0.0");
        let index = json(&files["index.json"]);
        let named = &index["manifests"][0];
        assert_eq!(
            named["annotations"]["org.opencontainers.image.ref.name"],
            "1.2.3"
        );
        check_image(&files, named, "amd64");
    }

    #[test]
    fn a_layout_for_several_machines_has_an_image_for_each() {
        let files = layout(&[image(Arch::Amd64), image(Arch::Arm64)], "1.2.3").unwrap();
        let named = json(&files["index.json"])["manifests"][0].clone();
        assert_eq!(named["mediaType"], INDEX);
        let index = json(resolve(&files, &named));
        for (number, arch) in ["amd64", "arm64"].into_iter().enumerate() {
            let descriptor = &index["manifests"][number];
            assert_eq!(descriptor["platform"]["architecture"], arch);
            check_image(&files, descriptor, arch);
        }
    }

    #[test]
    fn an_archive_is_a_layout_that_docker_and_containerd_find_the_name_in() {
        let tar = archive(&image(Arch::Amd64), "registry.example/wukong", "1.2.3").unwrap();
        let files = unpacked(&tar);
        check_image(&files, &json(&files["index.json"])["manifests"][0], "amd64");
        let list = &json(&files["manifest.json"])[0];
        assert_eq!(list["RepoTags"][0], "registry.example/wukong:1.2.3");
        for path in [&list["Config"], &list["Layers"][0]] {
            assert!(files.contains_key(path.as_str().unwrap()), "{path}");
        }
    }

    #[test]
    fn containerd_gets_the_whole_name() {
        for (name, whole) in [
            ("wukong-operator", "docker.io/library/wukong-operator:1"),
            ("example/wukong", "docker.io/example/wukong:1"),
            ("localhost:5000/wukong", "localhost:5000/wukong:1"),
        ] {
            let files = unpacked(&archive(&image(Arch::Amd64), name, "1").unwrap());
            let index = json(&files["index.json"]);
            let annotations = &index["manifests"][0]["annotations"];
            assert_eq!(annotations["io.containerd.image.name"], whole);
        }
    }

    #[test]
    fn the_same_binary_makes_the_same_bytes() {
        let make = || {
            let image = image(Arch::Amd64);
            // gzip can note a time, and does it here.
            assert_eq!(image.layer.bytes[4..8], [0; 4]);
            let archive = archive(&image, "wukong-operator", "1.2.3").unwrap();
            (archive, image.digest())
        };
        let first = make();
        assert_eq!(first, make());
        let other = Image::new(Arch::Amd64, "1.2.3", b"another program").unwrap();
        assert_ne!(first.1, other.digest());
    }

    #[test]
    fn the_deployment_runs_it_as_its_own_user() {
        let deployment = generated::root().join("deploy/operator/10-deployment.yaml");
        let text = std::fs::read_to_string(deployment).unwrap();
        for field in ["runAsUser", "runAsGroup"] {
            assert!(text.contains(&format!("{field}: {USER}\n")), "{field}");
        }
    }
}
