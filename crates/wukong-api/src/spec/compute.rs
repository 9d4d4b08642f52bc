//! Architecture, memory pages and TPM.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Processor architecture of a guest.
#[derive(
    JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, strum::AsRefStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
#[schemars(transform = super::without_description)]
pub enum Architecture {
    /// 64-bit x86.
    Amd64,
    /// 64-bit Arm.
    Arm64,
    /// IBM Z.
    S390x,
}

/// Size of the huge pages that hold guest memory.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[schemars(transform = super::without_description)]
pub enum HugepageSize {
    /// 2 MiB.
    #[serde(rename = "2Mi")]
    Mi2,
    /// 1 GiB.
    #[serde(rename = "1Gi")]
    Gi1,
}

/// An emulated TPM 2.0.
#[derive(KubeSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Tpm {
    /// Keeps the TPM's content over power-offs, in a claim that KubeVirt makes. That claim is deleted with the VM: keys
    /// that exist only in the TPM, such as those of an encrypted disk, are lost with it. Default false: the content is
    /// lost at each power-off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent: Option<bool>,
}
