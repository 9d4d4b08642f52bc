//! The seed of cloud-init: the files that KubeVirt puts on a NoCloud volume.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use tokio::process::Command;

use wukong_sim::field::Field;
use wukong_sim::kind::Kind;
use wukong_sim::world::World;

/// The files.
#[derive(Clone, Debug, PartialEq)]
pub struct Seed {
    user_data: Vec<u8>,
    network_data: Option<Vec<u8>>,
    meta_data: Value,
}

impl Seed {
    /// Of the instance's cloud-init volume, if it has one. Errors when a Secret that it refers to is not there.
    pub fn of(world: &World, vmi: &Field<'_>) -> Result<Option<Self>> {
        let volume = vmi
            .at("spec.volumes")
            .items()
            .map(|volume| volume.child("cloudInitNoCloud"))
            .find(Field::is_set);
        let Some(volume) = volume else {
            return Ok(None);
        };
        let namespace = vmi.at("metadata.namespace").text();
        let user_data = Text {
            inline: volume.child("userData"),
            encoded: volume.child("userDataBase64"),
            secret: volume.at("secretRef"),
            keys: ["userdata", "userData"],
        };
        let network_data = Text {
            inline: volume.child("networkData"),
            encoded: volume.child("networkDataBase64"),
            secret: volume.child("networkDataSecretRef"),
            keys: ["networkdata", "networkData"],
        };
        Ok(Some(Self {
            user_data: user_data.read(world, namespace)?.unwrap_or_default(),
            network_data: network_data.read(world, namespace)?,
            meta_data: meta_data(world, vmi)?,
        }))
    }

    /// Writes them as a disk image, labelled as cloud-init looks for it.
    pub async fn write(&self, dir: &Path, image: &Path) -> Result<()> {
        fs::create_dir_all(dir)?;
        fs::write(dir.join("user-data"), &self.user_data)?;
        fs::write(dir.join("meta-data"), self.meta_data.to_string())?;
        let mut files = vec!["user-data", "meta-data"];
        if let Some(network_data) = &self.network_data {
            fs::write(dir.join("network-config"), network_data)?;
            files.push("network-config");
        }
        let made = Command::new("genisoimage")
            .args(["-quiet", "-volid", "cidata", "-joliet", "-rock", "-output"])
            .arg(image)
            .args(files)
            .current_dir(dir)
            .output()
            .await?;
        ensure!(
            made.status.success(),
            "genisoimage: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        Ok(())
    }
}

/// Where a part of the seed may be.
struct Text<'a> {
    inline: Field<'a>,
    encoded: Field<'a>,
    secret: Field<'a>,
    keys: [&'static str; 2],
}

impl Text<'_> {
    fn read(&self, world: &World, namespace: &str) -> Result<Option<Vec<u8>>> {
        if self.inline.is_set() {
            return Ok(Some(self.inline.text().into()));
        }
        if self.encoded.is_set() {
            return Ok(Some(STANDARD.decode(self.encoded.text())?));
        }
        let name = self.secret.name();
        if name.is_empty() {
            return Ok(None);
        }
        let data = secret(world, namespace, name)?;
        let found = self
            .keys
            .iter()
            .map(|key| data.child(key))
            .find(Field::is_set);
        found
            .map(|value| Ok(STANDARD.decode(value.text())?))
            .transpose()
    }
}

fn secret<'a>(world: &'a World, namespace: &str, name: &str) -> Result<Field<'a>> {
    let secret = world
        .get(Kind::Secret, namespace, name)
        .with_context(|| format!("Secret {name} does not exist"))?;
    Ok(secret.child("data"))
}

/// The instance's identity, its host name, and the keys of its access credentials.
fn meta_data(world: &World, vmi: &Field<'_>) -> Result<Value> {
    let name = vmi.child("metadata").name();
    let hostname = match vmi.at("spec.hostname").text() {
        "" => name.split('.').next().unwrap_or(name),
        hostname => hostname,
    };
    let mut data = json!({
        "instance-id": vmi.at("spec.domain.firmware.uuid").text(),
        "local-hostname": hostname,
    });
    let mut keys = Map::new();
    for credential in vmi.at("spec.accessCredentials").items() {
        let public = credential.child("sshPublicKey");
        if !public.at("propagationMethod.noCloud").is_set() {
            continue;
        }
        let name = public.at("source.secret.secretName").text();
        let values = secret(world, vmi.at("metadata.namespace").text(), name)?;
        for (_, value) in values.entries() {
            let text = STANDARD.decode(value.as_str().unwrap_or_default())?;
            for key in String::from_utf8(text)?.lines().map(str::trim) {
                if !key.is_empty() && !key.starts_with('#') {
                    keys.insert(keys.len().to_string(), json!(key));
                }
            }
        }
    }
    if let (false, Some(data)) = (keys.is_empty(), data.as_object_mut()) {
        data.insert("public-keys".to_owned(), Value::Object(keys));
    }
    Ok(data)
}
